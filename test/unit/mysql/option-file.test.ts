import { expect, test } from "vitest";
import { includeOf, parseOptionFile } from "../../../src/mysql/option-file.ts";

/** Options of the group as `name=value`, the others as `group/name`. */
function options(text: string): string[] {
  return parseOptionFile(text, "/x.cnf").map((line) =>
    line.kind === "option" ? `${line.name}${line.value === undefined ? "" : `=${line.value}`}` : `!${line.path}`,
  );
}

test.each([
  ["user = backup", "user=backup"],
  ["  user\t=\tbackup  ", "user=backup"],
  ["password='it''s'", "password=it''s"],
  ['password="a # b" # c', "password=a # b"],
  ["password=a#b", "password=a"],
  ["password=a;b", "password=a;b"],
  ["password=a'b#c", "password=a'b#c"],
  ["password='a\\'b' # c", "password=a'b"],
  ['password="unclosed', 'password="unclosed'],
  ['password="a" b', 'password="a" b'],
  ["password=", "password="],
  ['password=""', "password="],
  ['password="', 'password="'],
  [String.raw`ssl-ca=a\tb\sc\\d\qe\ `, "ssl-ca=a\tb c\\d\\qe\\"],
  ["ssl_ca=/a", "ssl-ca=/a"],
  ["loose_ssl_ca=/a", "ssl-ca=/a"],
  ["ssl", "ssl"],
  ["ssl # = not a value", "ssl"],
  ["user=a=b", "user=a=b"],
])("parseOptionFile() reads %j", (line, expected) => {
  expect(options(`[client]\n${line}\n`)).toEqual([expected]);
});

test("parseOptionFile() keeps groups apart, whatever stands around their names", () => {
  const text = "\n# c\n; c\r\n[client]x\r\na=1\r\n [Client-Server ] # c\nb=2\n[ client ]\nc=3";
  expect(parseOptionFile(text, "/x.cnf")).toEqual([
    { kind: "option", group: "client", name: "a", value: "1" },
    { kind: "option", group: "client-server", name: "b", value: "2" },
    { kind: "option", group: " client", name: "c", value: "3" },
  ]);
});

test("parseOptionFile() finds includes, before the first group too, and skips other directives", () => {
  expect(options("!include /a b.cnf\n! includedir  /c \n!includedirx /d\n!include\n!bogus\n")).toEqual([
    "!/a b.cnf",
    "!/c",
  ]);
});

test.each([
  ["a=1", "line 1", "stands before the first [group]"],
  ["[client]\n[mysql", "line 2", 'has no "]"'],
  ["[client]\na=\0", "line 2", "holds a NUL byte"],
  ["\uFEFF[client]\na=1", "line 1", "stands before the first [group]"],
])("parseOptionFile() refuses %j, as the clients do", (text, line, what) => {
  const error = (() => {
    try {
      return parseOptionFile(text, "/x.cnf");
    } catch (error) {
      return error;
    }
  })();
  expect(error).toMatchObject({ code: "CONFIG_INVALID", message: expect.stringContaining(`${line} of "/x.cnf"`) });
  expect(String(error)).toContain(what);
});

test("includeOf() takes no comment for a directive", () => {
  expect(includeOf("#!includedir /etc")).toBeUndefined();
  expect(includeOf("  !includedir\t/etc/x.d  ")).toEqual({ kind: "directory", path: "/etc/x.d" });
});

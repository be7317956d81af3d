import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readDefaultsFile } from "../../../src/mysql/defaults-file.ts";
import { parseOptionFile } from "../../../src/mysql/option-file.ts";
import { hasMariadb } from "../../support/servers/mariadb.ts";

let root: string;

/** What the server's own reader makes of a file; `undefined` when it refuses it. */
function theirs(path: string): string | undefined {
  try {
    return execFileSync("my_print_defaults", [`--defaults-file=${path}`, "client"], {
      encoding: "utf8",
      stdio: "pipe",
    });
  } catch {
    return undefined;
  }
}

function ours(text: string, path: string): string | undefined {
  try {
    const options = parseOptionFile(text, path).flatMap((line) => (line.kind === "option" ? [line] : []));
    return options
      .filter(({ group }) => group === "client")
      .map(({ name, value }) => `--${name}${value === undefined ? "" : `=${value}`}\n`)
      .join("");
  } catch {
    return undefined;
  }
}

describe.skipIf(!hasMariadb())("option files are read as the server's own programs read them", () => {
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "options-"));
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  test("parseOptionFile() agrees on any text", () => {
    const piece = fc.constantFrom(
      "[client]",
      "[x]",
      "a",
      "b=",
      "=",
      " ",
      "#",
      ";",
      "'",
      '"',
      "\\",
      "\\n",
      "\\'",
      "\n",
      "\r\n",
      "\t",
      "]",
    );
    const path = join(root, "any.cnf");
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 25 }), (pieces) => {
        const text = `[client]\n${pieces.join("")}\n`;
        // Of an option without a name their reader makes what lies before it in memory.
        fc.pre(!/^\s*=/m.test(text));
        writeFileSync(path, text, { mode: 0o600 });
        expect(ours(text, path)).toBe(theirs(path));
      }),
      { numRuns: 300 },
    );
  });

  test("readDefaultsFile() agrees on includes, and on circles of them", async () => {
    mkdirSync(join(root, "d"));
    const path = join(root, "main.cnf");
    writeFileSync(join(root, "d", "b.cnf"), "[client]\nuser=b\nhost=b\n");
    writeFileSync(join(root, "d", "a.cnf"), "[client]\nuser=a\nport=7\n");
    writeFileSync(join(root, "d", "c.ini"), "[client]\nuser=ini\n");
    writeFileSync(join(root, "circle.cnf"), `[client]\nsocket=/circle\n!include ${path}\n`);
    writeFileSync(
      path,
      `[client]\nuser=main\n!includedir ${root}/d\n!include ${root}/circle.cnf\n!include /nowhere\nhost=end\n`,
    );
    const last = new Map((theirs(path) ?? "").split("\n").map((line) => line.split("=") as [string, string]));
    const { user, host, port, socket } = await readDefaultsFile(path);
    expect([user, host, String(port), socket]).toEqual(
      ["--user", "--host", "--port", "--socket"].map((name) => last.get(name)),
    );
  });

  test.each([
    "[client]\nuser=a\npassword=x",
    "[client-mariadb]\nuser=b\n[client-server]\nuser=c\n[client]\nhost=localhost",
    "[xtrabackup]\nuser=d\n[client]\nuser=a\npassword=p",
    "[client]\nuser=a\n[mariadb-backup]\nuser='e # f'\n[mariabackup]\npassword=x",
    "[mysqld]\nport=1\n[client]\nuser=g",
  ])("readDefaultsFile() logs in as the tool does by %j", async (text) => {
    const path = join(root, "login.cnf");
    writeFileSync(path, `${text}\n[client]\nsocket=${root}/nowhere\n`, { mode: 0o600 });
    const args = [`--defaults-file=${path}`, "--backup", `--target-dir=${root}/target`];
    const { stderr } = spawnSync("mariadb-backup", args, { encoding: "utf8" });
    const { user, password, socket } = await readDefaultsFile(path);
    const said = `user: ${user}, password: ${password === undefined ? "not set" : "set"}, port: not set, socket: ${socket}`;
    expect(stderr).toContain(said);
  });
});

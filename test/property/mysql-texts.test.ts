import * as fc from "fast-check";
import { expect, test } from "vitest";
import { BackupError } from "../../src/domain/errors.ts";
import { loginOptions } from "../../src/mysql/defaults-file.ts";
import { missingGrants, parseGrant } from "../../src/mysql/grants.ts";
import { parseOptionFile } from "../../src/mysql/option-file.ts";
import { maskSecrets } from "../../src/mysql/server-config.ts";

const piece = fc.oneof(
  fc.constantFrom(
    "[client]",
    "[mysql",
    "]",
    "=",
    "#",
    ";",
    "'",
    '"',
    "\\",
    "\n",
    "\r\n",
    "!include ",
    "!includedir ",
    "\0",
    "\t ",
  ),
  fc.constantFrom(
    "user",
    "password",
    "port",
    "ssl-mode",
    "ssl_key",
    "skip-ssl",
    "wsrep_sst_auth",
    "secret",
    "3306",
    "***",
  ),
  fc.string({ maxLength: 5 }),
);
const text = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(""));

test("parseOptionFile() and loginOptions() refuse a text with a BackupError or read it", () => {
  fc.assert(
    fc.property(text, (text) => {
      try {
        const options = parseOptionFile(text, "/x.cnf").flatMap((line) => (line.kind === "option" ? [line] : []));
        loginOptions(options, "/x.cnf");
      } catch (error) {
        if (!(error instanceof BackupError)) throw error;
        expect(error.code).toBe("CONFIG_INVALID");
      }
    }),
    { numRuns: 2000 },
  );
});

const word = fc.constantFrom(
  "innodb",
  "buffer",
  "size",
  "log",
  "bin",
  "datadir",
  "=",
  " ",
  "#",
  "[mysqld]",
  "/var",
  "\r",
  "10",
  "é",
);
const harmless = fc.array(fc.array(word).map((words) => words.join(""))).map((lines) => lines.join("\n"));

test("maskSecrets() changes no text without secrets", () => {
  fc.assert(
    fc.property(harmless, (text) => {
      expect(maskSecrets(text)).toBe(text);
    }),
  );
});

test("maskSecrets() changes lines that hold a mask then, and no others", () => {
  fc.assert(
    fc.property(text, (text) => {
      const before = text.split("\n");
      const after = maskSecrets(text).split("\n");
      expect(after.length).toBe(before.length);
      for (const [index, line] of after.entries()) {
        if (line !== before[index]) expect(line).toMatch(/=\s*\*\*\*\s*$/);
      }
      expect(maskSecrets(after.join("\n"))).toBe(after.join("\n"));
    }),
    { numRuns: 2000 },
  );
});

test("maskSecrets() leaves nothing of a secret, whatever it holds", () => {
  const secret = fc.string({ minLength: 1 }).map((text) => `Zq${text.replaceAll(/\n/g, "")}Zq`);
  const name = fc.constantFrom("password", "wsrep_sst_auth", "master_password", "aws_secret_access_key", "vault-token");
  fc.assert(
    fc.property(name, secret, (name, secret) => {
      expect(maskSecrets(`[x]\n${name} = ${secret}\nport=1`)).toBe(`[x]\n${name} = ***\nport=1`);
    }),
  );
});

test("parseGrant() never throws, and more lines never make more missing", () => {
  const line = fc.oneof(
    fc.string(),
    fc.constantFrom(
      "GRANT ALL PRIVILEGES ON *.* TO `a`@`b`",
      "GRANT RELOAD, SUPER ON *.* TO x",
      "GRANT SELECT (`a`) ON `b`.`c` TO x",
    ),
  );
  const needs = { engine: "xtrabackup", vendor: "percona", version: "8.0.36", galera: true } as const;
  fc.assert(
    fc.property(fc.array(line), line, (lines, another) => {
      parseGrant(another);
      const fewer = missingGrants([...lines, another], needs);
      const more = missingGrants(lines, needs);
      expect(more).toEqual(expect.arrayContaining(fewer));
    }),
  );
});

test("a long line takes no longer than its length", () => {
  // Its own work only: other tests share the processors. With the square of the length it would take minutes.
  const begin = process.threadCpuUsage();
  for (const part of [" ", "a-", "'", "\\", "#", "=", "password ", "identified "]) {
    const line = `password_x${part.repeat(100_000)} = 1${part.repeat(100_000)}.`;
    maskSecrets(line);
    parseOptionFile(`[client]\nx=${line}`, "/x.cnf");
  }
  const { user, system } = process.threadCpuUsage(begin);
  expect((user + system) / 1e6).toBeLessThan(5);
});

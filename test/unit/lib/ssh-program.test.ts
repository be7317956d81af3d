import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sshProgram } from "../../../src/lib/ssh-program.ts";
import { checkTarget, type SshTarget } from "../../../src/lib/ssh-target.ts";

let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "ssh-program-"));
});
afterAll(() => rmSync(dir, { recursive: true }));

function target(changes: Partial<SshTarget> = {}): SshTarget {
  const file = join(dir, 'a "key" 100%d');
  return {
    host: "db7",
    port: 2222,
    user: "backup",
    keyFile: file,
    knownHostsFile: file,
    hostKeys: "accept-new",
    ...changes,
  };
}

/** How ssh itself reads the command line. */
function settings(changes: Partial<SshTarget> = {}): string {
  const { file, args } = sshProgram(target(changes), "true");
  return execFileSync(file, ["-G", ...args], { encoding: "utf8" });
}

test("sshProgram() ends the options before the host, and the far command is one argument", () => {
  expect(sshProgram(target(), "echo 'a b'").args.slice(-7)).toEqual([
    "-p",
    "2222",
    "-l",
    "backup",
    "--",
    "db7",
    "echo 'a b'",
  ]);
});

test("sshProgram() never asks, and trusts known hosts only", () => {
  const said = settings();
  for (const line of [
    "batchmode yes",
    "stricthostkeychecking true",
    "globalknownhostsfile /dev/null",
    "forwardagent no",
  ]) {
    expect(said).toContain(`${line}\n`);
  }
  expect(said).toContain("ciphers aes128-gcm@openssh.com,");
});

test("sshProgram() passes on awkward paths as they are", () => {
  writeFileSync(target().keyFile, "");
  const said = settings();
  // Percent signs of this one are read at a later time.
  expect(said).toContain(`identityfile ${target().keyFile.replace("%", "%%")}\n`);
  expect(said).toContain(`userknownhostsfile ${target().knownHostsFile}\n`);
});

test("sshProgram() offers no other key when the file is missing", () => {
  expect(settings({ keyFile: join(dir, "none") })).toContain("identityfile none\n");
});

test.each(["db7", "db-7.example.com", "10.0.0.1", "::1", "fe80::1%eth0", "DB_7"])(
  "checkTarget() takes the host %s",
  (host) => {
    expect(() => checkTarget(target({ host }))).not.toThrow();
  },
);

test.each(["", "-oProxyCommand=x", "a b", "a;b", "$(id)", "a\nb", "user@host", "[::1]"])(
  "checkTarget() refuses the host %j",
  (host) => {
    expect(() => checkTarget(target({ host }))).toThrow("as a host");
  },
);

test.each(["", "-l", "a b", "a;b", "root@x"])("checkTarget() refuses the user %j", (user) => {
  expect(() => checkTarget(target({ user }))).toThrow("as a user");
});

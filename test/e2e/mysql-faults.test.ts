import { execFileSync } from "node:child_process";
import { chmodSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Result, Sandbox } from "../support/cli.ts";
import { leftoversIn, temporaryDirectories } from "../support/leftovers.ts";
import { hasMariadb, type Mariadb, startMariadb } from "../support/servers/mariadb.ts";

type Keys = Readonly<Record<string, string | number>>;

let sandbox: Sandbox;
let server: Mariadb;

beforeEach(async () => {
  sandbox = new Sandbox();
  server = await startMariadb();
  await server.sql(`
    create database shop; use shop;
    create table shop.t (id int primary key, t varchar(100));
    insert into shop.t select seq, md5(seq) from seq_1_to_20000`);
});

afterEach(async () => {
  await server.stop();
  sandbox[Symbol.dispose]();
});

function configure(mysql: Keys = {}, copies = sandbox.copies): void {
  sandbox.configure({
    source: { backup_mysql: "yes" },
    destination: { backup_destination: "local" },
    local: { backup_dir: copies },
    mysql: { mysql_defaults_file: server.defaultsFile, full_backup: "daily", ...mysql },
    compression: { program: "zstd", threads: 1 },
  });
}

/** What the status holds, of whatever run type. */
async function recorded(): Promise<string[]> {
  const result = await sandbox.run(["status", "--type", "mysql"]);
  expect(result.exitCode).toBe(0);
  return Object.values(JSON.parse(result.stdout) as Record<string, object>).flatMap((folder) => Object.keys(folder));
}

/** The run failed in one line, recorded nothing and left nothing; the next one succeeds. */
async function expectNothing(result: Result, before: readonly string[], said: RegExp): Promise<void> {
  expect(result.exitCode).not.toBe(0);
  expect(result.stdout).toBe("");
  expect(result.stderr).toMatch(said);
  expect(await recorded()).toEqual(before);
  expect(temporaryDirectories(sandbox.temporary)).toEqual([]);
  expect(leftoversIn(sandbox.copies)).toEqual([]);
}

/** A tool that does as the real one, but for what `change` says in shell. `$@` are its arguments. */
function tool(change: string): string {
  const path = sandbox.path("mariadb-backup");
  writeFileSync(path, `#!/bin/bash\n${change}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** Wait for a program that copies this server's data. */
async function copier(): Promise<number> {
  for (let tries = 0; tries < 5000; tries++) {
    const pid = readdirSync("/proc").find((entry) => {
      if (!/^\d+$/.test(entry)) return false;
      try {
        const line = readFileSync(`/proc/${entry}/cmdline`, "utf8");
        return line.includes("mariadb-backup") && line.includes("--backup") && line.includes(server.defaultsFile);
      } catch {
        return false;
      }
    });
    if (pid !== undefined) return Number(pid);
    await sleep(2);
  }
  throw new Error("no copy was begun");
}

describe.skipIf(!hasMariadb())("backup mysql records nothing when", () => {
  test("the tool is killed", async () => {
    configure();
    const running = sandbox.run(["backup", "daily"]);
    process.kill(await copier(), "SIGKILL");
    await expectNothing(await running, [], /mariadb-backup.*SIGKILL/);
    expect((await sandbox.run(["backup", "daily"])).exitCode).toBe(0);
  });

  test("the tool exits 1 when all was streamed", async () => {
    configure({
      xtrabackup_binary: tool('mariadb-backup "$@"; s=$?; case "$*" in *--backup*) exit 1;; esac; exit $s'),
    });
    await expectNothing(await sandbox.run(["backup", "daily"]), [], /mariadb-backup.*exit.* 1/);
  });

  test("the tool does not say that it completed", async () => {
    configure({
      xtrabackup_binary: tool('mariadb-backup "$@" 2> >(grep -v "completed OK" >&2); s=$?; sleep 0.2; exit $s'),
    });
    await expectNothing(await sandbox.run(["backup", "daily"]), [], /completed OK/);
  });

  test("an increment starts at another place than was asked for", async () => {
    configure();
    expect(await sandbox.run(["backup", "daily"])).toMatchObject({ exitCode: 0, stderr: "" });
    const full = await recorded();
    configure({
      xtrabackup_binary: tool('exec mariadb-backup "${@/--incremental-lsn=*/--incremental-lsn=999999999}"'),
    });
    await expectNothing(await sandbox.run(["backup", "hourly"]), full, /lsn/i);
  });

  test("the server dies", async () => {
    configure();
    const running = sandbox.run(["backup", "daily"]);
    const pid = await copier();
    process.kill(pid, "SIGSTOP");
    server.kill();
    process.kill(pid, "SIGCONT");
    await expectNothing(await running, [], /./);
  });

  test("a privilege is missing", async () => {
    await server.sql("create user weak@localhost identified by 'secret-word'; grant process on *.* to weak@localhost");
    const defaults = sandbox.path("weak.cnf");
    writeFileSync(defaults, `[client]\nuser=weak\npassword=secret-word\nsocket=${server.socket}\n`, { mode: 0o600 });
    configure({ mysql_defaults_file: defaults });
    const result = await sandbox.run(["backup", "daily"]);
    await expectNothing(result, [], /RELOAD/);
    expect(result.exitCode).toBe(77);
    expect(result.stderr).not.toContain("secret-word");
  });

  test("the password is wrong", async () => {
    await server.sql("create user strong@localhost identified by 'right'");
    const defaults = sandbox.path("wrong.cnf");
    writeFileSync(defaults, `[client]\nuser=strong\npassword=wrong-word\nsocket=${server.socket}\n`, { mode: 0o600 });
    configure({ mysql_defaults_file: defaults });
    const result = await sandbox.run(["backup", "daily"]);
    await expectNothing(result, [], /strong/);
    expect(result.exitCode).toBe(77);
    expect(result.stderr).not.toContain("wrong-word");
  });

  test("the server is down", async () => {
    configure();
    await server.shutDown();
    const result = await sandbox.run(["backup", "daily"]);
    await expectNothing(result, [], /Cannot connect/);
    expect(result.exitCode).toBe(69);
  });

  test("the tool is missing", async () => {
    configure({ xtrabackup_binary: "/nowhere/mariadb-backup" });
    const result = await sandbox.run(["backup", "daily"]);
    await expectNothing(result, [], /\/nowhere\/mariadb-backup/);
    expect(result.exitCode).toBe(78);
  });

  test("the tool is older than the server", async () => {
    configure({ xtrabackup_binary: tool('mariadb-backup "$@" 2>&1 | sed "s/10\\.11\\.[0-9]*/10.6.9/g"') });
    await expectNothing(await sandbox.run(["backup", "daily"]), [], /10\.6/);
  });

  test("there is no room for temporary files", async () => {
    const mount = sandbox.directory("tiny");
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", mount]);
    try {
      execFileSync("sh", ["-c", `cat /dev/zero > ${mount}/fill 2>/dev/null || true`]);
      configure();
      await expectNothing(await sandbox.run(["backup", "daily"], { env: { TMPDIR: mount } }), [], /./);
    } finally {
      execFileSync("umount", [mount]);
    }
  });

  test("the destination is full", async () => {
    const mount = sandbox.directory("small");
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", mount]);
    try {
      configure({}, mount);
      const result = await sandbox.run(["backup", "daily"]);
      expect(result.stderr).toMatch(/no space is left/);
      expect(result.exitCode).toBe(1);
      expect(await recorded()).toEqual([]);
      expect(leftoversIn(mount)).toEqual([]);
    } finally {
      execFileSync("umount", [mount]);
    }
  });
});

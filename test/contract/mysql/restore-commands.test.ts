import { execFile, execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openLocal } from "../../../src/destination/local.ts";
import type { MysqlCopy } from "../../../src/domain/copy.ts";
import { copyKey, mysqlName } from "../../../src/domain/names.ts";
import { storeCopy } from "../../../src/job/shelf.ts";
import { at, fullCopy } from "../../support/copies.ts";
import { processesMentioning } from "../../support/leftovers.ts";
import { shelve, streamCopy } from "../../support/mysql-copies.ts";
import { hasMariadb, startMariadb } from "../../support/servers/mariadb.ts";
import { shelfOn } from "../../support/shelves.ts";
import { chunks } from "../../support/streams.ts";

const MAIN = new URL("../../../src/main.ts", import.meta.url).pathname;

let scratch: string;
let full: MysqlCopy;
let increment: MysqlCopy;

type Result = { readonly exitCode: number | null; readonly stdout: string; readonly stderr: string };

/** Run the program with the config of this test. */
function run(...args: readonly string[]): Promise<Result> {
  const words = [MAIN, "--config", join(scratch, "twindb.cfg"), ...args];
  return new Promise((resolve) => {
    const env = { PATH: "/usr/bin:/bin:/usr/sbin", HOME: scratch, TMPDIR: join(scratch, "tmp") };
    const child = execFile(process.execPath, words, { env }, (_error, stdout, stderr) =>
      resolve({ exitCode: child.exitCode, stdout, stderr }),
    );
  });
}

function parsed(result: Result): Record<string, unknown> {
  return JSON.parse(result.stdout) as Record<string, unknown>;
}

/** Store a data directory as one whose files are copied as they are. */
async function shelveArchive(archive: Buffer): Promise<MysqlCopy> {
  await using destination = await openLocal({ kind: "local", directory: join(scratch, "copies") });
  const key = copyKey({ media: "mysql", host: "db7", interval: "weekly", name: mysqlName(at(2), "tar") });
  const describe = (digest: { bytes: number; sha256: string }): MysqlCopy => ({
    ...fullCopy(at(2)),
    key,
    interval: "weekly",
    suffixes: [],
    format: "tar",
    tool: "clone",
    serverVersion: full.serverVersion,
    ...digest,
  });
  const newCopy = { key, content: chunks(archive), describe };
  const { status } = await storeCopy(shelfOn(destination, "mysql"), newCopy, { signal: new AbortController().signal });
  const copy = status.copies.find((each) => each.key === key);
  if (copy === undefined) throw new Error("it was not recorded");
  return copy;
}

async function rowsIn(datadir: string): Promise<string> {
  const server = await startMariadb({ datadir });
  try {
    return await server.sql("select group_concat(id order by id) from shop.orders");
  } finally {
    await server.stop();
  }
}

beforeAll(async () => {
  if (!hasMariadb()) return;
  scratch = mkdtempSync(join(tmpdir(), "restore-commands-"));
  chmodSync(scratch, 0o755);
  for (const name of ["tmp", "kept"]) mkdirSync(join(scratch, name));
  await using destination = await openLocal({ kind: "local", directory: join(scratch, "copies") });
  const shelf = shelfOn(destination, "mysql");
  const server = await startMariadb();
  try {
    const config = new Map([["/etc/mysql/my.cnf", `[mysqld]\ndatadir=${join(scratch, "datadir")}\n`]]);
    await server.sql(
      "create database shop; create table shop.orders (id int primary key); insert into shop.orders values (1)",
    );
    const first = streamCopy(server);
    full = await shelve(shelf, first, { takenAt: at(1), config });
    await server.sql("insert into shop.orders values (2)");
    increment = await shelve(shelf, streamCopy(server, { fromLsn: first.toLsn }), {
      takenAt: at(1, 1),
      parent: full.key,
      config,
    });
  } finally {
    await server.stop();
  }
  const lines = ["[source]", "backup_dirs=/etc", "[destination]", "backup_destination=local"];
  lines.push(`keep_local_path=${join(scratch, "kept")}`, "[local]", `backup_dir=${join(scratch, "copies")}`);
  writeFileSync(join(scratch, "twindb.cfg"), lines.join("\n"), { mode: 0o600 });
}, 120_000);

afterAll(() => {
  if (hasMariadb()) rmSync(scratch, { recursive: true, force: true });
});

describe.skipIf(!hasMariadb())("restore mysql", () => {
  test("restore mysql --dry-run prints the plan and changes nothing", async () => {
    const target = join(scratch, "dry");
    const result = await run("restore", "mysql", increment.key, "--dst", target, "--dry-run");
    expect(result).toMatchObject({ exitCode: 0, stderr: "" });
    const lines = result.stdout.trimEnd().split("\n");
    expect(lines[1]).toMatch(new RegExp(`^full copy +[\\d.]+ [KM]iB  zstd, mariadb-backup \\d.* +${full.key}$`));
    expect(lines[2]).toContain(increment.key);
    expect(lines[4]).toMatch(/^space needed: [\d.]+ MiB, free at /);
    expect(existsSync(target)).toBe(false);
  });

  test("restore mysql --dry-run --json tells what is missing, with its exit status", async () => {
    const wanted = ["restore", "mysql", increment.key, "--dst", join(scratch, "dry"), "--dry-run", "--json"];
    const good = await run(...wanted);
    expect(parsed(good)).toMatchObject({ possible: true, problems: [], backup_copy: increment.key });
    const bad = await run("--xtrabackup-binary", "/nowhere/mariadb-backup", ...wanted);
    expect(bad.exitCode).toBe(78);
    expect(parsed(bad)).toMatchObject({ possible: false, parts: [{ key: full.key }, { key: increment.key }] });
    expect(bad.stdout).toContain("/nowhere/mariadb-backup");
  });

  test("restore mysql latest restores the newest, and prints what is left to do", async () => {
    const target = join(scratch, "restored");
    const result = await run("restore", "mysql", "latest", "--hostname", "db7", "--dst", target);
    expect(result).toMatchObject({ exitCode: 0, stderr: "" });
    expect(result.stdout).toContain(`mv ${target} ${join(scratch, "datadir")}`);
    expect(result.stdout).toMatch(/file binlog\.\d+, position \d+\n/);
    rmSync(join(target, "_config"), { recursive: true });
    expect(await rowsIn(target)).toBe("1,2");
  });

  test("restore mysql --copy-back puts the data in place, with the owner and modes of a server", async () => {
    const datadir = join(scratch, "datadir");
    const result = await run("restore", "mysql", full.key, "--copy-back", "--json");
    expect(result).toMatchObject({ exitCode: 0, stderr: "" });
    expect(parsed(result)).toMatchObject({ success: true, destination: datadir });
    expect(statSync(datadir).mode & 0o777).toBe(0o750);
    expect(statSync(join(datadir, "ibdata1")).mode & 0o777).toBe(0o640);
    const owner = userInfo().uid === 0 ? Number(execFileSync("id", ["-u", "mysql"])) : userInfo().uid;
    expect(statSync(join(datadir, "ibdata1")).uid).toBe(owner);
    expect(existsSync(join(datadir, "_config"))).toBe(false);
    expect(await rowsIn(datadir)).toBe("1");
    const again = await run("restore", "mysql", full.key, "--copy-back");
    expect(again).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("it holds") as string });
  });

  test("restore mysql --copy-back stays out of a directory in which a server runs", async () => {
    const server = await startMariadb();
    try {
      const result = await run("restore", "mysql", full.key, "--copy-back", "--datadir", server.datadir);
      expect(result).toMatchObject({
        exitCode: 2,
        stderr: expect.stringContaining("a server runs there, with pid") as string,
      });
    } finally {
      await server.stop();
    }
  });

  test.each([
    [["--copy-back", "--dst", "x"], "two places"],
    [["--datadir", "/x"], "--datadir goes with --copy-back"],
  ])("restore mysql refuses %j", async (options, words) => {
    const result = await run("restore", "mysql", full.key, ...options);
    expect(result).toMatchObject({ exitCode: 2, stdout: "", stderr: expect.stringContaining(words) as string });
  });

  test.each(["SIGINT", "SIGTERM", "SIGKILL"] as const)(
    "restore mysql leaves no program and no data after %s",
    async (name) => {
      const slow = join(scratch, "slow-tool");
      const script = `case "$*" in *--prepare*) touch ${slow}.reached; sleep 1000;; esac; exec mariadb-backup "$@"`;
      writeFileSync(slow, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      rmSync(`${slow}.reached`, { force: true });
      const place = join(scratch, "interrupted");
      mkdirSync(place, { recursive: true });
      const args = ["--xtrabackup-binary", slow, "restore", "mysql", full.key, "--dst", join(place, "target")];
      const child = spawn(process.execPath, [MAIN, "--config", join(scratch, "twindb.cfg"), ...args], {
        stdio: "ignore",
      });
      const ended = new Promise((resolve) => child.once("close", (code, signal) => resolve(code ?? signal)));
      await expect.poll(() => existsSync(`${slow}.reached`)).toBe(true);
      child.kill(name);
      expect(await ended).toBe({ SIGINT: 130, SIGTERM: 143, SIGKILL: "SIGKILL" }[name]);
      await expect.poll(() => processesMentioning(place)).toEqual([]);
      // One that was killed cannot clean up; the next one does.
      if (name === "SIGKILL")
        expect((await run("restore", "mysql", full.key, "--dst", join(place, "next"))).exitCode).toBe(0);
      expect(readdirSync(place)).toEqual(name === "SIGKILL" ? ["next"] : []);
    },
  );

  test("restore mysql reads a copy that is kept on this host", async () => {
    cpSync(join(scratch, "copies", full.key), join(scratch, "kept", full.key), { recursive: true });
    const stored = join(scratch, "copies", full.key);
    const bytes = readFileSync(stored);
    const target = join(scratch, "from-kept");
    writeFileSync(stored, bytes.with(100, (bytes[100] ?? 0) ^ 1));
    try {
      const far = await run("restore", "mysql", full.key, "--dst", target);
      expect(far).toMatchObject({ exitCode: 65, stderr: expect.stringContaining(full.key) as string });
      expect(existsSync(target)).toBe(false);
      const near = await run("restore", "mysql", join(scratch, "kept", full.key), "--dst", target);
      expect(near).toMatchObject({ exitCode: 0, stderr: "" });
    } finally {
      writeFileSync(stored, bytes);
    }
  });
});

describe.skipIf(!hasMariadb())("verify mysql", () => {
  test("verify mysql starts a server on the copy, and says so as the predecessor did", async () => {
    const result = await run("verify", "mysql", "latest", "--hostname", "db7", "--json");
    expect(result).toMatchObject({ exitCode: 0, stderr: "" });
    expect(parsed(result)).toMatchObject({ backup_copy: increment.key, success: true, level: "boot", error: null });
    expect(result.stdout).toContain('\n    "restore_time": ');
    expect(readdirSync(join(scratch, "tmp"))).toEqual([]);
    const listed = await run("ls", "--type", "mysql", "--json");
    expect(listed.stdout).toContain('"state": "verified"');
  });

  test("verify mysql all exits with 65 and names the copy to blame", async () => {
    const stored = join(scratch, "copies", full.key);
    const bytes = readFileSync(stored);
    writeFileSync(stored, bytes.with(5000, (bytes[5000] ?? 0) ^ 1));
    try {
      const result = await run("verify", "mysql", "all", "--hostname", "db7", "--level", "prepare");
      expect(result.exitCode).toBe(65);
      expect(result.stdout.match(/^FAILED +prepare/gm)).toHaveLength(2);
      expect(
        result.stderr
          .trim()
          .split("\n")
          .every((line) => line.includes(full.key)),
      ).toBe(true);
      const json = await run("verify", "mysql", increment.key, "--level", "prepare", "--json");
      expect(parsed(json)).toMatchObject({ success: false, culprit: full.key, backup_copy: increment.key });
    } finally {
      writeFileSync(stored, bytes);
    }
    expect((await run("verify", "mysql", "all", "--hostname", "db7", "--level", "prepare")).exitCode).toBe(0);
  });

  test("verify mysql finds what no checksum tells: a table that was damaged before it was copied", async () => {
    const datadir = join(scratch, "damaged");
    expect(await run("restore", "mysql", full.key, "--dst", datadir)).toMatchObject({ exitCode: 0 });
    rmSync(join(datadir, "_config"), { recursive: true });
    const file = join(datadir, "shop", "orders.ibd");
    const pages = readFileSync(file);
    writeFileSync(file, pages.fill(0x41, 3 * 16_384 + 100, 3 * 16_384 + 200));
    const archive = execFileSync("tar", ["-C", datadir, "-cf", "-", "."], { maxBuffer: 1024 ** 3 });
    const copy = await shelveArchive(archive);
    const reading = await run("verify", "mysql", copy.key, "--level", "checksum");
    expect(reading).toMatchObject({ exitCode: 0, stderr: "" });
    const booting = await run("verify", "mysql", copy.key, "--json");
    expect(booting.exitCode).toBe(65);
    expect(parsed(booting)).toMatchObject({ success: false, culprit: copy.key, level: "boot" });
  });

  test("verify mysql of an unknown copy, or a host without any, is no such copy", async () => {
    expect(await run("verify", "mysql", "nothing")).toMatchObject({ exitCode: 66 });
    expect(await run("verify", "mysql", "latest", "--hostname", "db9")).toMatchObject({ exitCode: 66 });
  });
});

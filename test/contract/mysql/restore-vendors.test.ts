import { execFile, execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openLocal } from "../../../src/destination/local.ts";
import type { MysqlCopy } from "../../../src/domain/copy.ts";
import { copyKey, mysqlName } from "../../../src/domain/names.ts";
import { storeCopy } from "../../../src/job/shelf.ts";
import { at, fullCopy } from "../../support/copies.ts";
import { shelve, streamCopy } from "../../support/mysql-copies.ts";
import { hasNextMariadb, NEXT_MARIADB_BIN, startNextMariadb } from "../../support/servers/mariadb-next.ts";
import { hasMysql, MYSQL_BIN, startMysql } from "../../support/servers/mysql.ts";
import { shelfOn } from "../../support/shelves.ts";
import { chunks } from "../../support/streams.ts";

const MAIN = new URL("../../../src/main.ts", import.meta.url).pathname;
const FILL =
  "create database shop; create table shop.orders (id int primary key); insert into shop.orders values (1), (2)";
const READ = "select group_concat(id order by id) from shop.orders";

let scratch: string;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "restore-vendors-"));
  chmodSync(scratch, 0o755);
  mkdirSync(join(scratch, "tmp"));
  const lines = ["[destination]", "backup_destination=local", "[local]", `backup_dir=${join(scratch, "copies")}`];
  writeFileSync(join(scratch, "twindb.cfg"), ["[source]", "backup_dirs=/etc", ...lines].join("\n"), { mode: 0o600 });
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

/** Run the program, with programs of a directory before those of the system. */
function run(
  bin: string,
  ...args: readonly string[]
): Promise<{ exitCode: number | null; stdout: string; stderr: string }> {
  const env = { PATH: `${bin}:/usr/bin:/bin:/usr/sbin`, HOME: scratch, TMPDIR: join(scratch, "tmp") };
  return new Promise((resolve) => {
    const words = [MAIN, "--config", join(scratch, "twindb.cfg"), ...args];
    const child = execFile(process.execPath, words, { env }, (_error, stdout, stderr) =>
      resolve({ exitCode: child.exitCode, stdout, stderr }),
    );
  });
}

test.skipIf(!hasNextMariadb())("restore mysql restores MariaDB 11.8, whose tool names its files anew", async () => {
  await using destination = await openLocal({ kind: "local", directory: join(scratch, "copies") });
  const shelf = shelfOn(destination, "mysql");
  const tool = join(NEXT_MARIADB_BIN, "mariadb-backup");
  const server = await startNextMariadb();
  try {
    await server.sql(FILL);
    const first = streamCopy(server, { tool });
    const full = await shelve(shelf, first, { takenAt: at(1), version: "11.8.3" });
    await server.sql("insert into shop.orders values (3)");
    const second = streamCopy(server, { tool, fromLsn: first.toLsn });
    await shelve(shelf, second, { takenAt: at(1, 1), parent: full.key, version: "11.8.3" });
  } finally {
    await server.stop();
  }
  const target = join(scratch, "target");
  const wanted = ["restore", "mysql", "latest", "--hostname", "db7", "--dst", target];
  // The tool of an older series would not do, and is not tried.
  const refused = await run("/usr/bin", ...wanted);
  expect(refused).toMatchObject({ exitCode: 78, stdout: "", stderr: expect.stringContaining("11.8") as string });
  const binaries = ["--xtrabackup-binary", tool, "--xbstream-binary", join(NEXT_MARIADB_BIN, "mbstream")];
  const result = await run("/usr/bin", ...binaries, ...wanted);
  expect(result).toMatchObject({ exitCode: 0, stderr: "" });
  expect(result.stdout).toMatch(/file binlog\.\d+, position \d+\n/);
  const restored = await startNextMariadb({ datadir: target });
  try {
    expect(await restored.sql(READ)).toBe("1,2,3");
  } finally {
    await restored.stop();
  }
});

/** Take a copy as the CLONE plugin makes it, and store it as an archive. */
async function cloned(): Promise<MysqlCopy> {
  await using destination = await openLocal({ kind: "local", directory: join(scratch, "copies") });
  const server = await startMysql();
  try {
    const clone = join(server.root, "run", "clone");
    await server.sql(`${FILL}; install plugin clone soname 'mysql_clone.so'; clone local data directory='${clone}'`);
    const archive = execFileSync("tar", ["-C", clone, "-cf", "-", "."], { maxBuffer: 1024 ** 3 });
    const key = copyKey({ media: "mysql", host: "db7", interval: "daily", name: mysqlName(at(1), "tar") });
    const serverVersion = await server.sql("select @@version");
    const describe = (digest: { bytes: number; sha256: string }): MysqlCopy => ({
      ...fullCopy(at(1), { key, suffixes: [], vendor: "oracle", format: "tar", tool: "clone", serverVersion }),
      ...digest,
    });
    const { status } = await storeCopy(
      shelfOn(destination, "mysql"),
      { key, content: chunks(archive), describe },
      { signal: new AbortController().signal },
    );
    return status.copies[0] ?? fullCopy(at(1));
  } finally {
    await server.stop();
  }
}

test.skipIf(!hasMysql())("restore and verify mysql bring back what MySQL's CLONE plugin copied", async () => {
  const copy = await cloned();
  expect(await run(MYSQL_BIN, "verify", "mysql", copy.key, "--level", "checksum")).toMatchObject({
    exitCode: 0,
    stderr: "",
  });
  const verified = await run(MYSQL_BIN, "verify", "mysql", copy.key, "--json");
  expect(verified).toMatchObject({ exitCode: 0, stderr: "" });
  expect(JSON.parse(verified.stdout)).toMatchObject({ level: "boot", success: true });
  const target = join(scratch, "target");
  expect(await run("/usr/bin", "restore", "mysql", copy.key, "--dst", target)).toMatchObject({
    exitCode: 0,
    stderr: "",
  });
  const restored = await startMysql({ datadir: target });
  try {
    expect(await restored.sql(READ)).toBe("1,2");
  } finally {
    await restored.stop();
  }
});

test.skipIf(!hasMysql())("verify mysql prepares only where no server can read the data, and says so", async () => {
  const copy = await cloned();
  const result = await run("/usr/bin", "verify", "mysql", copy.key);
  expect(result).toMatchObject({ exitCode: 0, stderr: expect.stringContaining("it is prepared only") as string });
  expect(result.stdout).toMatch(/^ok +prepare /m);
});

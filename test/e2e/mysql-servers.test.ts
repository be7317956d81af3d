import { execFileSync } from "node:child_process";
import { chmodSync, readdirSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openLocal } from "../../src/destination/local.ts";
import { StatusStore } from "../../src/status/store.ts";
import { Sandbox } from "../support/cli.ts";
import { leftoversIn } from "../support/leftovers.ts";
import type { Database } from "../support/servers/database.ts";
import { checksums, startWriter } from "../support/servers/load.ts";
import { hasMariadb, startMariadb } from "../support/servers/mariadb.ts";
import { hasNextMariadb, NEXT_MARIADB_BIN, startNextMariadb } from "../support/servers/mariadb-next.ts";
import { hasMysql, MYSQL_BIN, startMysql } from "../support/servers/mysql.ts";

type Keys = Readonly<Record<string, string | number>>;
type CopyRecord = {
  readonly binlog: string | null;
  readonly position: number | null;
  readonly gtid?: string;
  readonly checksums?: object;
};

let sandbox: Sandbox;

beforeEach(() => {
  sandbox = new Sandbox();
  chmodSync(sandbox.root, 0o755);
});
afterEach(() => sandbox[Symbol.dispose]());

function configure(server: Database, mysql: Keys = {}): void {
  sandbox.configure({
    source: { backup_mysql: "yes" },
    destination: { backup_destination: "local" },
    local: { backup_dir: sandbox.copies },
    mysql: { mysql_defaults_file: server.defaultsFile, full_backup: "daily", ...mysql },
    compression: { program: "zstd", threads: 1 },
  });
}

async function run(...args: readonly string[]): Promise<string> {
  const result = await sandbox.run(args);
  expect(result).toMatchObject({ exitCode: 0, stderr: "" });
  return result.stdout;
}

async function lastRecord(): Promise<CopyRecord> {
  const folders = JSON.parse(await run("status")) as Record<string, Record<string, CopyRecord>>;
  const [last] = Object.entries(Object.assign({}, ...Object.values(folders)) as Record<string, CopyRecord>)
    .sort(([left], [right]) => (left.slice(-30) < right.slice(-30) ? -1 : 1))
    .slice(-1)
    .map(([, record]) => record);
  if (last === undefined) throw new Error("nothing is recorded");
  return last;
}

/** Restore the newest copy. @returns where. */
async function restored(): Promise<string> {
  const target = sandbox.path("restored");
  rmSync(target, { recursive: true, force: true });
  await run("restore", "mysql", "latest", "--dst", target);
  return target;
}

const SHOP = `
  create database shop; use shop;
  create table orders (id int primary key auto_increment, t varchar(200));
  insert into orders (t) values (uuid()), (uuid()), (uuid());
  insert into orders (t) select concat(t, uuid()) from orders;
  insert into orders (t) select concat(a.t, uuid()) from orders a join orders b`;

/** The names of the logs from a position on. */
function logsFrom(server: Database, file: string): string[] {
  const names = readdirSync(server.datadir).filter((name) => /^binlog\.\d+$/.test(name) && name >= file);
  return names.sort().map((name) => join(server.datadir, name));
}

describe.skipIf(!hasMysql())("MySQL 9 by its CLONE plugin", () => {
  let server: Database;
  beforeEach(async () => {
    server = await startMysql();
    await server.sql(SHOP);
  });
  afterEach(() => server.stop());

  test("a full copy restores, boots, and has the rows and GTIDs of then", async () => {
    configure(server, { engine: "clone" });
    const [sums, gtid] = [await checksums(server), await server.sql("select @@gtid_executed")];
    await run("backup", "daily");
    expect(await lastRecord()).toMatchObject({ gtid: gtid.replaceAll("\\n", "") });
    const copy = await startMysql({ datadir: await restored() });
    expect(await checksums(copy)).toEqual(sums);
    expect(await copy.sql("select @@gtid_executed")).toBe(gtid);
    await copy.stop();
    expect(leftoversIn(sandbox.copies)).toEqual([]);
  });

  test("what was written after the copy is brought by the binary log from its position on", async () => {
    configure(server, { engine: "clone" });
    await run("backup", "daily");
    const { binlog, position } = await lastRecord();
    await server.sql("use shop; insert into orders (t) values ('after'); update orders set t = 'changed' where id = 2");
    const sums = await checksums(server);
    await server.sql("flush logs");
    const copy = await startMysql({ datadir: await restored() });
    const files = logsFrom(server, binlog ?? "").slice(0, -1);
    const sql = execFileSync(join(MYSQL_BIN, "mysqlbinlog"), [`--start-position=${position}`, ...files]);
    execFileSync(copy.client, [`--defaults-file=${copy.defaultsFile}`, "--binary-mode"], { input: sql });
    expect(await checksums(copy)).toEqual(sums);
    await copy.stop();
  });

  test("under a steady load the copy is consistent", async () => {
    configure(server, { engine: "clone" });
    const writer = await startWriter(server);
    const before = await writer.more(20);
    await run("backup", "daily");
    await writer.stop();
    const copy = await startMysql({ datadir: await restored() });
    const [count, last] = (await copy.sql("select count(*), max(id) from steady.log")).split("\t").map(Number);
    expect(count).toBe(last);
    expect(last).toBeGreaterThanOrEqual(before);
    await copy.stop();
  });
});

describe.skipIf(!hasMariadb())("MariaDB", () => {
  test("what was written after the copy is brought by the binary log from its position on", async () => {
    const server = await startMariadb();
    await server.sql(SHOP);
    configure(server);
    const writer = await startWriter(server);
    await run("backup", "daily");
    await writer.more(20);
    await run("backup", "hourly");
    await writer.more(20);
    await writer.stop();
    const { binlog, position, gtid } = await lastRecord();
    expect(gtid).toMatch(/^0-\d+-\d+$/);
    const sums = await checksums(server);
    await server.sql("flush logs");
    const copy = await startMariadb({ datadir: await restored(), lines: ["gtid_strict_mode=0"] });
    const files = logsFrom(server, binlog ?? "").slice(0, -1);
    const args = ["--skip-gtid-strict-mode", `--start-position=${position}`, ...files];
    const sql = execFileSync("mariadb-binlog", args, { maxBuffer: 2 ** 28 });
    execFileSync(copy.client, [`--defaults-file=${copy.defaultsFile}`, "--binary-mode"], { input: sql });
    expect(await checksums(copy)).toEqual(sums);
    await copy.stop();
    await server.stop();
  });
});

test.skipIf(!hasMariadb())(
  "checksums of quiet tables are recorded when asked for, and compared by verify",
  async () => {
    const server = await startMariadb();
    await server.sql(SHOP);
    configure(server, { record_checksums: "yes" });
    const writer = await startWriter(server);
    await run("backup", "daily");
    await writer.stop();
    await server.stop();
    expect((await lastRecord()).checksums).toEqual({ "shop.orders": expect.stringMatching(/^\d+$/) });
    await run("verify", "mysql", "latest");

    await using destination = await openLocal({ kind: "local", directory: sandbox.copies });
    const status = new StatusStore(destination, { host: hostname(), media: "mysql" });
    const checksums = new Map([["shop.orders", "1"]]);
    await status.update(({ copies }) => ({ copies: copies.map((copy) => ({ ...copy, checksums })) }), {
      signal: new AbortController().signal,
    });
    const result = await sandbox.run(["verify", "mysql", "latest"]);
    expect(result.exitCode).toBe(65);
    expect(result.stderr).toMatch(/table shop\.orders is damaged, its checksum is \d+, 1 was recorded/);
  },
);

test.skipIf(!hasNextMariadb())("MariaDB 11.8 and its renamed files: a full copy and an increment restore", async () => {
  const server = await startNextMariadb();
  configure(server, {
    xtrabackup_binary: join(NEXT_MARIADB_BIN, "mariadb-backup"),
    xbstream_binary: join(NEXT_MARIADB_BIN, "mbstream"),
  });
  await server.sql(SHOP);
  await run("backup", "daily");
  await server.sql("use shop; insert into orders (t) values ('later'); create table more (id int primary key)");
  await run("backup", "hourly");
  const sums = await checksums(server);
  await server.stop();
  const copy = await startNextMariadb({ datadir: await restored() });
  expect(await checksums(copy)).toEqual(sums);
  await copy.stop();
});

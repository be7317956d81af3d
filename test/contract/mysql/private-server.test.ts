import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { basename, dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { checkTables } from "../../../src/mysql/check-tables.ts";
import { type PrivateServerRequest, startPrivateServer } from "../../../src/mysql/private-server.ts";
import { isRoot } from "../../support/servers/database.ts";
import { checksums } from "../../support/servers/load.ts";
import { hasMariadb, startMariadb } from "../../support/servers/mariadb.ts";
import { hasMysql, MYSQL_BIN } from "../../support/servers/mysql.ts";
import { openSession } from "../../support/servers/session.ts";

const TOOL = "/usr/bin/mariadb-backup";
const signal = new AbortController().signal;

/** Tables of several engines, with names that need quotes. */
const TABLES = `
  CREATE DATABASE \`odd db\`; USE \`odd db\`;
  CREATE TABLE \`t\`\`b\` (a INT PRIMARY KEY, b VARCHAR(500), KEY (b));
  INSERT INTO \`t\`\`b\` SELECT seq, REPEAT(MD5(seq), 10) FROM seq_1_to_5000;
  CREATE TABLE flat (a INT PRIMARY KEY) ENGINE=MyISAM; INSERT INTO flat SELECT seq FROM seq_1_to_500;
  CREATE TABLE dull (a INT) ENGINE=MEMORY;
  CREATE TABLE words (a INT PRIMARY KEY, b TEXT, FULLTEXT KEY (b)); INSERT INTO words VALUES (1, 'some words');
  CREATE TABLE \`wörld #P# 日本\` (a INT) PARTITION BY HASH (a) PARTITIONS 2;
  CREATE TABLE past (a INT) WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME (PARTITION old HISTORY, PARTITION now CURRENT);
  CREATE SEQUENCE s;
  CREATE VIEW v AS SELECT a FROM \`t\`\`b\`;
  CREATE TABLE gone (a INT); CREATE VIEW broken AS SELECT a FROM gone; DROP TABLE gone`;

/** Ids of the processes with `word` among their arguments. */
function processesWith(word: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8")
          .split("\0")
          .some((argument) => argument.includes(word));
      } catch {
        // It ended in between.
        return false;
      }
    })
    .map(Number);
}

/** A directory any user may pass through, with what `make` puts in. */
function scratch(): string {
  const root = mkdtempSync(join(tmpdir(), "private-server-"));
  execFileSync("chmod", ["755", root]);
  return root;
}

describe.skipIf(!hasMariadb())("startPrivateServer()", () => {
  let root: string;
  let prepared: string;
  let before: ReadonlyMap<string, string>;
  let version: string;

  /** A prepared copy of its own, which the test may spoil. */
  function copy(): string {
    const path = join(mkdtempSync(join(root, "copy-")), "data");
    execFileSync("chmod", ["755", dirname(path)]);
    execFileSync("cp", ["-a", prepared, path]);
    return path;
  }

  function request(directory: string, changes: Partial<PrivateServerRequest> = {}): PrivateServerRequest {
    return { directory, vendor: "mariadb", serverVersion: version, signal, ...changes };
  }

  async function refused(changed: PrivateServerRequest): Promise<unknown> {
    return startPrivateServer(changed).then(
      async (server) => {
        await server[Symbol.asyncDispose]();
        throw new Error("it started");
      },
      (error: unknown) => error,
    );
  }

  beforeAll(async () => {
    root = scratch();
    prepared = join(root, "prepared");
    const server = await startMariadb({ lines: ["innodb_data_file_path=ibdata1:12M;ibdata2:8M:autoextend"] });
    await server.sql(TABLES);
    before = await checksums(server);
    version = await server.sql("SELECT VERSION()");
    const tool = (...args: string[]) => execFileSync(TOOL, args, { stdio: "pipe" });
    tool(`--defaults-file=${server.defaultsFile}`, "--backup", `--target-dir=${prepared}`);
    tool("--prepare", `--target-dir=${prepared}`);
    await server.stop();
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  afterEach(() => vi.unstubAllEnvs());

  test("serves a prepared copy, to us alone, and ends cleanly", async () => {
    const directory = copy();
    const server = await startPrivateServer(request(directory));
    const place = dirname(dirname(server.socket));
    {
      await using session = await openSession(server.socket);
      const variables = `SELECT @@skip_networking, @@log_bin, @@event_scheduler, @@read_only, @@wsrep_on, @@innodb_data_file_path`;
      expect(Object.values((await session.rows(variables))[0] ?? {})).toEqual([
        "1",
        "0",
        "DISABLED",
        "1",
        "0",
        "ibdata1:12M;ibdata2:8M:autoextend",
      ]);
      for (const [name, checksum] of before) {
        const quoted = name
          .replace("odd db.", "`odd db`.")
          .replace("t`b", "`t``b`")
          .replace(/wörld.*/, "`$&`");
        const [found] = await session.rows(`CHECKSUM TABLE ${quoted}`);
        expect(found).toEqual({ Table: name, Checksum: checksum });
      }
      expect(before.size).toBe(7);
      expect(await checkTables(session, { signal })).toEqual([]);
    }
    const [pid] = processesWith(directory);
    expect(pid).toBeDefined();
    await server[Symbol.asyncDispose]();
    expect(processesWith(directory)).toEqual([]);
    expect(existsSync(place)).toBe(false);
  });

  test("reads no option file of whoever calls", async () => {
    const home = mkdtempSync(join(root, "home-"));
    writeFileSync(join(home, ".my.cnf"), "[server]\nnonsense=1\n[mysqld]\nport=1\n");
    vi.stubEnv("HOME", home);
    vi.stubEnv("MYSQL_HOME", home);
    await using server = await startPrivateServer(request(copy()));
    expect(existsSync(server.socket)).toBe(true);
  });

  test("tells a damaged system tablespace in the server's own words", async () => {
    const directory = copy();
    const file = openSync(join(directory, "ibdata1"), "r+");
    writeSync(file, Buffer.alloc(4 * 1024 * 1024, 0x5a), 0, undefined, 0);
    closeSync(file);
    const error = await refused(request(directory));
    expect(error).toMatchObject({
      code: "DATA_DAMAGED",
      message: expect.stringMatching(/^Cannot run "mariadbd" on ".*ibdata1/),
    });
    expect(processesWith(directory)).toEqual([]);
  });

  test("finds those words beside a damaged page that is printed in full", async () => {
    const directory = copy();
    const file = openSync(join(directory, "ibdata1"), "r+");
    writeSync(file, Buffer.alloc(4096, 0x5a), 0, undefined, 5 * 16_384 + 4096);
    closeSync(file);
    expect(await refused(request(directory))).toMatchObject({
      code: "DATA_DAMAGED",
      message: expect.stringContaining(
        "Failed to read page 5 from file './ibdata1': Page read from tablespace is corrupted",
      ),
    });
  });

  test.each(["ibdata1", "ibdata2", "ib_logfile0"])("tells that %s is not there", async (name) => {
    const directory = copy();
    rmSync(join(directory, name), { recursive: true });
    expect(await refused(request(directory))).toMatchObject({ code: "DATA_DAMAGED" });
  });

  test.skipIf(!isRoot())("does not blame the data for a place the server may not enter", async () => {
    const directory = copy();
    chmodSync(dirname(directory), 0o700);
    const error = await refused(request(directory));
    chmodSync(dirname(directory), 0o755);
    expect(error).toMatchObject({
      code: "NOT_PERMITTED",
      hint: expect.stringContaining("enter every directory above"),
    });
  });

  test.each([
    [
      "mariadb",
      "12.0.2-MariaDB",
      /^Cannot start ".*mariadbd": it is MariaDB 10\.11.* of MariaDB 12\.0 needs that version/,
    ],
    ["mariadb", "10.99.1-MariaDB", /a copy of MariaDB 10\.99 needs/],
    ["oracle", "8.4.6", /^Cannot start ".*mysqld": it is (?:MariaDB|not installed).* of MySQL 8\.4 needs/],
  ] as const)("refuses a copy of %s %s", async (vendor, serverVersion, message) => {
    const error = await refused(request(copy(), { vendor, serverVersion }));
    expect(error).toMatchObject({ code: "CONFIG_INVALID", message: expect.stringMatching(message) });
  });

  test("refuses a program that is not there", async () => {
    const error = await refused(request(copy(), { binary: join(root, "nothing") }));
    expect(error).toMatchObject({ code: "CONFIG_INVALID", message: expect.stringContaining("it is not installed") });
  });

  test("an abort ends the start", async () => {
    const directory = copy();
    const controller = new AbortController();
    const starting = refused(request(directory, { signal: controller.signal }));
    await vi.waitFor(() => expect(processesWith(`--datadir=${directory}`)).toHaveLength(1), { interval: 5 });
    controller.abort(new Error("enough"));
    expect(String(await starting)).toContain("enough");
    expect(processesWith(directory)).toEqual([]);
  });

  test("a start that takes too long is ended", async () => {
    const directory = copy();
    const error = await refused(request(directory, { startSeconds: 0 }));
    expect(error).toMatchObject({
      code: "PROGRAM_FAILED",
      message: expect.stringContaining("no answer for 0 seconds"),
    });
    expect(processesWith(directory)).toEqual([]);
  });

  test("explain() names the end of the server as the reason", async () => {
    const directory = copy();
    await using server = await startPrivateServer(request(directory));
    const session = await openSession(server.socket);
    const met = new Error("some other thing");
    expect(await server.explain(met)).toBe(met);
    const [pid] = processesWith(`--datadir=${directory}`);
    process.kill(pid ?? 0, "SIGKILL");
    const lost = await session.value("SELECT 1").catch((error: unknown) => error);
    expect(await server.explain(lost)).toMatchObject({
      code: "PROGRAM_FAILED",
      message: expect.stringContaining("SIGKILL"),
    });
  });

  test("a kill of ours leaves no server, and the next start removes its traces", async () => {
    const directory = copy();
    const temporary = mkdtempSync(join(root, "tmp-"));
    chmodSync(temporary, 0o755);
    const program = new URL("start-and-stay.ts", import.meta.url).pathname;
    const env = { ...process.env, TMPDIR: temporary };
    const child = spawn(process.execPath, [program, directory, version], { env, stdio: ["ignore", "pipe", "inherit"] });
    await new Promise((resolve) => child.stdout.once("data", resolve));
    expect(processesWith(`--datadir=${directory}`)).toHaveLength(1);
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
    await vi.waitFor(() => expect(processesWith(`--datadir=${directory}`)).toEqual([]), { timeout: 5000 });
    expect(readdirSync(temporary)).toHaveLength(1);
    vi.stubEnv("TMPDIR", temporary);
    await using server = await startPrivateServer(request(directory));
    expect(readdirSync(temporary)).toEqual([basename(dirname(dirname(server.socket)))]);
  });

  test("checkTables() finds a damaged page", async () => {
    const directory = copy();
    const file = openSync(join(directory, "odd@0020db", "t@0060b.ibd"), "r+");
    writeSync(file, Buffer.alloc(8000, 0x5a), 0, undefined, 8 * 16_384 + 4000);
    closeSync(file);
    await using server = await startPrivateServer(request(directory));
    await using session = await openSession(server.socket);
    const problems = await checkTables(session, { signal });
    expect(problems).toEqual([{ table: "odd db.t`b", message: expect.stringMatching(/corrupt/i) }]);
  });

  test("checkTables() misses what ought to be there", async () => {
    const directory = copy();
    rmSync(join(directory, "odd@0020db", "t@0060b.frm"));
    rmSync(join(directory, "mysql", "db.frm"));
    await using server = await startPrivateServer(request(directory));
    await using session = await openSession(server.socket);
    const problems = await checkTables(session, { signal });
    expect(problems.map(({ table }) => table)).toEqual(["mysql.db", "odd db.t`b"]);
  });

  test("checkTables() finds a table whose data is not there", async () => {
    const directory = copy();
    rmSync(join(directory, "odd@0020db", "t@0060b.ibd"));
    await using server = await startPrivateServer(request(directory));
    await using session = await openSession(server.socket);
    const problems = await checkTables(session, { signal });
    expect(problems).toEqual([{ table: "odd db.t`b", message: expect.stringMatching(/doesn't exist|missing/i) }]);
  });
});

describe.skipIf(!hasMysql())("startPrivateServer() of MySQL", () => {
  test("serves data whose names are in lower case", async () => {
    const root = scratch();
    const directory = join(root, "data");
    const binary = join(MYSQL_BIN, "mysqld");
    const args = ["--no-defaults", `--user=${userInfo().username}`, "--mysqlx=OFF", `--datadir=${directory}`];
    execFileSync(binary, [...args, "--initialize-insecure", "--lower-case-table-names=1"], { stdio: "pipe" });
    {
      await using server = await startPrivateServer({
        directory,
        vendor: "oracle",
        serverVersion: "9.0.1",
        binary,
        signal,
      });
      await using session = await openSession(server.socket);
      expect(await session.value("SELECT @@lower_case_table_names")).toBe("1");
      expect(await checkTables(session, { signal })).toEqual([]);
    }
    expect(processesWith(directory)).toEqual([]);
    rmSync(root, { recursive: true });
  });
});

import { appendFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Result, Sandbox } from "../support/cli.ts";
import { leftoversIn } from "../support/leftovers.ts";
import type { Database, DatabaseOptions } from "../support/servers/database.ts";
import { hasMariadb, startMariadb } from "../support/servers/mariadb.ts";
import { hasMysql, startMysql } from "../support/servers/mysql.ts";
import { waitFor } from "../support/wait-for.ts";

const SILENT = { exitCode: 0, stdout: "", stderr: "" };

type Make = {
  readonly name: string;
  readonly isThere: boolean;
  readonly start: (options: DatabaseOptions) => Promise<Database>;
  readonly follow: (port: number) => string;
  readonly stopApplying: string;
  readonly goOnApplying: string;
  readonly promote: string;
  /** What the first one logged, and whether the second one has applied that. */
  readonly logged: string;
  readonly hasApplied: (gtid: string) => string;
  readonly gtid: string;
};

const MAKES: readonly Make[] = [
  {
    name: "MariaDB",
    isThere: hasMariadb(),
    start: startMariadb,
    follow: (port) =>
      `CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=${port}, MASTER_USER='repl', MASTER_PASSWORD='secret', MASTER_USE_GTID=slave_pos; START SLAVE`,
    stopApplying: "STOP SLAVE SQL_THREAD",
    goOnApplying: "START SLAVE SQL_THREAD",
    promote: "STOP SLAVE; RESET SLAVE ALL",
    logged: "SELECT @@gtid_binlog_pos",
    hasApplied: (gtid) => `SELECT @@gtid_slave_pos = '${gtid}'`,
    gtid: String.raw`0-1-\d+`,
  },
  {
    name: "MySQL 9",
    isThere: hasMysql(),
    start: startMysqlOfItsOwn,
    follow: (port) =>
      `CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=${port}, SOURCE_USER='repl', SOURCE_PASSWORD='secret', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1; START REPLICA`,
    stopApplying: "STOP REPLICA SQL_THREAD",
    goOnApplying: "START REPLICA SQL_THREAD",
    promote: "STOP REPLICA; RESET REPLICA ALL",
    logged: "SELECT @@gtid_executed",
    hasApplied: (gtid) => `SELECT GTID_SUBSET('${gtid}', @@gtid_executed)`,
    gtid: String.raw`[0-9a-f-]{36}:\d+`,
  },
];

/** Data directories of one template share a UUID, until the server has to make one anew. */
async function startMysqlOfItsOwn(options: DatabaseOptions): Promise<Database> {
  const server = await startMysql(options);
  await server.shutDown();
  rmSync(join(server.datadir, "auto.cnf"));
  const again = await startMysql({ ...options, root: server.root, port: server.port });
  return {
    ...again,
    async stop() {
      await again.stop();
      rmSync(server.root, { recursive: true, force: true });
    },
  };
}

describe.each(MAKES)("two servers of $name, one after the other", (make) => {
  describe.skipIf(!make.isThere)("on this host", () => {
    let sandbox: Sandbox;
    let first: Database;
    let second: Database;

    beforeEach(async () => {
      sandbox = new Sandbox();
      [first, second] = await Promise.all([
        make.start({ lines: ["server_id=1"] }),
        make.start({ lines: ["server_id=2", "read_only=1"] }),
      ]);
      await first.sql("CREATE USER repl@'127.0.0.1' IDENTIFIED BY 'secret'; GRANT ALL ON *.* TO repl@'127.0.0.1'");
      await second.sql(make.follow(first.port));
      await first.sql("CREATE DATABASE shop; CREATE TABLE shop.orders (id INT PRIMARY KEY)");
    });

    afterEach(async () => {
      await Promise.all([first.stop(), second.stop()]);
      sandbox[Symbol.dispose]();
    });

    /** Run the program as on the host of one of the servers. */
    function on(host: "a" | "b", args: readonly string[]): Promise<Result> {
      const server = host === "a" ? first : second;
      sandbox.configure({
        source: { backup_dirs: "/etc", hostname: host },
        destination: { backup_destination: "local" },
        local: { backup_dir: sandbox.copies },
        mysql: { mysql_defaults_file: server.defaultsFile, rotate_seconds: 0 },
      });
      const own = ["--lock-file", sandbox.lock];
      return sandbox.run(args[1] === "push" ? [...args, ...own] : args);
    }

    async function insert(server: Database, id: number): Promise<void> {
      await server.sql(`INSERT INTO shop.orders VALUES (${id})`);
    }

    async function logsOf(server: Database): Promise<number> {
      return (await server.sql("SHOW BINARY LOGS")).trim().split("\n").length;
    }

    async function replicated(): Promise<void> {
      const gtid = (await first.sql(make.logged)).trim();
      await waitFor(async () => (await second.sql(make.hasApplied(gtid))).trim() === "1");
    }

    async function rowsOf(host: string): Promise<string> {
      return (await on("a", ["binlog", "ls", "--host", host, "--json"])).stdout;
    }

    test("logs are purged once the peer has applied them, and a primary that was replaced archives no more", async () => {
      // The peer is reached with a login of its own.
      appendFileSync(first.defaultsFile, "\n[twindb-peer-127.0.0.1]\nuser=repl\npassword=secret\n");
      const purge = ["binlog", "purge", "--keep-hours", "0", "--peer", `127.0.0.1:${second.port}`];
      await replicated();
      expect(await on("a", ["binlog", "push"])).toMatchObject(SILENT);
      // A relay thread that still reads a log keeps it for a moment.
      await waitFor(async () => {
        expect(await on("a", purge)).toMatchObject(SILENT);
        return (await logsOf(first)) === 1;
      });
      await second.sql(make.stopApplying);
      await insert(first, 1);
      expect(await on("a", ["binlog", "push"])).toMatchObject(SILENT);
      await insert(first, 2);
      expect(await on("a", ["binlog", "push"])).toMatchObject(SILENT);
      const before = await logsOf(first);
      expect((await on("a", [...purge, "--dry-run"])).stdout).toMatch(new RegExp(`has not applied ${make.gtid}`));
      expect(await on("a", purge)).toMatchObject(SILENT);
      expect(await logsOf(first)).toBe(before);
      await second.sql(make.goOnApplying);
      await replicated();
      expect((await on("a", [...purge, "--dry-run"])).stdout).toMatch(/^would be purged: .*\nkept: .* writes to it\n$/);
      expect(await logsOf(first)).toBe(before);
      // A relay thread that still reads a log keeps it; it has read on by now.
      expect(await on("a", purge)).toMatchObject(SILENT);
      expect(await logsOf(first)).toBeLessThan(before);

      // The old primary is cut off, and the new one promoted. What it writes alone is lost.
      await second.sql(make.promote);
      await insert(first, 3);
      expect(await on("a", ["binlog", "push"])).toMatchObject(SILENT);
      expect(await on("b", ["binlog", "takeover", "a"])).toMatchObject({ exitCode: 1, stdout: "" });
      await second.sql("SET GLOBAL read_only=0");
      const taken = await on("b", ["binlog", "takeover", "a"]);
      expect(taken).toMatchObject({ exitCode: 0 });
      expect(taken.stdout).toMatch(/^the archive of a ends in "binlog\.\d+"; only the server on b may archive now\n/);
      expect(taken.stderr).toMatch(new RegExp(`never got what the old primary logged besides: ${make.gtid}`));
      await insert(second, 3);
      expect(await on("b", ["binlog", "push"])).toMatchObject(SILENT);

      // It wakes up.
      const archive = await rowsOf("a");
      expect(archive).toMatch(new RegExp(`another server took over, and never got ${make.gtid}`));
      await insert(first, 4);
      const logs = await logsOf(first);
      const zombie = await on("a", ["binlog", "push"]);
      expect(zombie).toMatchObject({ exitCode: 1, stdout: "" });
      expect(zombie.stderr).toMatch(
        /^twindb-backup: Cannot archive binary logs of "a": the server on "b" took over at .*\n$/,
      );
      expect(await rowsOf("a")).toBe(archive);
      // It was not even made to close a log.
      expect(await logsOf(first)).toBe(logs);
      expect((await on("a", purge)).exitCode).toBe(1);

      // Also when its status is lost, and rebuilt from the manifests.
      for (const name of ["binlog-status", "binlog-status.previous"]) writeFileSync(`${sandbox.copies}/a/${name}`, "");
      expect((await on("a", ["binlog", "push"])).exitCode).not.toBe(0);
      expect((await on("a", ["status", "rebuild"])).exitCode).toBe(0);
      expect((await on("a", ["binlog", "push"])).stderr).toContain('the server on "b" took over');
      expect(await rowsOf("a")).toBe(archive);
      expect(leftoversIn(sandbox.copies)).toEqual([]);
    });
  });
});

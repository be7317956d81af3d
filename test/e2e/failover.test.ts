import { appendFileSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Result, Sandbox } from "../support/cli.ts";
import { leftoversIn } from "../support/leftovers.ts";
import type { Database } from "../support/servers/database.ts";
import { MAKES } from "../support/servers/replicas.ts";
import { waitFor } from "../support/wait-for.ts";

const SILENT = { exitCode: 0, stdout: "", stderr: "" };

describe.each(MAKES)("two servers of $name, one after the other", (make) => {
  describe.skipIf(!make.isThere)("on this host", () => {
    let sandbox: Sandbox;
    let first: Database;
    let second: Database;

    beforeEach(async () => {
      sandbox = new Sandbox();
      [first, second] = await Promise.all([
        make.start({ lines: ["server_id=1"] }),
        make.start({ lines: ["server_id=2", "read_only=1", make.logsApplied] }),
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
        source: { backup_dirs: "/etc", backup_mysql: "yes", hostname: host },
        destination: { backup_destination: "local" },
        local: { backup_dir: sandbox.copies },
        mysql: { mysql_defaults_file: server.defaultsFile, rotate_seconds: 0, ...make.config },
      });
      const own = ["--lock-file", sandbox.lock];
      return sandbox.run(args[1] === "push" ? [...args, ...own] : args, { env: { PATH: make.path } });
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

    /** Commit rows, one after the other. */
    async function write(server: Database, from: number, count: number): Promise<void> {
      const rows = Array.from({ length: count }, (_, index) => `INSERT INTO shop.orders VALUES (${from + index})`);
      await server.sql(rows.join(";"));
    }

    /** What the server has to say of all its rows. */
    async function contentOf(server: Database): Promise<string> {
      return server.sql("CHECKSUM TABLE shop.orders; SELECT COUNT(*), MIN(id), MAX(id), SUM(id) FROM shop.orders");
    }

    /** A moment at which nothing is written; logs of MariaDB tell whole seconds. */
    async function quietMoment(): Promise<string> {
      await pause(1100);
      const at = new Date().toISOString();
      await pause(1100);
      return at;
    }

    async function inside<T>(datadir: string, look: (server: Database) => Promise<T>): Promise<T> {
      rmSync(`${datadir}/_config`, { recursive: true, force: true });
      const restored = await make.startOn({ datadir });
      try {
        return await look(restored);
      } finally {
        await restored.stop();
        rmSync(datadir, { recursive: true, force: true });
      }
    }

    test("a copy of the old primary is brought forward to a moment after the failover", async () => {
      await write(first, 1, 20);
      expect(await on("a", ["backup", "daily", "--only", "mysql"])).toMatchObject(SILENT);
      await write(first, 21, 20);
      expect(await on("a", ["binlog", "push"])).toMatchObject(SILENT);
      await write(first, 41, 20);
      await replicated();
      // This is archived, and never reaches the replica; what follows reaches nobody.
      await second.sql(make.stopApplying);
      await write(first, 1000, 5);
      expect(await on("a", ["binlog", "push"])).toMatchObject(SILENT);
      await write(first, 2000, 5);
      first.kill();

      await second.sql(`${make.promote}; SET GLOBAL read_only=0`);
      expect((await on("b", ["binlog", "takeover", "a"])).exitCode).toBe(0);
      await write(second, 61, 20);
      const inBetween = { at: await quietMoment(), content: await contentOf(second) };
      await write(second, 81, 20);
      expect(await on("b", ["binlog", "push"])).toMatchObject(SILENT);
      first = await make.startOn({ root: first.root, port: first.port, lines: ["server_id=1"] });
      await write(first, 3000, 5);
      // What it wrote is named, and is nowhere.
      expect((await on("a", ["binlog", "push"])).stderr).toMatch(
        new RegExp(`the server on "b" took over at [^,]*, and never got ${make.gtid}[^\\n]*, which this one logged`),
      );
      await write(second, 101, 20);
      const latest = { at: "latest", content: await contentOf(second) };
      expect(await on("b", ["binlog", "push"])).toMatchObject(SILENT);

      const listed = JSON.parse((await on("a", ["ls", "--type", "mysql", "--json"])).stdout) as {
        copies: { host: string; gaps: unknown[]; recoverable_until: string }[];
      };
      expect(listed.copies).toMatchObject([{ host: "a", gaps: [] }]);
      expect(Date.parse(listed.copies[0]?.recoverable_until ?? "")).toBeGreaterThan(Date.parse(inBetween.at));
      // MySQL takes its time to start on each.
      for (const { at, content } of make.name === "MariaDB" ? [inBetween, latest] : [inBetween]) {
        const target = sandbox.path(`restored-${at}`);
        const restore = ["restore", "mysql", "latest", "--hostname", "a", "--to-time", at, "--dst", target];
        const plan = await on("b", [...restore, "--dry-run"]);
        expect(plan.stdout).toMatch(/^join: the server that took over on b goes on behind .*; left out, .*$/m);
        const restored = await on("b", restore);
        expect(restored).toMatchObject({ exitCode: 0 });
        expect(restored.stderr).toMatch(new RegExp(`^[^\n]*never got it: ${make.gtid}[^\n]*\n$`));
        expect(await inside(target, contentOf)).toBe(content);
      }
      expect(leftoversIn(sandbox.copies)).toEqual([]);
    });
  });
});

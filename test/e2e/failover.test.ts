import { appendFileSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { leftoversIn } from "../support/leftovers.ts";
import type { Database } from "../support/servers/database.ts";
import { MAKES } from "../support/servers/replicas.ts";
import { TwoServers } from "../support/two-servers.ts";
import { waitFor } from "../support/wait-for.ts";

const SILENT = { exitCode: 0, stdout: "", stderr: "" };

describe.each(MAKES)("two servers of $name, one after the other", (make) => {
  describe.skipIf(!make.isThere)("on this host", () => {
    let two: TwoServers;
    let first: Database;
    let second: Database;

    beforeEach(async () => {
      two = await TwoServers.start(make);
      ({ first, second } = two);
      await first.sql("CREATE DATABASE shop; CREATE TABLE shop.orders (id INT PRIMARY KEY)");
    });
    afterEach(() => two[Symbol.asyncDispose]());

    const on = (host: "a" | "b", args: readonly string[]) => two.on(host, args);

    async function insert(server: Database, id: number): Promise<void> {
      await server.sql(`INSERT INTO shop.orders VALUES (${id})`);
    }

    async function logsOf(server: Database): Promise<number> {
      return (await server.sql("SHOW BINARY LOGS")).trim().split("\n").length;
    }

    async function rowsOf(host: string): Promise<string> {
      return (await on("a", ["binlog", "ls", "--host", host, "--json"])).stdout;
    }

    test("logs are purged once the peer has applied them, and a primary that was replaced archives no more", async () => {
      // The peer is reached with a login of its own.
      appendFileSync(first.defaultsFile, "\n[twindb-peer-127.0.0.1]\nuser=repl\npassword=secret\n");
      const purge = ["binlog", "purge", "--keep-hours", "0", "--peer", `127.0.0.1:${second.port}`];
      await two.replicated();
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
      await two.replicated();
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
      for (const name of ["binlog-status", "binlog-status.previous"])
        writeFileSync(`${two.sandbox.copies}/a/${name}`, "");
      expect((await on("a", ["binlog", "push"])).exitCode).not.toBe(0);
      expect((await on("a", ["status", "rebuild"])).exitCode).toBe(0);
      expect((await on("a", ["binlog", "push"])).stderr).toContain('the server on "b" took over');
      expect(await rowsOf("a")).toBe(archive);
      expect(leftoversIn(two.sandbox.copies)).toEqual([]);
    });
  });
});

import { appendFileSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Result, Sandbox } from "../support/cli.ts";
import { leftoversIn } from "../support/leftovers.ts";
import { hasMariadb, type Mariadb, startMariadb } from "../support/servers/mariadb.ts";
import { waitFor } from "../support/wait-for.ts";

const SILENT = { exitCode: 0, stdout: "", stderr: "" };

describe.skipIf(!hasMariadb())("two servers, one after the other", () => {
  let sandbox: Sandbox;
  let first: Mariadb;
  let second: Mariadb;

  beforeEach(async () => {
    sandbox = new Sandbox();
    [first, second] = await Promise.all([
      startMariadb({ lines: ["server_id=1"] }),
      startMariadb({ lines: ["server_id=2", "read_only=1"] }),
    ]);
    await first.sql("CREATE USER repl@'127.0.0.1' IDENTIFIED BY 'secret'; GRANT ALL ON *.* TO repl@'127.0.0.1'");
    await second.sql(
      `CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=${first.port}, MASTER_USER='repl', MASTER_PASSWORD='secret', MASTER_USE_GTID=slave_pos; START SLAVE`,
    );
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

  async function insert(server: Mariadb, id: number): Promise<void> {
    await server.sql(`INSERT INTO shop.orders VALUES (${id})`);
  }

  async function logsOf(server: Mariadb): Promise<number> {
    return (await server.sql("SHOW BINARY LOGS")).trim().split("\n").length;
  }

  async function replicated(): Promise<void> {
    const position = (await first.sql("SELECT @@gtid_binlog_pos")).trim();
    await waitFor(async () => (await second.sql("SELECT @@gtid_slave_pos")).trim() === position);
  }

  async function rowsOf(host: string): Promise<string> {
    return (await on("a", ["binlog", "ls", "--host", host, "--json"])).stdout;
  }

  test("logs are purged once the peer has applied them, and a primary that was replaced archives no more", async () => {
    // The peer is reached with a login of its own.
    appendFileSync(first.defaultsFile, "\n[twindb-peer-127.0.0.1]\nuser=repl\npassword=secret\n");
    await replicated();
    await second.sql("STOP SLAVE SQL_THREAD");
    await insert(first, 1);
    expect(await on("a", ["binlog", "push"])).toMatchObject(SILENT);
    await insert(first, 2);
    expect(await on("a", ["binlog", "push"])).toMatchObject(SILENT);
    const before = await logsOf(first);
    const purge = ["binlog", "purge", "--keep-hours", "0", "--peer", `127.0.0.1:${second.port}`];
    expect((await on("a", [...purge, "--dry-run"])).stdout).toMatch(/has not applied 0-1-\d+/);
    expect(await on("a", purge)).toMatchObject(SILENT);
    expect(await logsOf(first)).toBe(before);
    await second.sql("START SLAVE SQL_THREAD");
    await replicated();
    expect((await on("a", [...purge, "--dry-run"])).stdout).toMatch(
      /^would be purged: .*\nkept from .* writes to it\n$/,
    );
    expect(await logsOf(first)).toBe(before);
    // A relay thread that still reads a log keeps it; it has read on by now.
    expect(await on("a", purge)).toMatchObject(SILENT);
    expect(await logsOf(first)).toBeLessThan(before);

    // The old primary is cut off, and the new one promoted. What it writes alone is lost.
    await second.sql("STOP SLAVE; RESET SLAVE ALL");
    await insert(first, 3);
    expect(await on("a", ["binlog", "push"])).toMatchObject(SILENT);
    expect(await on("b", ["binlog", "takeover", "a"])).toMatchObject({ exitCode: 1, stdout: "" });
    await second.sql("SET GLOBAL read_only=0");
    const taken = await on("b", ["binlog", "takeover", "a"]);
    expect(taken).toMatchObject({ exitCode: 0 });
    expect(taken.stdout).toMatch(/^the archive of a ends in "binlog\.\d+"; only the server on b may archive now\n/);
    expect(taken.stderr).toMatch(/never got what the old primary logged besides: 0-1-\d+/);
    await insert(second, 3);
    expect(await on("b", ["binlog", "push"])).toMatchObject(SILENT);

    // It wakes up.
    const archive = await rowsOf("a");
    expect(archive).toMatch(/another server took over, and never got 0-1-\d+/);
    await insert(first, 4);
    const zombie = await on("a", ["binlog", "push"]);
    expect(zombie).toMatchObject({ exitCode: 1, stdout: "" });
    expect(zombie.stderr).toMatch(
      /^twindb-backup: Cannot archive binary logs of "a": the server on "b" took over at .*\n$/,
    );
    expect(await rowsOf("a")).toBe(archive);
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

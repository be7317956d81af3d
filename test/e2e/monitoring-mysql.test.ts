import { chmodSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { readExposition } from "../support/exposition.ts";
import type { Database } from "../support/servers/database.ts";
import { hasMariadb, startMariadb } from "../support/servers/mariadb.ts";

const SILENT = { exitCode: 0, stdout: "", stderr: "" };

describe.skipIf(!hasMariadb())("measures of MariaDB and its binary logs", () => {
  let sandbox: Sandbox;
  let server: Database;
  let textfile: string;

  beforeAll(async () => {
    sandbox = new Sandbox();
    chmodSync(sandbox.root, 0o755);
    textfile = join(sandbox.directory("collector"), "twindb.prom");
    server = await startMariadb();
    await server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY AUTO_INCREMENT)");
    sandbox.configure({
      source: { backup_mysql: "yes", hostname: "db1" },
      destination: { backup_destination: "local" },
      local: { backup_dir: sandbox.copies },
      mysql: { mysql_defaults_file: server.defaultsFile },
      compression: { program: "zstd", threads: 1 },
      export: { transport: "prometheus", textfile },
    });
  });
  afterAll(async () => {
    await server.stop();
    sandbox[Symbol.dispose]();
  });

  function measures(): Map<string, number> {
    const samples = readExposition(readFileSync(textfile, "utf8"));
    return new Map(
      samples.map(({ name, labels: { part = "", run_type = "" }, value }) => [
        [name.replace("twindb_backup_", ""), run_type, part].filter((word) => word !== "").join(" "),
        value,
      ]),
    );
  }

  test("the window grows with each archived log, and a server that is gone is told of beside what is stored", async () => {
    expect(await sandbox.run(["backup", "daily"])).toMatchObject(SILENT);
    const first = measures();
    expect(first.get("last_run_success daily")).toBe(1);
    expect(first.get("duration_seconds daily mysql")).toBeGreaterThan(0);
    expect(first.get("duration_seconds daily binlog")).toBeGreaterThan(0);
    expect(first.get("copies mysql")).toBe(1);

    await sleep(1100);
    await server.sql("INSERT INTO d.t VALUES (NULL)");
    const writtenAt = Math.floor(Date.now() / 1000);
    expect(await sandbox.run(["binlog", "push", "--lock-file", sandbox.lock])).toMatchObject(SILENT);
    const second = measures();
    expect(second.get("binlog_archived_until_timestamp_seconds binlog")).toBeGreaterThanOrEqual(writtenAt - 1);
    expect(second.get("recoverable_until_timestamp_seconds mysql")).toBeGreaterThanOrEqual(writtenAt - 1);
    expect(second.get("recoverable_until_timestamp_seconds mysql")).toBeGreaterThan(
      first.get("recoverable_until_timestamp_seconds mysql") ?? Infinity,
    );
    expect(second.get("binlog_gaps mysql")).toBe(0);
    expect(second.get("last_run_success none")).toBe(1);
    expect(second.get("last_run_success daily")).toBe(1);

    const plugin = await sandbox.run(["check", "--nagios"]);
    expect(plugin.stdout).toMatch(/^TWINDB-BACKUP OK - mysql \d+ s old, binlog \d+ s old \| 'age mysql'=/);
    expect(plugin.exitCode).toBe(0);
    const table = await sandbox.run(["status", "--host", "all"]);
    expect(table.stdout).toMatch(/^db1 +mysql .* ok$/m);
    expect(table.stdout).toMatch(/^db1 +binlog .* ok$/m);

    await server.stop();
    expect(await sandbox.run(["backup", "daily"])).not.toMatchObject({ exitCode: 0 });
    const third = measures();
    expect(third.get("last_run_success daily")).toBe(0);
    expect([third.get("last_run_failures daily mysql"), third.get("last_run_failures daily binlog")]).toEqual([1, 1]);
    expect(third.get("copies mysql")).toBe(1);
    expect(third.get("recoverable_until_timestamp_seconds mysql")).toBe(
      second.get("recoverable_until_timestamp_seconds mysql"),
    );
    expect((await sandbox.run(["check", "--nagios"])).stdout).toMatch(/^TWINDB-BACKUP CRITICAL - mysql: /);
  });
});

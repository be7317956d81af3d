import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { checksums } from "../support/servers/load.ts";
import { hasMariadb, type Mariadb, startMariadb } from "../support/servers/mariadb.ts";

type OldRecord = Readonly<Record<string, unknown>>;
type Old = { readonly key: string; readonly runType: string; readonly record: OldRecord };

const HOST = hostname();
/** Times of names, long ago but in order. */
const STAMPS = ["2026-11-01_00_05_01", "2026-11-01_01_35_01", "2026-11-02_00_05_01"] as const;

/** Take a copy as the predecessor did, by hand, and write it where it would have. */
function takeByHand(server: Mariadb, sandbox: Sandbox, place: { runType: string; stamp: string; parent?: Old }): Old {
  const { runType, stamp, parent } = place;
  const key = `${HOST}/${runType}/mysql/mysql-${stamp}.xbstream.gz`;
  const scratch = sandbox.directory("by-hand", stamp);
  const increment =
    parent === undefined ? "" : `--incremental-basedir=. --incremental-lsn=${String(parent.record["lsn"])}`;
  mkdirSync(dirname(sandbox.path("copies", key)), { recursive: true });
  const script = `set -o pipefail; mariadb-backup --defaults-file=${server.defaultsFile} --backup --stream=xbstream \
    --target-dir=${scratch} --extra-lsndir=${scratch} ${increment} 2> ${scratch}/log | gzip > ${sandbox.path("copies", key)}`;
  expect(spawnSync("bash", ["-c", script]).status).toBe(0);
  const lsn = Number(/^to_lsn = (\d+)$/m.exec(readFileSync(join(scratch, "xtrabackup_checkpoints"), "utf8"))?.[1]);
  const started = Math.floor(new Date(stamp.replace(/_/, "T").replaceAll("_", ":")).getTime() / 1000);
  const record = {
    backup_finished: started + 20,
    backup_started: started,
    binlog: null,
    config: [{ "/etc/my.cnf": Buffer.from("[mysqld]\nserver_id=7\n").toString("base64") }],
    galera: false,
    host: HOST,
    lsn,
    name: key.split("/").at(-1),
    parent: parent?.key ?? null,
    position: null,
    run_type: runType,
    server_vendor: "mariadb",
    type: parent === undefined ? "full" : "incremental",
    wsrep_provider_version: null,
  };
  return { key, runType, record };
}

function innerOf(copies: readonly Old[], change: (record: OldRecord) => OldRecord): string {
  const folders = Object.fromEntries(
    ["hourly", "daily", "weekly", "monthly", "yearly"].map((runType) => [
      runType,
      Object.fromEntries(
        copies.filter((copy) => copy.runType === runType).map(({ key, record }) => [key, change(record)]),
      ),
    ]),
  );
  return Buffer.from(JSON.stringify(folders)).toString("base64");
}

/** The status as the predecessor writes it now. */
function version1(copies: readonly Old[]): string {
  const status = innerOf(copies, (record) => record);
  return JSON.stringify({ md5: createHash("md5").update(status).digest("hex"), status, version: 1 });
}

/** As it wrote it until 2018: no envelope, and fewer fields. */
function version0(copies: readonly Old[]): string {
  return innerOf(
    copies,
    ({ binlog, lsn, parent, position, type, config, backup_started, backup_finished, run_type }) => ({
      binlog,
      lsn,
      parent,
      position,
      type,
      config,
      backup_started,
      backup_finished,
      run_type,
      server_vendor: "mariadb",
    }),
  );
}

describe.skipIf(!hasMariadb())("a destination of the predecessor", () => {
  let sandbox: Sandbox;
  let server: Mariadb;
  let copies: Old[];
  let sums: ReadonlyMap<string, string>[];

  beforeAll(async () => {
    sandbox = new Sandbox();
    chmodSync(sandbox.root, 0o755);
    server = await startMariadb();
    await server.sql(
      "create database shop; use shop; create table t (id int primary key auto_increment, t varchar(99))",
    );
    const change = "use shop; insert into t (t) select md5(seq) from seq_1_to_500";
    copies = [];
    sums = [];
    for (const [index, stamp] of STAMPS.entries()) {
      await server.sql(change);
      const parent = index === 1 ? copies[0] : undefined;
      copies.push(
        takeByHand(server, sandbox, { runType: index === 1 ? "hourly" : "daily", stamp, ...(parent && { parent }) }),
      );
      sums.push(await checksums(server));
    }
    sandbox.configure({
      source: { backup_mysql: "yes" },
      destination: { backup_destination: "local" },
      local: { backup_dir: sandbox.copies },
      mysql: { mysql_defaults_file: server.defaultsFile, full_backup: "daily" },
      compression: { program: "zstd", threads: 1 },
      retention: { daily_copies: 1, hourly_copies: 2 },
    });
  });

  afterAll(async () => {
    await server?.stop();
    sandbox?.[Symbol.dispose]();
  });

  test.each([
    ["version 1", version1],
    ["version 0", version0],
  ])("with a status of %s lists, restores on the recorded parent and verifies", async (_, format) => {
    writeFileSync(sandbox.path("copies", HOST, "status"), format(copies));
    const listed = await sandbox.run(["ls", "--json"]);
    expect(listed).toMatchObject({ exitCode: 0, stderr: "" });
    expect((JSON.parse(listed.stdout) as { copies: { key: string }[] }).copies.map(({ key }) => key).sort()).toEqual(
      copies.map(({ key }) => key).sort(),
    );
    for (const [index, { key }] of copies.entries()) {
      const target = sandbox.path("restored");
      rmSync(target, { recursive: true, force: true });
      expect(await sandbox.run(["restore", "mysql", key, "--dst", target])).toMatchObject({ exitCode: 0, stderr: "" });
      expect(readFileSync(join(target, "_config/etc/my.cnf"), "utf8")).toBe("[mysqld]\nserver_id=7\n");
      rmSync(join(target, "_config"), { recursive: true });
      const restored = await startMariadb({ datadir: target });
      expect(await checksums(restored)).toEqual(sums[index]);
      await restored.stop();
    }
    const verified = await sandbox.run(["verify", "mysql", "all", "--level", "prepare"]);
    expect(verified).toMatchObject({ exitCode: 0, stderr: "" });
  });

  test("goes on with copies of ours, and expires the old ones when nothing needs them", async () => {
    writeFileSync(sandbox.path("copies", HOST, "status"), version1(copies));
    for (const runType of ["daily", "hourly", "hourly", "hourly", "daily"]) {
      expect(await sandbox.run(["backup", runType])).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
    }
    const listed = await sandbox.run(["ls", "--json"]);
    const keys = (JSON.parse(listed.stdout) as { copies: { key: string }[] }).copies.map(({ key }) => key);
    // The first daily one of ours is needed by the increments.
    expect(keys.filter((key) => key.includes("/daily/"))).toHaveLength(2);
    expect(keys.filter((key) => key.includes("/hourly/"))).toHaveLength(2);
    for (const { key } of copies) expect(keys).not.toContain(key);
    expect((await sandbox.run(["verify", "mysql", "all"])).exitCode).toBe(0);
  });
});

import { chmodSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { leftoversIn, processesMentioning } from "../support/leftovers.ts";
import { type Galera, hasGalera, startGalera } from "../support/servers/galera.ts";
import { startWriter } from "../support/servers/load.ts";
import { type Mariadb, startMariadb } from "../support/servers/mariadb.ts";

describe.skipIf(!hasGalera())("backup of a cluster's node", () => {
  let sandbox: Sandbox;
  let galera: Galera;

  beforeAll(async () => {
    sandbox = new Sandbox();
    galera = await startGalera(1);
    await galera.nodes[0].sql(`
      CREATE DATABASE shop; USE shop; CREATE TABLE t (id INT PRIMARY KEY, text VARCHAR(700));
      INSERT INTO t SELECT seq, REPEAT(MD5(seq), 20) FROM seq_1_to_60000`);
    sandbox.configure({
      source: { backup_mysql: "yes" },
      destination: { backup_destination: "local" },
      local: { backup_dir: sandbox.copies },
      mysql: { mysql_defaults_file: galera.nodes[0].defaultsFile },
      compression: { program: "gzip", level: 1 },
    });
  });

  afterAll(async () => {
    await galera.stop();
    sandbox[Symbol.dispose]();
  });

  beforeEach(async () => expect(await isDesynced()).toBe(false));

  async function isDesynced(): Promise<boolean> {
    return (await galera.nodes[0].sql("SELECT @@wsrep_desync")) === "1";
  }

  async function untilDesynced(): Promise<void> {
    for (let tries = 0; tries < 1000; tries++) {
      if (await isDesynced()) return;
      await sleep(10);
    }
    throw new Error("the node was never desynced");
  }

  async function recorded(): Promise<Record<string, unknown>[]> {
    const { stdout } = await sandbox.run(["status", "--type", "mysql"]);
    return Object.values(JSON.parse(stdout) as Record<string, Record<string, Record<string, unknown>>>).flatMap(
      (folder) => Object.values(folder),
    );
  }

  test("it is taken out of flow control for the time of the copy, and back in", async () => {
    const writer = await startWriter(galera.nodes[0]);
    const running = sandbox.run(["backup", "daily"]);
    await untilDesynced();
    expect(await running).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
    await writer.stop();
    expect(await isDesynced()).toBe(false);
    expect(await recorded()).toMatchObject([{ galera: true, wsrep_provider_version: expect.stringMatching(/^\d/) }]);
  });

  test("a run that was killed leaves it out, and the next one takes it back, silent but for that", async () => {
    let pid = 0;
    const running = sandbox.run(["backup", "hourly"], { onStart: (started) => (pid = started) });
    await untilDesynced();
    process.kill(pid, "SIGKILL");
    expect((await running).signal).toBe("SIGKILL");
    await expect.poll(() => processesMentioning(`--defaults-file=${galera.nodes[0].defaultsFile}`)).toEqual([]);
    expect(await isDesynced()).toBe(true);
    const next = await sandbox.run(["backup", "hourly"]);
    expect(next).toMatchObject({ exitCode: 0, stderr: expect.stringMatching(/^[^\n]*left desynced[^\n]*\n$/) });
    expect(await isDesynced()).toBe(false);
    expect((await recorded()).map(({ type }) => type)).toEqual(["incremental", "full"]);
    expect(leftoversIn(sandbox.copies)).toEqual([]);
  });

  test("a run that was killed leaves it out, and a check takes it back", async () => {
    let pid = 0;
    const running = sandbox.run(["backup", "hourly"], { onStart: (started) => (pid = started) });
    await untilDesynced();
    process.kill(pid, "SIGKILL");
    await running;
    expect(await isDesynced()).toBe(true);
    const check = await sandbox.run(["check"]);
    expect(check.stdout).toMatch(/^mysql +ok/m);
    expect(await isDesynced()).toBe(false);
  });

  test("a node that somebody else has taken out is refused, and left as it is", async () => {
    await galera.nodes[0].sql("SET GLOBAL wsrep_desync = ON");
    try {
      const result = await sandbox.run(["backup", "hourly"]);
      expect(result.exitCode).toBe(1);
      expect(result.stderr).toMatch(/wsrep_desync=ON/);
      expect(await isDesynced()).toBe(true);
      expect(await recorded()).toHaveLength(2);
    } finally {
      await galera.nodes[0].sql("SET GLOBAL wsrep_desync = OFF");
    }
  });
});

/** The node's own settings of the cluster. */
function clusterLines({ root }: Mariadb): string[] {
  return readFileSync(join(root, "my.cnf"), "utf8")
    .split("\n")
    .filter((line) => /^(wsrep|innodb_autoinc|gtid_strict)/.test(line));
}

test.skipIf(!hasGalera())(
  "a restored node comes back into a cluster of three by what it missed, not by a new copy",
  async () => {
    using sandbox = new Sandbox();
    chmodSync(sandbox.root, 0o755);
    const cluster = await startGalera(3);
    const [first, , third] = cluster.nodes;
    try {
      if (third === undefined) throw new Error("there are three");
      await first.sql(
        "CREATE DATABASE shop; USE shop; CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1), (2)",
      );
      sandbox.configure({
        source: { backup_mysql: "yes" },
        destination: { backup_destination: "local" },
        local: { backup_dir: sandbox.copies },
        mysql: { mysql_defaults_file: third.defaultsFile },
        compression: { program: "zstd", threads: 1 },
      });
      expect(await sandbox.run(["backup", "daily"])).toMatchObject({ exitCode: 0, stderr: "" });
      const lines = clusterLines(third);
      await third.shutDown();
      await first.sql("USE shop; INSERT INTO t VALUES (3), (4)");
      const target = sandbox.path("restored");
      expect(await sandbox.run(["restore", "mysql", "latest", "--dst", target])).toMatchObject({
        exitCode: 0,
        stderr: "",
      });
      expect(readFileSync(join(target, "grastate.dat"), "utf8")).toContain("safe_to_bootstrap: 0");
      const node = await startMariadb({ datadir: target, lines, startSeconds: 60 });
      try {
        await expect
          .poll(() => node.sql("SELECT GROUP_CONCAT(id ORDER BY id) FROM shop.t"), { timeout: 30_000 })
          .toBe("1,2,3,4");
        const log = readFileSync(node.errorLog, "utf8");
        // The donor's word for: no whole copy is needed.
        expect(log).toContain("'xtrabackup_ist' received from donor");
        expect(log).toMatch(/Receiving IST: \d+ writesets/);
      } finally {
        await node.stop();
      }
    } finally {
      await cluster.stop();
    }
  },
);

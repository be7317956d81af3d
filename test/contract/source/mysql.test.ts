import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { ServerFacts } from "../../../src/domain/server.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import { openEngine } from "../../../src/engine/open.ts";
import { openClient } from "../../../src/mysql/client.ts";
import { binlogGtidAt, readServerFacts } from "../../../src/mysql/server-facts.ts";
import { explainBackup, type MysqlOptions, mysqlSource, sweepMysqlScratch } from "../../../src/source/mysql.ts";
import { hasMariadb, type Mariadb, startMariadb } from "../../support/servers/mariadb.ts";
import { collect } from "../../support/streams.ts";

const { signal } = new AbortController();

/** Directories of the source in the system's place for temporary files. */
function scratch(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith("twindb-backup-mysql-"));
}

describe.skipIf(!hasMariadb())("mysqlSource() on MariaDB", () => {
  let server: Mariadb;
  let engine: Engine;

  beforeAll(async () => {
    server = await startMariadb();
    await server.sql("CREATE DATABASE shop; USE shop; CREATE TABLE t (id INT PRIMARY KEY, text VARCHAR(900))");
    await server.sql("USE shop; INSERT INTO t SELECT seq, REPEAT(MD5(seq), 20) FROM seq_1_to_5000");
    const { vendor, version } = await facts();
    const opened = await openEngine(
      { server: { vendor, version }, wanted: "auto", binaries: { xtrabackup: undefined, xbstream: undefined } },
      { signal },
    );
    if (opened === "clone") throw new Error("MariaDB has no clone");
    engine = opened;
  });

  afterAll(() => server.stop());

  afterEach(() => expect(scratch()).toEqual([]));

  async function facts(): Promise<ServerFacts> {
    await using client = await openClient({ ...NOWHERE, defaultsFile: server.defaultsFile }, { signal });
    return await readServerFacts(client);
  }

  function options(changes: Partial<MysqlOptions> = {}, incrementalLsn?: bigint): MysqlOptions {
    const { defaultsFile, socket } = server;
    return {
      name: "mysql-2026-11-21_02_36_45.xbstream",
      engine,
      request: { ...NOWHERE, defaultsFile, socket, parallel: 2, galera: false, incrementalLsn },
      serverFacts: facts,
      gtidAt: async (position) => {
        await using client = await openClient({ ...NOWHERE, defaultsFile }, { signal });
        return await binlogGtidAt(client, position);
      },
      ...changes,
    };
  }

  test("open() starts nothing that reads the server", async () => {
    await using capture = await mysqlSource(options()).open({ signal });
    expect(await server.sql("SELECT COUNT(*) FROM information_schema.processlist")).toBe("1");
    expect(() => capture.facts()).toThrow("was not read to its end");
  });

  test("facts() tell the place of the copy in the server's time, and what took it", async () => {
    await using capture = await mysqlSource(options()).open({ signal });
    const content = await collect(capture.content);
    expect(content.subarray(0, 8).toString()).toBe("XBSTCK01");
    const [file, offset] = (await server.sql("SHOW MASTER STATUS")).split("\t");
    const full = capture.facts();
    expect(full).toMatchObject({
      vendor: "mariadb",
      fromLsn: 0n,
      binlog: { file, offset: Number(offset) },
      gtid: await server.sql("SELECT @@gtid_current_pos"),
      format: "xbstream",
      tool: "mariadb-backup",
      serverUuid: undefined,
      galeraVersion: undefined,
    });
    expect(full.lsn).toBe(full.toLsn);
    expect(full.datadirId).toMatch(/^\d+:\d+:\d+$/);
    expect(full.serverVersion).toBe(await server.sql("SELECT @@version"));

    await server.sql("USE shop; INSERT INTO t SELECT seq, REPEAT('x', 900) FROM seq_5001_to_6000");
    await using next = await mysqlSource(options({}, full.lsn)).open({ signal });
    expect((await collect(next.content)).length).toBeLessThan(content.length);
    expect(next.facts()).toMatchObject({ fromLsn: full.toLsn });
  });

  test("facts() have the GTID of the binary log where the tool noted none", async () => {
    const silent: Engine = { ...engine, facts: (outcome) => ({ ...engine.facts(outcome), gtid: undefined }) };
    await using capture = await mysqlSource(options({ engine: silent })).open({ signal });
    await collect(capture.content);
    expect(capture.facts().gtid).toBe(await server.sql("SELECT @@gtid_binlog_pos"));
  });

  test("content fails after its last byte when it starts elsewhere than was asked for", async () => {
    const late: Engine = { ...engine, facts: (outcome) => ({ ...engine.facts(outcome), fromLsn: 1n }) };
    await using capture = await mysqlSource(options({ engine: late })).open({ signal });
    await expect(collect(capture.content)).rejects.toThrow("Cannot trust the copy: it starts at LSN 1, not at 0");
    expect(() => capture.facts()).toThrow("was not read to its end");
  });

  test("content fails after its last byte when the server was replaced meanwhile", async () => {
    let asked = 0;
    const serverFacts = async () => ({ ...(await facts()), datadirId: `64:2:${asked++}` });
    await using capture = await mysqlSource(options({ serverFacts })).open({ signal });
    await expect(collect(capture.content)).rejects.toThrow("the server was replaced meanwhile");
  });

  test("an abort ends the tool, which ignores SIGTERM, and leaves nothing", async () => {
    const controller = new AbortController();
    let undone = 0;
    const enter = async () => ({ [Symbol.asyncDispose]: async () => void undone++ });
    const aborted = (async () => {
      await using capture = await mysqlSource(options({ enter })).open({ signal: controller.signal });
      for await (const chunk of capture.content) if (chunk.length > 0) controller.abort(new Error("enough"));
    })();
    await expect(aborted).rejects.toThrow("enough");
    expect(undone).toBe(1);
    await expect.poll(() => toolsOf(server.defaultsFile)).toEqual([]);
    // The server has let go of its backup lock.
    await server.sql("USE shop; ALTER TABLE t ADD COLUMN more INT; ALTER TABLE t DROP COLUMN more");
  });

  test("explainBackup() says what to do about a tool that does not reach the server", async () => {
    const request = { ...options().request, socket: "/nowhere/socket" };
    await using capture = await mysqlSource(options({ request })).open({ signal });
    const failure: unknown = await collect(capture.content).catch((error: unknown) => error);
    expect(explainBackup(failure, engine)).toMatchObject({
      code: "PROGRAM_FAILED",
      hint: expect.stringContaining("correct hostname, port and socket"),
    });
  });

  test("sweepMysqlScratch() leaves the directories of running processes alone", async () => {
    await using capture = await mysqlSource(options()).open({ signal });
    await sweepMysqlScratch();
    expect(scratch()).toHaveLength(1);
    await collect(capture.content);
  });
});

const NOWHERE = { hostname: undefined, port: undefined, socket: undefined };

/** Running tools that read this option file. */
function toolsOf(defaultsFile: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`=${defaultsFile}\0--backup`);
    } catch {
      // It ended between the two looks.
      return false;
    }
  });
}

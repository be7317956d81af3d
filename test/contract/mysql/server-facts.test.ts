import { statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Client, openClient } from "../../../src/mysql/client.ts";
import { clusterState } from "../../../src/mysql/galera.ts";
import { binlogGtidAt, readServerFacts } from "../../../src/mysql/server-facts.ts";
import { hasMariadb, type Mariadb, startMariadb } from "../../support/servers/mariadb.ts";

let server: Mariadb;
let client: Client;
const { signal } = new AbortController();

async function restart(lines: readonly string[]): Promise<void> {
  await client[Symbol.asyncDispose]();
  await server.shutDown();
  const { root, datadir, port } = server;
  server = await startMariadb({ root, datadir, port, lines });
  client = await openClient({ defaultsFile: server.defaultsFile }, { signal });
}

describe.skipIf(!hasMariadb())("readServerFacts()", () => {
  beforeAll(async () => {
    server = await startMariadb();
    client = await openClient({ defaultsFile: server.defaultsFile }, { signal });
    await server.sql("CREATE DATABASE a; CREATE TABLE a.t (x LONGBLOB); INSERT INTO a.t SELECT RANDOM_BYTES(1000)");
  });
  afterAll(async () => {
    await client[Symbol.asyncDispose]();
    await server.stop();
  });

  test("tells who a server is and where it stands", async () => {
    const { ino, dev, birthtimeMs } = statSync(join(server.datadir, "ibdata1"), { bigint: true });
    const [file, offset] = (await server.sql("SHOW MASTER STATUS")).split("\t");
    const facts = await readServerFacts(client);
    expect(facts).toMatchObject({
      vendor: "mariadb",
      version: await server.sql("SELECT @@version"),
      uuid: undefined,
      datadir: server.datadir,
      datadirId: `${dev}:${ino}:${birthtimeMs}`,
      binlog: { file, offset: Number(offset) },
      gtid: await server.sql("SELECT @@gtid_binlog_pos"),
      galeraVersion: undefined,
    });
    expect(facts.gtid).toMatch(/^0-\d+-3$/);
  });

  test("counts what will be copied, and no logs", async () => {
    const before = (await readServerFacts(client)).dataBytes ?? 0;
    expect(before).toBeGreaterThan(10_000_000);
    await server.sql("SET SESSION binlog_format = ROW; INSERT INTO a.t SELECT REPEAT('x', 12000000); FLUSH TABLES");
    const after = (await readServerFacts(client)).dataBytes ?? 0;
    // The table grew by that; so did the log, which would make it twice as much.
    expect(after - before).toBeGreaterThan(10_000_000);
    expect(after - before).toBeLessThan(22_000_000);
  });

  test("knows the position although another server id wrote the last of the log", async () => {
    await server.sql("SET SESSION server_id = 4711; INSERT INTO a.t VALUES ('x')");
    expect(await server.sql("SELECT @@gtid_current_pos")).not.toBe(await server.sql("SELECT @@gtid_binlog_pos"));
    expect((await readServerFacts(client)).gtid).toMatch(/^0-4711-\d+$/);
  });

  test("binlogGtidAt() tells the position of a place in the log, and nothing where there is none", async () => {
    const { binlog, gtid } = await readServerFacts(client);
    const file = binlog?.file ?? "";
    expect(await binlogGtidAt(client, { file, offset: binlog?.offset })).toBe(gtid);
    expect(await binlogGtidAt(client, { file, offset: 4 })).toBeUndefined();
    expect(await binlogGtidAt(client, { file: "binlog.999999", offset: 4 })).toBeUndefined();
    expect(await binlogGtidAt(client, { file, offset: undefined })).toBeUndefined();
  });

  test("does without a binary log", async () => {
    await restart(["skip-log-bin"]);
    expect(await readServerFacts(client)).toMatchObject({ binlog: undefined, galeraVersion: undefined });
  });

  test("another data directory in the same place has another identity", async () => {
    const first = (await readServerFacts(client)).datadirId;
    await using other = await startOther();
    expect((await readServerFacts(other.client)).datadirId).not.toBe(first);
    await restart([]);
    expect((await readServerFacts(client)).datadirId).toBe(first);
  });

  test("clusterState() is none for a server outside of a cluster", async () => {
    expect(await clusterState(client)).toBeUndefined();
  });
});

async function startOther(): Promise<AsyncDisposable & { readonly client: Client }> {
  const other = await startMariadb();
  const client = await openClient({ defaultsFile: other.defaultsFile }, { signal });
  return {
    client,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await other.stop();
    },
  };
}

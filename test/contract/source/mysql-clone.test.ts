import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ServerFacts } from "../../../src/domain/server.ts";
import { type Client, openClient } from "../../../src/mysql/client.ts";
import { readServerFacts } from "../../../src/mysql/server-facts.ts";
import { type CloneOptions, cloneSource } from "../../../src/source/mysql-clone.ts";
import type { Database } from "../../support/servers/database.ts";
import { checksums, startWriter } from "../../support/servers/load.ts";
import { hasMysql, startMysql } from "../../support/servers/mysql.ts";
import { collect } from "../../support/streams.ts";

const { signal } = new AbortController();

describe.skipIf(!hasMysql())("cloneSource() on MySQL", () => {
  let server: Database;
  let infos: string[];

  beforeAll(async () => {
    server = await startMysql();
    await server.sql(
      "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY AUTO_INCREMENT, text VARCHAR(900))",
    );
    await server.sql("INSERT INTO shop.t (text) VALUES (REPEAT('a', 900))");
    for (let doubling = 0; doubling < 10; doubling++)
      await server.sql("INSERT INTO shop.t (text) SELECT text FROM shop.t");
  });

  afterAll(() => server.stop());

  beforeEach(() => {
    infos = [];
  });

  function open(session: { readonly signal: AbortSignal }): Promise<Client> {
    return openClient({ ...NOWHERE, defaultsFile: server.defaultsFile }, session);
  }

  async function facts(): Promise<ServerFacts> {
    await using client = await open({ signal });
    return await readServerFacts(client);
  }

  function options(changes: Partial<CloneOptions> = {}): CloneOptions {
    const log = { debug() {}, info: (text: string) => infos.push(text), warn: (text: string) => infos.push(text) };
    return { name: "mysql-2026-11-21_02_36_45.tar", openClient: open, serverFacts: facts, log, ...changes };
  }

  function clones(): string[] {
    return readdirSync(server.root).filter((name) => name.startsWith(".twindb-clone-"));
  }

  test("the archive is a data directory on which a server starts, with the same rows and GTIDs", async () => {
    const before = await checksums(server);
    const position = (await server.sql("SHOW BINARY LOG STATUS")).split("\t");
    await using capture = await cloneSource(options()).open({ signal });
    const content = await collect(capture.content);
    expect(capture.facts()).toMatchObject({
      vendor: "oracle",
      lsn: undefined,
      toLsn: undefined,
      binlog: { file: position[0], offset: Number(position[1]) },
      gtid: await server.sql("SELECT REPLACE(@@gtid_executed, '\\n', '')"),
      format: "tar",
      tool: "clone",
      serverUuid: await server.sql("SELECT @@server_uuid"),
      rawBytes: content.length,
    });
    await capture[Symbol.asyncDispose]();
    expect(clones()).toEqual([]);
    expect(await server.sql("SELECT COUNT(*) FROM information_schema.plugins WHERE plugin_name = 'clone'")).toBe("0");

    const root = mkdtempSync(join(tmpdir(), "clone-test-"));
    const datadir = join(root, "data");
    mkdirSync(datadir);
    execFileSync("tar", ["-x", "-C", datadir], { input: content });
    const restored = await startMysql({ root, datadir });
    expect(await checksums(restored)).toEqual(before);
    expect(await restored.sql("SELECT REPLACE(@@gtid_executed, '\\n', '')")).toBe(capture.facts().gtid);
    await restored.stop();
  });

  test("position and GTID stay unknown where the server wrote meanwhile", async () => {
    const writer = await startWriter(server);
    try {
      await using capture = await cloneSource(options()).open({ signal });
      await collect(capture.content);
      expect(capture.facts()).toMatchObject({ binlog: undefined, gtid: undefined });
    } finally {
      await writer.stop();
    }
  });

  test("a plugin that was there before stays", async () => {
    await server.sql("INSTALL PLUGIN clone SONAME 'mysql_clone.so'");
    try {
      await using capture = await cloneSource(options()).open({ signal });
      await collect(capture.content);
      expect(infos).toEqual([]);
      const status = "SELECT plugin_status FROM information_schema.plugins WHERE plugin_name = 'clone'";
      expect(await server.sql(status)).toBe("ACTIVE");
    } finally {
      await server.sql("UNINSTALL PLUGIN clone");
    }
  });

  test("a clone that does not fit is refused before it is begun", async () => {
    const serverFacts = async () => ({ ...(await facts()), dataBytes: 2 ** 60 });
    await expect(cloneSource(options({ serverFacts })).open({ signal })).rejects.toMatchObject({
      code: "NO_SPACE",
      message: expect.stringMatching(/ are free, .+ are needed$/),
    });
    expect(clones()).toEqual([]);
  });

  test("a place where the server may not write is named", async () => {
    await expect(cloneSource(options({ directory: "/proc" })).open({ signal })).rejects.toMatchObject({
      message: expect.stringContaining('Cannot clone the server into "/proc"'),
    });
  });

  test("an abort ends the statement, and leaves no clone", async () => {
    const controller = new AbortController();
    const said: unknown[] = [];
    const openAndAbort = async (session: { readonly signal: AbortSignal }): Promise<Client> => {
      const client = await open(session);
      const rows = (sql: string) => {
        if (sql.startsWith("CLONE")) setTimeout(() => controller.abort(new Error("enough")), 20);
        const result = client.rows(sql);
        result.catch((error: unknown) => said.push(error));
        return result;
      };
      return {
        target: client.target,
        rows,
        value: (sql) => client.value(sql),
        [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
      };
    };
    const aborted = (async () => {
      await using capture = await cloneSource(options({ openClient: openAndAbort })).open({
        signal: controller.signal,
      });
      await collect(capture.content);
    })();
    await expect(aborted).rejects.toThrow("enough");
    expect(said).toMatchObject([{ message: expect.stringContaining("interrupted") }]);
    expect(clones()).toEqual([]);
    expect(await server.sql("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'CLONE%'")).toBe("0");
  });

  test("what a killed run left is removed", async () => {
    // As a process of this machine would have named it that has ended.
    const source = new URL("../../../src/lib/owned-name.ts", import.meta.url).pathname;
    const script = `import(${JSON.stringify(source)}).then((m) => console.log(m.ownedName(".twindb-clone-")))`;
    const name = execFileSync(process.execPath, ["-e", script], { encoding: "utf8" }).trim();
    mkdirSync(join(server.root, name, "data"), { recursive: true });
    writeFileSync(join(server.root, name, "data", "ibdata1"), "x");
    await using capture = await cloneSource(options()).open({ signal });
    expect(clones()).not.toContain(name);
    await collect(capture.content);
  });
});

const NOWHERE = { hostname: undefined, port: undefined, socket: undefined };

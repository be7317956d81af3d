import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openClient } from "../../../src/mysql/client.ts";
import { clusterState } from "../../../src/mysql/galera.ts";
import { checkGrants, type GrantNeeds } from "../../../src/mysql/grants.ts";
import { readServerFacts } from "../../../src/mysql/server-facts.ts";
import type { Database } from "../../support/servers/database.ts";
import { hasMysql, startMysql } from "../../support/servers/mysql.ts";

let server: Database;
const { signal } = new AbortController();

function credentials(lines: string): string {
  const path = join(server.root, "backup.cnf");
  writeFileSync(path, `[client]\nuser=backup\npassword=pw\n${lines}\n`, { mode: 0o600 });
  return path;
}

describe.skipIf(!hasMysql())("MySQL 9", () => {
  beforeAll(async () => {
    server = await startMysql();
  }, 120_000);
  afterAll(() => server.stop());

  test.each([
    ["a socket", () => `socket=${server.socket}`],
    ["TLS", () => `host=127.0.0.1\nport=${server.port}`],
    ["the server's public key", () => `host=127.0.0.1\nport=${server.port}\nssl-mode=DISABLED`],
  ])("openClient() logs in with caching_sha2_password over %s, the first time", async (_, lines) => {
    // A new account: what the server has cached of the old one would make a shorter login.
    await server.sql("DROP USER IF EXISTS backup@'%'; CREATE USER backup@'%' IDENTIFIED BY 'pw'; FLUSH PRIVILEGES");
    await using client = await openClient({ defaultsFile: credentials(lines()) }, { signal });
    expect(await client.value("SELECT CURRENT_USER()")).toBe("backup@%");
  });

  test("openClient() says how to log in to a server that wants encryption", async () => {
    await server.sql("SET GLOBAL require_secure_transport = ON");
    const at = `host=127.0.0.1\nport=${server.port}`;
    try {
      await expect(
        openClient({ defaultsFile: credentials(`${at}\nssl-mode=DISABLED`) }, { signal }),
      ).rejects.toMatchObject({
        code: "NOT_PERMITTED",
        hint: expect.stringContaining("ssl-mode=REQUIRED"),
      });
      await using client = await openClient({ defaultsFile: credentials(at) }, { signal });
      expect(await client.value("SELECT 1")).toBe("1");
    } finally {
      await server.sql("SET GLOBAL require_secure_transport = OFF");
    }
  });

  test("readServerFacts() speaks its words", async () => {
    await server.sql("CREATE DATABASE a; CREATE TABLE a.t (x INT PRIMARY KEY); INSERT INTO a.t VALUES (1)");
    await using client = await openClient({ defaultsFile: server.defaultsFile }, { signal });
    const [file, offset] = (await server.sql("SHOW BINARY LOG STATUS")).split("\t");
    const uuid = await server.sql("SELECT @@server_uuid");
    const facts = await readServerFacts(client);
    expect(facts).toMatchObject({
      vendor: "oracle",
      version: await server.sql("SELECT @@version"),
      uuid,
      datadir: server.datadir,
      datadirId: expect.stringMatching(/^\d+:\d+:\d+$/),
      binlog: { file, offset: Number(offset) },
      galeraVersion: undefined,
    });
    expect(facts.gtid).toMatch(new RegExp(`^${uuid}:1-\\d+$`));
    expect(facts.dataBytes).toBeGreaterThan(10_000_000);
    expect(await clusterState(client)).toBeUndefined();
  });

  test("readServerFacts() keeps a long GTID set whole", async () => {
    await using client = await openClient({ defaultsFile: server.defaultsFile }, { signal });
    const sets = Array.from(
      { length: 60 },
      (_, index) => `${String(index).padStart(8, "0")}-0000-0000-0000-000000000000:1-9`,
    );
    await server.sql(`SET GLOBAL gtid_purged = '+${sets.join(",")}'`);
    const { gtid = "" } = await readServerFacts(client);
    expect(gtid).not.toMatch(/\s/);
    expect(gtid.split(",")).toEqual(expect.arrayContaining(sets));
  });

  test("checkGrants() counts roles that are active, and names the statements that are missing", async () => {
    await server.sql(`
      DROP USER IF EXISTS backup@'%'; CREATE USER backup@'%' IDENTIFIED BY 'pw'; CREATE ROLE copier, \`odd role\`;
      GRANT RELOAD, PROCESS, LOCK TABLES ON *.* TO copier; GRANT BACKUP_ADMIN ON *.* TO \`odd role\`;
      GRANT copier, \`odd role\` TO backup@'%'`);
    const needs: GrantNeeds = {
      engine: "xtrabackup",
      vendor: "oracle",
      version: await server.sql("SELECT @@version"),
      galera: false,
    };
    const check = async () => {
      await using client = await openClient({ defaultsFile: credentials(`socket=${server.socket}`) }, { signal });
      return await checkGrants(client, needs).then(
        () => undefined,
        (error: unknown) => error,
      );
    };
    expect(await check()).toMatchObject({
      message: expect.stringContaining("BACKUP_ADMIN, RELOAD, PROCESS, LOCK TABLES"),
    });
    await server.sql("SET DEFAULT ROLE ALL TO backup@'%'");
    const error = await check();
    expect(error).toMatchObject({
      code: "NOT_PERMITTED",
      message: expect.stringMatching(/ lacks REPLICATION CLIENT, SELECT on performance_schema\.log_status$/),
    });
    await server.sql(/GRANT.*;/.exec((error as { hint: string }).hint)?.[0] ?? "");
    expect(await check()).toBeUndefined();
  });
});

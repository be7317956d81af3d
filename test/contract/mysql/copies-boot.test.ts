import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkTables } from "../../../src/mysql/check-tables.ts";
import { startPrivateServer } from "../../../src/mysql/private-server.ts";
import type { Database } from "../../support/servers/database.ts";
import { hasGalera, startGalera } from "../../support/servers/galera.ts";
import { startWriter } from "../../support/servers/load.ts";
import { hasMariadb, startMariadb } from "../../support/servers/mariadb.ts";
import { hasNextMariadb, NEXT_MARIADB_BIN, startNextMariadb } from "../../support/servers/mariadb-next.ts";
import { hasMysql, MYSQL_BIN, startMysql } from "../../support/servers/mysql.ts";
import { openSession } from "../../support/servers/session.ts";

const { signal } = new AbortController();

/** Take a copy of a running server into a directory that is not there yet. */
type Take = (server: Database, target: string) => Promise<void>;

const withTool =
  (tool: string, ...options: string[]): Take =>
  async ({ defaultsFile }, target) => {
    execFileSync(tool, [`--defaults-file=${defaultsFile}`, "--backup", `--target-dir=${target}`, ...options], {
      stdio: "pipe",
    });
    execFileSync(tool, ["--prepare", `--target-dir=${target}`], { stdio: "pipe" });
  };

async function clone({ sql }: Database, target: string): Promise<void> {
  await sql(`INSTALL PLUGIN clone SONAME 'mysql_clone.so'; CLONE LOCAL DATA DIRECTORY = '${target}'`);
}

async function firstOfGalera(): Promise<Database> {
  const galera = await startGalera(1);
  return { ...galera.nodes[0], stop: () => galera.stop() };
}

describe.each([
  { name: "MariaDB", has: hasMariadb(), start: startMariadb, take: withTool("mariadb-backup"), vendor: "mariadb" },
  {
    name: "MariaDB 11.8",
    has: hasNextMariadb(),
    start: startNextMariadb,
    take: withTool(join(NEXT_MARIADB_BIN, "mariadb-backup")),
    vendor: "mariadb",
    binary: join(NEXT_MARIADB_BIN, "mariadbd"),
  },
  {
    name: "Galera",
    has: hasGalera(),
    start: firstOfGalera,
    take: withTool("mariadb-backup", "--galera-info"),
    vendor: "mariadb",
  },
  {
    name: "MySQL",
    has: hasMysql(),
    start: startMysql,
    take: clone,
    vendor: "oracle",
    binary: join(MYSQL_BIN, "mysqld"),
  },
] as const)("a copy of $name", ({ has, start, take, vendor, ...rest }) => {
  let root: string;
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "copies-boot-"));
    chmodSync(root, 0o755);
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  test.skipIf(!has)(
    "that was taken under writes serves what was committed, and all of its tables are sound",
    async () => {
      const directory = join(root, "data");
      const origin = await start();
      let [before, after, serverVersion] = [0, 0, ""];
      try {
        serverVersion = await origin.sql("SELECT VERSION()");
        const writer = await startWriter(origin);
        before = await writer.more(20);
        await take(origin, directory);
        after = await writer.stop();
      } finally {
        await origin.stop();
      }
      await using server = await startPrivateServer({ ...rest, directory, vendor, serverVersion, signal });
      await using session = await openSession(server.socket);
      expect(await checkTables(session, { signal })).toEqual([]);
      const [found] = await session.rows("SELECT MAX(id) AS last, COUNT(*) AS number FROM steady.log");
      expect(found?.["number"]).toBe(found?.["last"]);
      expect(Number(found?.["last"])).toBeGreaterThanOrEqual(before);
      expect(Number(found?.["last"])).toBeLessThanOrEqual(after + 1);
    },
  );
});

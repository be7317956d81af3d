import { execFileSync } from "node:child_process";
import { copyFileSync, createReadStream, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { crc32 } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { scanBinlog } from "../../../src/mysql/binlog-events.ts";
import { openReplayServer, type ReplayServer } from "../../../src/mysql/replay-server.ts";
import type { Database } from "../../support/servers/database.ts";
import { checksums } from "../../support/servers/load.ts";
import { hasMariadb } from "../../support/servers/mariadb.ts";
import { hasMysql } from "../../support/servers/mysql.ts";
import {
  REPLAY_MARIADB,
  REPLAY_MYSQL,
  type ReplaySource,
  type ReplayVendor,
  startReplaySource,
  transactionsOf,
} from "../../support/servers/replay-source.ts";

const signal = new AbortController().signal;
const OPTIONS = { lines: ["local_infile=ON", "secure_file_priv=", "event_scheduler=OFF"] };
const BASE =
  "CREATE DATABASE base; CREATE TABLE base.t (id INT PRIMARY KEY, v BLOB); INSERT INTO base.t VALUES (0, 'base')";

/** Statements that are hard to replay, each group in a session and a log of its own. */
const ZOO: readonly string[] = [
  "CREATE USER u@localhost IDENTIFIED BY 'Secret-1'; CREATE ROLE r; GRANT r TO u@localhost; GRANT SELECT ON base.* TO u@localhost",
  "CREATE EVENT base.e ON SCHEDULE EVERY 1 SECOND DO DELETE FROM base.t",
  `CREATE PROCEDURE base.p() DELETE FROM base.t; CREATE FUNCTION base.f() RETURNS INT DETERMINISTIC RETURN 1;
   CREATE TRIGGER base.tr BEFORE INSERT ON base.t FOR EACH ROW SET NEW.v = CONCAT(NEW.v, '!'); CREATE VIEW base.w AS SELECT 1`,
  `SET SESSION binlog_format = STATEMENT; USE base; SET @u = 'a\\0b\\r\\nc;/*!*/;'; INSERT INTO t VALUES (20, @u), (21, 'x\\0\\r\\n')`,
  "SET NAMES latin1; SET SESSION binlog_format = STATEMENT; INSERT INTO base.t VALUES (30, CONVERT(_latin1 0xe9 USING utf8mb4))",
  `CREATE DATABASE \`dåtå 日\`; USE \`dåtå 日\`; SET SESSION binlog_format = STATEMENT; CREATE TABLE \`täble\` (\`wört\` VARCHAR(20) PRIMARY KEY) DEFAULT CHARSET utf8mb4;
   INSERT INTO \`täble\` VALUES ('日本')`,
  `CREATE TABLE base.parent (id INT PRIMARY KEY); CREATE TABLE base.child (id INT, FOREIGN KEY (id) REFERENCES base.parent (id));
   SET foreign_key_checks = 0; INSERT INTO base.child VALUES (5)`,
  "XA START 'x'; INSERT INTO base.t VALUES (40, 'xa'); XA END 'x'; XA PREPARE 'x'; XA COMMIT 'x'",
  "SET autocommit = 0; INSERT INTO base.t VALUES (50, 'kept'); COMMIT; INSERT INTO base.t VALUES (51, 'lost'); ROLLBACK",
  "SET auto_increment_increment = 10; CREATE TABLE base.a (id INT AUTO_INCREMENT PRIMARY KEY, v INT); INSERT INTO base.a (v) VALUES (1), (2)",
  "SET SESSION binlog_format = STATEMENT; USE base; INSERT INTO a (v) VALUES (3)",
  "CREATE TABLE base.gone (id INT); INSERT INTO base.gone VALUES (1); DROP TABLE base.gone",
];

const OWN: Readonly<Record<string, readonly string[]>> = {
  mariadb: [
    `SET SESSION binlog_format = STATEMENT; USE base; CREATE TEMPORARY TABLE tt (x INT); INSERT INTO tt VALUES (70); FLUSH BINARY LOGS;
     INSERT INTO t SELECT x, 'temporary' FROM tt`,
    "SET GLOBAL log_bin_compress = ON; INSERT INTO base.t VALUES (60, REPEAT('z', 5000)); SET GLOBAL log_bin_compress = OFF",
  ],
  oracle: ["SET binlog_transaction_compression = ON; INSERT INTO base.t VALUES (60, REPEAT('z', 5000))"],
};

function open(
  { vendor, binary }: ReplayVendor,
  { version, held, loadsFiles = true }: ReplaySource & { readonly loadsFiles?: boolean },
  directory: string,
): Promise<ReplayServer> {
  const request = {
    directory,
    vendor,
    binary,
    held,
    serverVersion: version,
    loadsFiles,
    memoryBytes: 64 << 20,
    signal,
  };
  return openReplayServer(request);
}

async function applyAll(server: ReplayServer, logs: readonly string[]): Promise<void> {
  for (const file of logs) await server.apply({ file, from: 4, to: (await transactionsOf(file)).end });
}

/** Leftovers of sessions. */
function leftovers(): string[] {
  return readdirSync(tmpdir()).filter((name) => /^twindb-(?:server|replay)-/.test(name));
}

describe.skipIf(!hasMariadb())("openReplayServer() of MariaDB", () => {
  replaying(REPLAY_MARIADB);
});
describe.skipIf(!hasMysql())("openReplayServer() of MySQL", () => {
  replaying(REPLAY_MYSQL);
});

function replaying(product: ReplayVendor): void {
  let source: ReplaySource;
  let logs: readonly string[];

  beforeAll(async () => {
    source = await startReplaySource(product, BASE, OPTIONS);
    const { server, root } = source;
    for (const statements of [...ZOO, ...(OWN[product.vendor] ?? [])]) {
      await server.sql(statements);
      await server.sql("FLUSH BINARY LOGS");
    }
    writeFileSync(join(root, "load.txt"), "101\tone\n102\ttwo\n", { mode: 0o644 });
    const load = `SET SESSION binlog_format = STATEMENT; USE base; LOAD DATA INFILE '${join(root, "load.txt")}' INTO TABLE t`;
    await server.sql(load);
    logs = await source.logs();
  });
  afterAll(async () => {
    await source?.[Symbol.asyncDispose]();
  });

  /** What a server on a directory says, once it runs as any other. */
  async function inspect<T>(datadir: string, look: (server: Database) => Promise<T>): Promise<T> {
    const server = await product.start({ ...OPTIONS, datadir });
    try {
      return await look(server);
    } finally {
      await server.stop();
    }
  }

  async function state(server: Database) {
    return {
      tables: await checksums(server),
      users: await server.sql("SELECT user, host FROM mysql.user ORDER BY 1, 2"),
      routines: await server.sql(
        "SELECT routine_name, definer FROM information_schema.routines WHERE routine_schema = 'base' ORDER BY 1",
      ),
      events: await server.sql("SELECT event_name, status FROM information_schema.events"),
      odd: await server.sql("SET NAMES utf8mb4; SELECT HEX(`wört`) FROM `dåtå 日`.`täble`"),
    };
  }

  test("brings data to where its source is, and leaves no trace of itself", async () => {
    const before = leftovers();
    const directory = source.base();
    {
      await using server = await open(product, source, directory);
      await applyAll(server, logs);
      const { found, previous } = await transactionsOf(logs.at(-1) ?? "");
      await server.complete(product.vendor === "mariadb" ? (found.at(-1)?.gtid ?? previous) : undefined);
    }
    const wanted = await state(source.server);
    expect(wanted.users).toContain("u\tlocalhost");
    await inspect(directory, async (server) => {
      expect(await state(server)).toEqual(wanted);
      const gtids = (await source.server.sql(product.gtids)).replaceAll(/\s|\\n/g, "");
      if (product.vendor === "mariadb") {
        expect(await server.sql("SELECT @@GLOBAL.gtid_slave_pos")).toBe(gtids);
        const sequence = Number(gtids.split("-").at(-1));
        await server.sql("INSERT INTO base.t VALUES (1000, 'next')");
        expect(await server.sql(product.gtids)).toMatch(new RegExp(`^0-\\d+-${sequence + 1}$`));
      } else {
        expect((await server.sql(product.gtids)).replaceAll(/\s|\\n/g, "")).toBe(gtids);
      }
    });
    expect(leftovers()).toEqual(before);
  });

  test("tells which statement of which log the server refuses, and why", async () => {
    const [first = "", second = ""] = await logsOf(
      "CREATE TABLE base.own (id INT PRIMARY KEY); INSERT INTO base.own VALUES (200)",
      "INSERT INTO base.own VALUES (201); UPDATE base.own SET id = 202 WHERE id = 201; INSERT INTO base.own VALUES (203)",
    );
    await using server = await open(product, source, source.base());
    await server.apply({ file: first, from: 4, to: (await transactionsOf(first)).end });
    const { found, end } = await transactionsOf(second);
    const { start = 0, end: updateEnd = 0 } = found[1] ?? {};
    // The row that it changes is left out.
    const error = await server.apply({ file: second, from: start, to: end }).then(
      () => undefined,
      (met: unknown) => met,
    );
    const { message } = error as Error;
    expect(error).toMatchObject({ code: "FAILED", message: expect.stringContaining("Can't find record in 'own'") });
    expect(message).toContain(`"${basename(second)}" at`);
    const offset = Number(/at (\d+): /.exec(message)?.[1]);
    expect(offset).toBeGreaterThanOrEqual(start);
    expect(offset).toBeLessThan(updateEnd);
  });

  async function logsOf(...groups: readonly string[]): Promise<string[]> {
    for (const group of groups) {
      await source.server.sql(group);
      await source.server.sql("FLUSH BINARY LOGS");
    }
    return (await source.logs()).slice(-groups.length - 1, -1);
  }

  test("refuses a log with a flipped byte", async () => {
    const [log = ""] = await logsOf("INSERT INTO base.t VALUES (300, REPEAT('q', 1000))");
    const damaged = join(source.root, basename(log));
    copyFileSync(log, damaged);
    const bytes = readFileSync(damaged);
    bytes[bytes.indexOf("qqqqqqqqqqqqqqqqqqqq") + 500] = 7;
    writeFileSync(damaged, bytes);
    await using server = await open(product, source, source.base());
    const refusal = server.apply({ file: damaged, from: 4, to: bytes.length });
    await expect(refusal).rejects.toMatchObject({
      code: "DATA_DAMAGED",
      message: expect.stringContaining(basename(log)),
    });
  });

  test("an abort ends all programs at once", async () => {
    const controller = new AbortController();
    const directory = source.base();
    const { vendor, binary } = product;
    const request = {
      directory,
      vendor,
      binary,
      held: source.held,
      serverVersion: source.version,
      memoryBytes: 64 << 20,
      loadsFiles: false,
      signal: controller.signal,
    };
    {
      await using server = await openReplayServer(request);
      const reason = new Error("enough");
      setTimeout(() => controller.abort(reason), 50);
      const endless = (async () => {
        for (;;) await server.apply({ file: logs[0] ?? "", from: 4, to: 4 });
      })();
      await expect(endless).rejects.toBe(reason);
    }
    const commands = execFileSync("ps", ["-eo", "args"], { encoding: "utf8" });
    expect(commands).not.toContain(directory);
  });

  /** A log that somebody has changed: instead of its statement it has one of the same length. */
  async function forged(statement: string, wanted: string): Promise<string> {
    await source.server.sql(`SET SESSION binlog_format = STATEMENT; USE base; ${statement}`);
    const path = (await source.logs()).at(-1) ?? "";
    const bytes = readFileSync(path);
    const at = bytes.indexOf(statement);
    bytes.write(wanted.padEnd(statement.length), at, "latin1");
    for (let event = 4; event < at; event += bytes.readUInt32LE(event + 9)) {
      const end = event + bytes.readUInt32LE(event + 9) - 4;
      if (end > at) bytes.writeUInt32LE(crc32(bytes.subarray(event, end)), end);
    }
    const copy = join(source.root, "forged.000001");
    writeFileSync(copy, bytes);
    return copy;
  }

  test.runIf(product.vendor === "mariadb")("a log says whether statements in it load files", async () => {
    const scans = await Promise.all(logs.map((log) => scanBinlog(createReadStream(log), log)));
    expect(scans.map(({ log }) => log.loadsFiles)).toEqual(logs.map((_, index) => index === logs.length - 1));
  });

  test("gives away no file of this host to a log that asks for one", async () => {
    const secret = join(source.root, "secret.txt");
    writeFileSync(secret, "900\tsecret-word\n");
    const statement = `INSERT INTO t VALUES (900, '${"x".repeat(secret.length + 40)}')`;
    const log = await forged(statement, `LOAD DATA LOCAL INFILE '${secret}' INTO TABLE t`);
    const directory = source.base();
    const isMariadb = product.vendor === "mariadb";
    for (const loadsFiles of isMariadb ? [true, false] : [true]) {
      await using server = await open(product, { ...source, loadsFiles }, directory);
      const words = loadsFiles ? `would load the file "${secret}"` : /local infile/;
      await expect(applyAll(server, [log])).rejects.toThrow(isMariadb ? words : "rejected");
    }
    await inspect(directory, async ({ sql }) => {
      expect(await sql("SELECT COUNT(*) FROM base.t WHERE id = 900")).toBe("0");
    });
  });
}

import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { BinlogCopy } from "../../../src/domain/copy.ts";
import { BackupError } from "../../../src/domain/errors.ts";
import { toKey } from "../../../src/domain/key.ts";
import { recoverableWindow } from "../../../src/domain/recoverable-window.ts";
import { verifyBinlog } from "../../../src/job/verify-binlog.ts";
import { scanBinlog } from "../../../src/mysql/binlog-events.ts";
import { openClient } from "../../../src/mysql/client.ts";
import { readDefaultsFile } from "../../../src/mysql/defaults-file.ts";
import { loginFile } from "../../../src/mysql/log-program.ts";
import { binlogSource } from "../../../src/source/binlog.ts";
import { BINLOG_RECORD } from "../../../src/status/binlog-record.ts";
import { Fields } from "../../../src/status/fields.ts";
import type { Json, JsonObject } from "../../../src/status/json.ts";
import { BinlogArchive } from "../../support/binlog-archive.ts";
import { fullCopy } from "../../support/copies.ts";
import type { Database, DatabaseOptions } from "../../support/servers/database.ts";
import { hasMariadb, startMariadb } from "../../support/servers/mariadb.ts";
import { hasMysql, MYSQL_BIN, startMysql } from "../../support/servers/mysql.ts";
import { chunks, collect, sliced } from "../../support/streams.ts";

const { signal } = new AbortController();

type Make = {
  readonly name: string;
  readonly isThere: boolean;
  readonly start: (options?: DatabaseOptions) => Promise<Database>;
  readonly reset: string;
  readonly program: string;
};

/** Facts of a log that records of earlier builds lack, as MariaDB's could be; those of MySQL never have them. */
const LATER_FACTS = { logged: "0-1:1", previous_logged: "0-1:1", loads_files: true };

const MAKES: readonly Make[] = [
  { name: "MariaDB", isThere: hasMariadb(), start: startMariadb, reset: "RESET MASTER", program: "mariadb-binlog" },
  {
    name: "MySQL 9",
    isThere: hasMysql(),
    start: startMysql,
    reset: "RESET BINARY LOGS AND GTIDS",
    program: join(MYSQL_BIN, "mysqlbinlog"),
  },
];

describe.each(MAKES)("the binary logs of $name", ({ name: make, isThere, start, reset, program }) => {
  describe.skipIf(!isThere)("on a server", () => {
    const isMariadb = make === "MariaDB";
    let server: Database;
    let archive: BinlogArchive;

    beforeAll(async () => {
      server = await start();
      await server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY AUTO_INCREMENT, b LONGBLOB)");
    }, 120_000);
    afterAll(() => server.stop());
    beforeEach(async () => {
      await server.sql(reset);
      archive = new BinlogArchive(() => server.defaultsFile);
    });

    const write = (rows = 1) => server.sql("INSERT INTO d.t (b) VALUES (REPEAT('x', 100));".repeat(rows));
    const fileOf = (name: string) => readFileSync(join(server.datadir, name));
    const executed = () => server.sql(isMariadb ? "SELECT @@gtid_binlog_pos" : "SELECT @@gtid_executed");

    test("backupBinlogs() stores closed logs byte for byte, with what they hold", async () => {
      await write(3);
      await server.sql("FLUSH BINARY LOGS");
      await write(2);
      expect(await archive.push()).toEqual(["binlog.000001", "binlog.000002"]);
      const [first, second] = await archive.copies();
      if (first === undefined || second === undefined) throw new Error("two logs were archived");
      for (const copy of [first, second]) {
        expect((await archive.bytesOf(copy)).equals(fileOf(copy.name))).toBe(true);
        expect(copy).toMatchObject({ rawBytes: fileOf(copy.name).length, incarnation: undefined, tool: "file" });
        expect(copy.log).toMatchObject({ checksums: true, end: "rotated", inUse: false });
        const off = Math.abs(Date.now() - copy.createdAt.getTime());
        expect(off).toBeLessThan(60_000);
      }
      expect([first.log?.transactions, second.log?.transactions]).toEqual([3, 2]);
      expect(first.log?.previousGtid).toBe("");
      expect(second.log?.previousGtid).toBe(first.gtid);
      const all = await executed();
      if (isMariadb) expect(second.gtid).toBe(all);
      else
        expect([first.gtid, second.gtid, all]).toEqual([
          `${uuidOf(all)}:1-3`,
          `${uuidOf(all)}:4-5`,
          `${uuidOf(all)}:1-5`,
        ]);
      expect(archive.failures).toEqual([]);
      expect(archive.warnings).toEqual([]);
    });

    test("backupBinlogs() closes the open log only when it holds something, and is old enough", async () => {
      expect(await archive.push()).toEqual([]);
      expect(await server.sql("SHOW BINARY LOGS")).not.toContain("binlog.000002");
      await write();
      expect(await archive.push({ rotateSeconds: 3600 })).toEqual([]);
      expect(await archive.push({ rotateSeconds: 3600, now: () => new Date(Date.now() + 3_601_000) })).toEqual([
        "binlog.000001",
      ]);
      expect(await archive.push()).toEqual([]);
      expect(await server.sql("SHOW BINARY LOGS")).not.toContain("binlog.000003");
    });

    test("backupBinlogs() goes on behind a restart and a crash, of which nothing is lost", async () => {
      await write();
      await server.shutDown();
      server = await start({ root: server.root, port: server.port });
      await write();
      server.kill();
      await pause(200);
      server = await start({ root: server.root, port: server.port });
      await write();
      expect(await archive.push()).toEqual(["binlog.000001", "binlog.000002", "binlog.000003"]);
      const copies = await archive.copies();
      expect(copies.map(({ log }) => log?.end)).toEqual(["stopped", "open", "rotated"]);
      // MariaDB leaves the mark for good, MySQL takes it away.
      expect(copies[1]?.log?.inUse).toBe(isMariadb);
      expect(copies[1]?.log?.transactions).toBe(1);
      expect((await archive.timelines()).flatMap(({ gaps }) => gaps)).toEqual([]);
      expect(archive.failures).toEqual([]);
    });

    test("backupBinlogs() archives a server that was reset apart, and overwrites nothing", async () => {
      await write(3);
      await archive.push();
      const [old] = await archive.copies();
      const bytes = old && (await archive.bytesOf(old));
      await pause(1000);
      await server.sql(reset);
      await write(3);
      expect(await archive.push()).toEqual(["binlog.000001"]);
      expect(archive.warnings).toEqual([expect.stringContaining('begin anew with "binlog.000001"')]);
      await write();
      expect(await archive.push()).toEqual(["binlog.000002"]);
      expect(archive.warnings).toEqual([]);
      const [first, second, ...others] = await archive.timelines();
      expect(others).toEqual([]);
      expect(first?.logs.map(({ name }) => name)).toEqual(["binlog.000001"]);
      expect(second?.logs.map(({ name }) => name)).toEqual(["binlog.000001", "binlog.000002"]);
      expect(second?.incarnation).toMatch(/^\d{8}T\d{6}Z-[0-9a-f]{8}$/);
      expect(first?.logs[0] && (await archive.bytesOf(first.logs[0]))).toEqual(bytes);
    });

    test("backupBinlogs() tells once of logs that were purged before it could copy them", async () => {
      await write();
      await archive.push();
      for (let round = 0; round < 3; round++) await server.sql("INSERT INTO d.t (b) VALUES (1); FLUSH BINARY LOGS");
      await server.sql("PURGE BINARY LOGS TO 'binlog.000004'");
      expect(await archive.push()).toEqual(["binlog.000004"]);
      expect(archive.failures.map(({ message }) => message)).toEqual([
        'Cannot replay the binary logs between "binlog.000001" and "binlog.000004": 2 were purged before a run could copy them',
      ]);
      const [timeline] = await archive.timelines();
      expect(timeline?.gaps).toMatchObject([{ reason: "missing", after: "binlog.000001", before: "binlog.000004" }]);
      const [first] = timeline?.logs ?? [];
      const taken = fullCopy(first?.createdAt ?? new Date(), {
        finishedAt: new Date(),
        binlog: { file: "binlog.000001", offset: 4 },
      });
      const window = recoverableWindow(taken, { timelines: await archive.timelines(), doubts: new Set() });
      expect(window?.logs.map(({ name }) => name)).toEqual(["binlog.000001"]);
      await write();
      await archive.push();
      expect(archive.failures).toEqual([]);
    });

    test("backupBinlogs() tells of a log that is purged while it runs, and copies the others", async () => {
      for (let round = 0; round < 3; round++) await server.sql("INSERT INTO d.t (b) VALUES (1); FLUSH BINARY LOGS");
      const purging = await archive.pushAs((real) => ({
        async list() {
          const listing = await real.list();
          await server.sql("PURGE BINARY LOGS TO 'binlog.000003'");
          return listing;
        },
      }));
      expect(purging).toEqual(["binlog.000003"]);
      const lost = await archive.pushAs((real) => ({
        async list() {
          const listing = await real.list();
          if (listing === undefined) throw new Error("there are logs");
          return {
            ...listing,
            logs: [
              ...listing.logs.slice(0, -1),
              { name: "binlog.000009", bytes: 9 },
              { name: "binlog.000010", bytes: 9 },
            ],
          };
        },
        holdsTransactions: () => Promise.resolve(false),
      }));
      expect(lost).toEqual([]);
      expect(archive.failures).toMatchObject([
        { code: "NOT_FOUND", message: expect.stringContaining("binlog.000009") },
      ]);
    });

    test("backupBinlogs() goes on past number 999999", async () => {
      await server.sql(`${reset} TO 999998`);
      for (let round = 0; round < 4; round++) await server.sql("INSERT INTO d.t (b) VALUES (1); FLUSH BINARY LOGS");
      expect(await archive.push()).toEqual(["binlog.999998", "binlog.999999", "binlog.1000000", "binlog.1000001"]);
      await write();
      expect(await archive.push()).toEqual(["binlog.1000002"]);
      expect((await archive.timelines()).flatMap(({ gaps }) => gaps)).toEqual([]);
    });

    test("backupBinlogs() never touches what somebody else stored under the name", async () => {
      await write();
      await archive.push();
      const taken = toKey("db7/binlog/binlog.000002.gz");
      await archive.destination.put(taken, chunks("somebody's"), { signal });
      await write();
      expect(await archive.push()).toEqual(["binlog.000002"]);
      expect((await archive.copies()).map(({ incarnation }) => incarnation === undefined)).toEqual([true, false]);
      await write();
      expect(await archive.push()).toEqual(["binlog.000003"]);
      expect((await archive.copies()).map(({ incarnation }) => incarnation === undefined)).toEqual([
        true,
        false,
        false,
      ]);
      expect(await collect(archive.destination.get(taken, { signal }))).toEqual(Buffer.from("somebody's"));
    });

    test("a log is the same over the network as in the server's directory", async () => {
      await write(50);
      await server.sql("FLUSH BINARY LOGS");
      const login = await readDefaultsFile(server.defaultsFile);
      await using client = await openClient({ defaultsFile: server.defaultsFile }, { signal });
      const access = {
        kind: "protocol",
        program,
        login: loginFile(login, client.address, isMariadb ? "mariadb" : "mysql"),
      } as const;
      const own = fileOf("binlog.000001");
      await using capture = await binlogSource({ name: "binlog.000001", bytes: own.length, access }).open({ signal });
      expect((await collect(capture.content)).equals(own)).toBe(true);
      expect(capture.facts()).toMatchObject({ damage: undefined, log: { transactions: 50 } });
      await using gone = await binlogSource({ name: "binlog.000077", bytes: 9, access }).open({ signal });
      await expect(collect(gone.content)).rejects.toMatchObject({ name: "LogGoneError" });
      await using short = await binlogSource({ name: "binlog.000001", bytes: own.length + 1, access }).open({ signal });
      await expect(collect(short.content)).rejects.toMatchObject({ code: "FAILED", retryable: true });
    });

    test("scanBinlog() finds every flipped byte and every cut", async () => {
      await write(2);
      await server.sql("FLUSH BINARY LOGS");
      const bytes = fileOf("binlog.000001");
      const whole = await scanBinlog(sliced(bytes, 1, 7, 300), "log");
      expect(whole.damage).toBeUndefined();
      const unseen: number[] = [];
      for (let at = 0; at < bytes.length; at++) {
        const flipped = Buffer.from(bytes);
        flipped[at] = (flipped[at] ?? 0) ^ 0x10;
        const found = await scanBinlog(chunks(flipped), "log").then(
          ({ damage }) => damage,
          () => "refused",
        );
        if (found === undefined) unseen.push(at);
      }
      expect(unseen).toEqual([]);
      for (let length = 4; length < bytes.length; length++) {
        const cut = await scanBinlog(chunks(bytes.subarray(0, length)), "log").catch(() => "refused" as const);
        if (cut === "refused") continue;
        // A cut between two events leaves a log that only lacks its end.
        expect([cut.log.end, cut.damage === undefined]).not.toEqual(["rotated", true]);
        expect(cut.log.endOffset).toBeLessThanOrEqual(length);
      }
    });

    /** @returns the error, or `undefined` when all is as it was recorded. */
    async function verify(copy: BinlogCopy): Promise<unknown> {
      const open = () =>
        Promise.resolve({ decoders: [], explain: (error: unknown) => error, async [Symbol.asyncDispose]() {} });
      return (await verifyBinlog(copy, undefined, { shelf: archive.shelf, open, idleSeconds: 0, signal })).error;
    }

    test("verifyBinlog() proves an archived log, and finds a changed one", async () => {
      await write(2);
      await archive.push();
      const [copy] = await archive.copies();
      if (copy === undefined) throw new Error("a log was archived");
      expect(await verify(copy)).toBeUndefined();
      expect((await archive.copies())[0]?.verified).toMatchObject({ ok: true, level: "checksum" });
      expect(await verify({ ...copy, gtid: "0-1-99" })).toMatchObject({ code: "DATA_DAMAGED" });
      const bytes = await archive.bytesOf(copy);
      bytes[200] = (bytes[200] ?? 0) ^ 1;
      await archive.destination.remove(copy.key, { signal });
      await archive.destination.put(copy.key, chunks(bytes), { signal });
      expect(await verify({ ...copy, sha256: undefined })).toMatchObject({
        code: "DATA_DAMAGED",
        message: expect.stringContaining("checksum"),
      });
      expect((await archive.copies())[0]?.verified?.ok).toBe(false);
    });

    test("verifyBinlog() compares every fact that is recorded, and none that an earlier build did not note", async () => {
      await write(2);
      await archive.push();
      await write(3);
      await archive.push();
      const copy = (await archive.copies())[1];
      if (copy === undefined) throw new Error("two logs were archived");
      const recorded = BINLOG_RECORD.write(copy).get("log") as JsonObject;
      const facts = [...recorded.keys()];
      const without = (...names: readonly string[]) => verify(withLog(copy, omit(recorded, names)));
      const later = ["logged", "previous_logged", "loads_files"];
      expect(facts.filter((name) => later.includes(name))).toEqual(isMariadb ? later : []);

      const verified = [await without(), await without(...later)];
      for (const name of later) verified.push(await without(name));
      expect(verified).toEqual(verified.map(() => undefined));

      const other = {
        ...LATER_FACTS,
        ...Object.fromEntries(facts.map((name) => [name, otherThan(recorded.get(name))])),
      };
      const unseen: string[] = [];
      for (const [name, value] of Object.entries(other)) {
        const error = await verify(withLog(copy, new Map([...recorded, [name, value]])));
        const isSeen = error instanceof BackupError && error.code === "DATA_DAMAGED";
        if (!isSeen || !error.message.endsWith("it holds other events than were recorded")) unseen.push(name);
      }
      expect(unseen).toEqual([]);
      expect(Object.keys(other)).toHaveLength(16);
      // What every build had looked for is a fact also where it is not there.
      for (const name of ["checksums", "previous_gtid", "first_commit_ms", "last_commit_ms"]) {
        expect(await without(name)).toMatchObject({ code: "DATA_DAMAGED" });
      }
    });
  });
});

function uuidOf(set: string): string {
  return set.slice(0, 36);
}

/** A copy as a status has it that records other facts of its log. */
function withLog(copy: BinlogCopy, log: JsonObject): BinlogCopy {
  const record = new Map([...BINLOG_RECORD.write(copy), ["log", log]]);
  return BINLOG_RECORD.read({ key: BINLOG_RECORD.recordKey(copy), interval: undefined }, new Fields(record, "status"));
}

function omit(record: JsonObject, names: readonly string[]): JsonObject {
  return new Map([...record].filter(([name]) => !names.includes(name)));
}

/** Another value that the same fact could have. */
function otherThan(value: Json | undefined): Json {
  if (typeof value === "boolean") return !value;
  if (typeof value === "number") return value + 1;
  if (typeof value !== "string") throw new Error("a log's record has texts, numbers and flags");
  return (
    new Map([
      ["mysql", "mariadb"],
      ["mariadb", "mysql"],
      ["rotated", "open"],
    ]).get(value) ?? `${value}0`
  );
}

describe.skipIf(!hasMariadb())("binary logs that the server encrypts", () => {
  test("backupBinlogs() has the server send them, and they are plain", async () => {
    const keys = join(tmpdir(), `binlog-keys-${process.pid}`);
    writeFileSync(keys, `1;${"a7".repeat(32)}\n`, { mode: 0o644 });
    const lines = ["plugin_load_add=file_key_management", `file_key_management_filename=${keys}`, "encrypt_binlog=ON"];
    const server = await startMariadb({ lines });
    try {
      const archive = new BinlogArchive(() => server.defaultsFile);
      await server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT); INSERT INTO d.t VALUES (1)");
      expect(await archive.push()).toEqual(["binlog.000001"]);
      const [copy] = await archive.copies();
      if (copy === undefined) throw new Error("a log was archived");
      expect(copy).toMatchObject({ tool: "mariadb-binlog", log: { transactions: 3, end: "rotated" } });
      expect((await archive.bytesOf(copy)).includes("INSERT INTO d.t VALUES (1)")).toBe(true);
      await server.sql("INSERT INTO d.t VALUES (2)");
      expect(await archive.push()).toEqual(["binlog.000002"]);
      expect(archive.warnings).toEqual([]);
    } finally {
      await server.stop();
      rmSync(keys);
    }
  });
});

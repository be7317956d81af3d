import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Media } from "../../../src/domain/copy.ts";
import { BackupError } from "../../../src/domain/errors.ts";
import { toKey } from "../../../src/domain/key.ts";
import { formatRecords, formatStatus, parseStatus } from "../../../src/status/codec.ts";

function golden(path: string): Buffer {
  return readFileSync(new URL(`../../golden/status/${path}`, import.meta.url));
}

function base64(text: string): string {
  return Buffer.from(text, "utf8").toString("base64");
}

/** A versioned status file around any inner text, with a right checksum. */
function envelope(inner: string, version: unknown = 1): Buffer {
  const status = base64(inner);
  return Buffer.from(JSON.stringify({ version, status, md5: createHash("md5").update(status).digest("hex") }));
}

function mysqlInner(records: Readonly<Record<string, unknown>>, rest: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({ hourly: {}, daily: records, weekly: {}, monthly: {}, yearly: {}, ...rest });
}

function refusal(media: Media, content: Uint8Array): unknown {
  try {
    return parseStatus(media, content, "db7/status");
  } catch (error) {
    return error;
  }
}

const KEY = "db7/daily/mysql/mysql-2024-05-06_00_00_02.xbstream.gz";

describe("formatStatus()", () => {
  test.each(["mysql", "binlog"] as const)(
    "formatStatus() writes a %s status of the predecessor back byte for byte",
    (media) => {
      const content = golden(`valid/${media}.json`);
      expect(Buffer.from(formatStatus(media, parseStatus(media, content, media))).toString()).toBe(content.toString());
    },
  );

  test("formatStatus() writes an empty status with all run types", () => {
    expect(formatRecords("mysql", { copies: [] })).toBe(
      '{"hourly": {}, "daily": {}, "weekly": {}, "monthly": {}, "yearly": {}}',
    );
    expect(formatRecords("binlog", { copies: [] })).toBe("{}");
  });

  test("formatStatus() never writes what the predecessor chokes on", () => {
    const status = parseStatus(
      "mysql",
      envelope(mysqlInner({ [KEY]: { type: "full", server_vendor: "drizzle" }, "a/b/c/d": { type: "full", lsn: 0 } })),
      "db7/status",
    );
    const written = JSON.parse(formatRecords("mysql", status)) as { daily: Record<string, Record<string, unknown>> };
    expect(written.daily[KEY]).toMatchObject({
      server_vendor: "oracle",
      server_vendor_original: "drizzle",
      config: [],
      backup_started: Math.floor(new Date(2024, 4, 6, 0, 0, 2).getTime() / 1000),
    });
    expect(written.daily["a/b/c/d"]).toMatchObject({ backup_started: 1, lsn: null });
  });

  test("formatStatus() escapes what is not ASCII, as Python does", () => {
    const inner = mysqlInner({ "dä/daily/mysql/\u{1f600}": { type: "full" } });
    expect(formatRecords("mysql", parseStatus("mysql", envelope(inner), "s"))).toContain(
      String.raw`"d\u00e4/daily/mysql/\ud83d\ude00"`,
    );
  });

  test("formatStatus() refuses two objects of one binlog", () => {
    const [copy] = parseStatus("binlog", golden("valid/binlog.json"), "s").copies;
    const twin = { ...copy!, key: toKey(`${copy!.key}.gz`), suffixes: [".gz"] };
    expect(() => formatStatus("binlog", { copies: [copy!, twin] })).toThrow(/same name/);
  });
});

describe("parseStatus()", () => {
  test("parseStatus() reads the facts of a versioned MySQL status", () => {
    const { copies } = parseStatus("mysql", golden("valid/mysql.json"), "db7/status");
    expect(copies).toMatchObject([
      {
        kind: "full",
        interval: "daily",
        host: "db7",
        lsn: 88001234n,
        binlog: { file: "mysql-bin.000340", offset: 157 },
      },
      {
        kind: "incremental",
        interval: "hourly",
        parent: KEY,
        vendor: "percona",
        suffixes: [".gz"],
        galeraVersion: undefined,
        startedAt: new Date(1714957202000),
        config: new Map([["/etc/my.cnf", "[mysqld]\nserver_id=7\n"]]),
      },
    ]);
  });

  test("parseStatus() reads an unversioned status, also broken over indented lines and with CRLF inside", () => {
    const content = golden("old/mysql-unversioned.txt");
    const expected = [
      {
        kind: "full",
        vendor: "oracle",
        lsn: 2634501n,
        startedAt: new Date(1509667204000),
        finishedAt: new Date(1509667391000),
      },
    ];
    expect(parseStatus("mysql", content, "s").copies).toMatchObject(expected);

    const inner = Buffer.from(content.toString(), "base64").toString().replaceAll(", ", ",\r\n    ");
    const lines = base64(inner).replaceAll(/.{60}/g, "$&\n        ");
    expect(parseStatus("mysql", Buffer.from(`\n  ${lines}\n`), "s").copies).toMatchObject(expected);
  });

  test("parseStatus() reads records with nothing but a type, null or zero in between", () => {
    const record = { type: "full", lsn: null, binlog: null, position: 0, config: null, backup_started: null };
    const inner = mysqlInner({ [KEY]: record, [`${KEY}.gpg`]: { type: "full", backup_started: 1714953603.9 } });
    const { copies } = parseStatus("mysql", envelope(inner), "s");
    expect(copies).toHaveLength(2);
    expect(copies.find(({ key }) => key === KEY)).toMatchObject({
      lsn: undefined,
      binlog: undefined,
      config: new Map(),
      startedAt: new Date(2024, 4, 6, 0, 0, 2),
      finishedAt: undefined,
    });
  });

  test("parseStatus() reads a status of many megabytes, whatever stands in its texts", () => {
    const note = String.raw`[{\"`.repeat(2_000_000);
    const inner = mysqlInner({ [KEY]: { type: "full", note } });
    expect(parseStatus("mysql", envelope(inner), "s").copies[0]?.extra).toEqual(new Map([["note", note]]));
  });

  test("parseStatus() takes a time of 0 for unknown, as early writers meant it", () => {
    const inner = mysqlInner({ [KEY]: { type: "full", backup_started: 0, backup_finished: 0 } });
    expect(parseStatus("mysql", envelope(inner), "s").copies[0]).toMatchObject({
      startedAt: new Date(2024, 4, 6, 0, 0, 2),
      finishedAt: undefined,
    });
  });

  test("parseStatus() reads a config file in an old encoding as Latin-1", () => {
    const latin = Buffer.from("# gr\u00fcn\n", "latin1").toString("base64");
    const inner = mysqlInner({ [KEY]: { type: "full", config: [{ "/etc/my.cnf": latin }] } });
    const { copies } = parseStatus("mysql", envelope(inner), "s");
    expect(copies[0]?.config.get("/etc/my.cnf")).toBe("# gr\u00fcn\n");
  });

  test("parseStatus() keeps integers that a number cannot hold", () => {
    const inner = mysqlInner({ [KEY]: { type: "full", lsn: 0 } }).replace('"lsn":0', '"lsn": 9007199254740993');
    const status = parseStatus("mysql", envelope(inner), "s");
    expect(status.copies[0]?.lsn).toBe(9007199254740993n);
    expect(formatRecords("mysql", status)).toContain('"lsn": 9007199254740993,');
  });

  test("parseStatus() keeps fields that nobody knows", () => {
    const extra = { colour: { of: ["x", 1, null], big: 1.5 } };
    const inner = mysqlInner({ [KEY]: { type: "full", ...extra } });
    const again = JSON.parse(formatRecords("mysql", parseStatus("mysql", envelope(inner), "s"))) as {
      daily: Record<string, unknown>;
    };
    expect(again.daily[KEY]).toMatchObject(extra);
  });

  test("parseStatus() keeps a field named __proto__ a field", () => {
    const inner = mysqlInner({ [KEY]: { type: "full" } }).replace('"type"', '"__proto__":{"kind":"x"},"type"');
    const status = parseStatus("mysql", envelope(inner), "s");
    expect(status.copies[0]).toMatchObject({ kind: "full", extra: new Map([["__proto__", new Map([["kind", "x"]])]]) });
    expect(({} as { kind?: string }).kind).toBeUndefined();
  });

  test("parseStatus() reads binlog times as number or text, under both names", () => {
    const inner = JSON.stringify({
      "db7/binlog/b.000002": { created_at: "1714953602" },
      "db7/binlog/b.000001": { time_created: 1714950002 },
    });
    const { copies } = parseStatus("binlog", envelope(inner), "s");
    expect(copies.map(({ name, createdAt }) => [name, createdAt.getTime()])).toEqual([
      ["b.000001", 1714950002000],
      ["b.000002", 1714953602000],
    ]);
  });

  test("parseStatus() gives a recorded binlog the key of its object", () => {
    const inner = JSON.stringify({ "db7/binlog/inc/b.000002": { time_created: 1, suffixes: [".zst", ".gpg"] } });
    const status = parseStatus("binlog", envelope(inner), "s");
    expect(status.copies[0]).toMatchObject({ key: "db7/binlog/inc/b.000002.zst.gpg", incarnation: "inc" });
    expect(formatRecords("binlog", status)).toBe(
      '{"db7/binlog/inc/b.000002": {"time_created": 1, "suffixes": [".zst", ".gpg"]}}',
    );
  });

  test("parseStatus() refuses a newer format by name", () => {
    expect(refusal("mysql", envelope(mysqlInner({}), 2))).toMatchObject({
      name: "NewerFormatError",
      message: 'Cannot read "db7/status": it has format 2, this program knows up to 1',
    });
  });

  test.each<[string, string | Buffer]>([
    ["nothing", ""],
    ["spaces", " \n"],
    ["null", "null"],
    ["a list", "[]"],
    ["a number", "1234"],
    ["an empty object", "{}"],
    ["a wrong checksum", golden("valid/mysql.json").toString().replace('"md5": "3', '"md5": "4')],
    ["a checksum in capitals", golden("valid/mysql.json").toString().replace("d588d", "d588D")],
    ["no UTF-8", Buffer.from([0x7b, 0xff, 0x7d])],
    ["a missing run type", envelope('{"hourly":{},"daily":{},"weekly":{},"monthly":{}}')],
    ["an unknown run type", envelope(mysqlInner({}, { minutely: {} }))],
    ["a version of text", envelope(mysqlInner({}), "1")],
    ["a version of 0", envelope(mysqlInner({}), 0)],
    ["a short key", envelope(mysqlInner({ "db7/daily/mysql": { type: "full" } }))],
    ["a key that leads out", envelope(mysqlInner({ "db7/../../x/y": { type: "full" } }))],
    ["an absolute key", envelope(mysqlInner({ "/db7/daily/mysql/x": { type: "full" } }))],
    ["a record without type", envelope(mysqlInner({ [KEY]: {} }))],
    ["a record that is null", envelope(mysqlInner({ [KEY]: null }))],
    ["an increment without parent", envelope(mysqlInner({ [KEY]: { type: "incremental", parent: null } }))],
    ["a parent that leads out", envelope(mysqlInner({ [KEY]: { type: "incremental", parent: "../x" } }))],
    [
      "a config that is no base64",
      envelope(mysqlInner({ [KEY]: { type: "full", config: [{ "/etc/my.cnf": "a b!" }] } })),
    ],
    ["a digest that is none", envelope(mysqlInner({ [KEY]: { type: "full", sha256: "00" } }))],
    ["a size below zero", envelope(mysqlInner({ [KEY]: { type: "full", bytes: -1 } }))],
    ["a fractional LSN", envelope(mysqlInner({ [KEY]: { type: "full", lsn: 1.5 } }))],
    ["a time out of range", envelope(mysqlInner({ [KEY]: { type: "full", backup_started: 1e300 } }))],
    ["a number out of range", envelope(mysqlInner({ [KEY]: { type: "full", x: 1 } }).replace('"x":1', '"x":1e999'))],
    [
      "a copy under two run types",
      envelope(mysqlInner({ [KEY]: { type: "full" } }, { weekly: { [KEY]: { type: "full" } } })),
    ],
    ["a depth bomb", envelope(`${"[".repeat(100_000)}${"]".repeat(100_000)}`)],
    [
      "a field nested deeper than any of ours",
      envelope(mysqlInner({ [KEY]: { type: "full", x: JSON.parse(`${"[".repeat(40)}${"]".repeat(40)}`) } })),
    ],
    ["a depth bomb outside", `{"a":${"[".repeat(100_000)}`],
  ])("parseStatus() refuses %s", (_name, content) => {
    expect(refusal("mysql", Buffer.from(content))).toMatchObject({ name: "BackupError", code: "DATA_DAMAGED" });
  });

  test("parseStatus() refuses an unversioned status cut short anywhere", () => {
    const content = golden("old/mysql-unversioned.txt");
    for (let length = 0; length < content.length; length++) {
      expect(refusal("mysql", content.subarray(0, length))).toBeInstanceOf(BackupError);
    }
  });

  test("parseStatus() refuses a versioned status of another kind without its version", () => {
    expect(refusal("binlog", Buffer.from(base64("{}")))).toMatchObject({ code: "DATA_DAMAGED" });
    expect(refusal("files", Buffer.from(base64(mysqlInner({}))))).toMatchObject({ code: "DATA_DAMAGED" });
  });

  test("parseStatus() refuses a files copy filed under another run type than its key", () => {
    const inner = mysqlInner({ "db7/hourly/files/_etc-2024-05-06_00_00_02.tar.gz": {} });
    expect(refusal("files", envelope(inner))).toMatchObject({ code: "DATA_DAMAGED" });
  });

  test.each(["mysql", "binlog"] as const)("parseStatus() refuses every prefix of a %s status", (media) => {
    const content = golden(`valid/${media}.json`);
    for (let length = 0; length < content.length; length++) {
      expect(refusal(media, content.subarray(0, length))).toMatchObject({ code: "DATA_DAMAGED" });
    }
  });

  test.each(["mysql", "binlog"] as const)(
    "parseStatus() refuses every flip of a byte of a %s status, or reads the same",
    (media) => {
      const content = golden(`valid/${media}.json`);
      const before = formatRecords(media, parseStatus(media, content, "s"));
      let same = 0;
      for (let index = 0; index < content.length; index++) {
        for (const mask of [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff, 0x2a, 0x29]) {
          const flipped = Buffer.from(content);
          flipped[index]! ^= mask;
          const found = refusal(media, flipped);
          if (found instanceof Error) expect(found).toMatchObject({ code: "DATA_DAMAGED" });
          else expect([formatRecords(media, found as never), ++same]).toEqual([before, same]);
        }
      }
      // Blanks between the members of the envelope may become other blanks.
      expect(same).toBeLessThan(20);
    },
  );
});

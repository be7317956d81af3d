import { describe, expect, test } from "vitest";
import { toKey } from "../../../src/domain/key.ts";
import {
  copyKey,
  directoryCode,
  filesName,
  mysqlName,
  parseBinlogName,
  parseCopyKey,
  parseFilesName,
  parseMysqlName,
  suffixesOf,
  uniqueTimestamp,
  withoutSuffixes,
} from "../../../src/domain/names.ts";
import { formatStamp, parseStamp } from "../../../src/domain/timestamp.ts";

const TAKEN_AT = new Date(2026, 10, 21, 2, 36, 45);

describe("directoryCode()", () => {
  test.each([
    ["/etc/my.cnf", "_etc_my.cnf"],
    ["/var/lib/mysql/", "_var_lib_mysql"],
    ["/srv/two words//", "_srv_two words"],
    ["/", ""],
    ["///", ""],
  ])("directoryCode() turns %s into %s", (directory, code) => {
    expect(directoryCode(directory)).toBe(code);
  });
});

test("filesName() joins code and local time", () => {
  expect(filesName("/etc", TAKEN_AT)).toBe("_etc-2026-11-21_02_36_45.tar");
  expect(filesName("/", TAKEN_AT)).toBe("-2026-11-21_02_36_45.tar");
});

test("parseFilesName() reads what filesName() wrote, with any known suffixes", () => {
  for (const suffixes of [[], [".gz"], [".bz", ".gpg"], [".zst"], [".xz"], [".lz4", ".gpg"], [".gpg"]]) {
    const name = filesName("/srv/a-b", TAKEN_AT) + suffixes.join("");
    expect(parseFilesName(name)).toEqual({
      code: "_srv_a-b",
      stamp: formatStamp(TAKEN_AT),
      takenAt: TAKEN_AT,
      suffixes,
    });
  }
});

test("parseFilesName() takes the last stamp", () => {
  const name = "_a-2020-01-01_00_00_00.tar.gz-2026-11-21_02_36_45.tar.gz";
  expect(parseFilesName(name)).toMatchObject({ code: "_a-2020-01-01_00_00_00.tar.gz", takenAt: TAKEN_AT });
});

test.each([
  "_etc-2026-11-21_02_36_45.tar.gz.part",
  "_etc-2026-11-21_02_36_45.tar.gpg.gz",
  "_etc-2026-11-21_02_36_45.tgz",
  "_etc-2026-13-21_02_36_45.tar.gz",
  "_etc-2026-02-30_02_36_45.tar.gz",
  "_etc-2026-11-21_24_36_45.tar.gz",
  "_etc2026-11-21_02_36_45.tar",
  "status",
])("parseFilesName() refuses %s", (name) => {
  expect(parseFilesName(name)).toBeUndefined();
});

test("parseMysqlName() reads what mysqlName() wrote, and nothing longer", () => {
  expect(mysqlName(TAKEN_AT)).toBe("mysql-2026-11-21_02_36_45.xbstream");
  expect(parseMysqlName(`${mysqlName(TAKEN_AT)}.gz.gpg`)).toMatchObject({
    takenAt: TAKEN_AT,
    suffixes: [".gz", ".gpg"],
  });
  expect(parseMysqlName(`x${mysqlName(TAKEN_AT)}`)).toBeUndefined();
  expect(parseMysqlName(`${mysqlName(TAKEN_AT)}.tmp`)).toBeUndefined();
});

test("parseBinlogName() tells the server's name from the suffixes", () => {
  expect(parseBinlogName("mysql-bin.000012.gz.gpg")).toEqual({
    name: "mysql-bin.000012",
    basename: "mysql-bin",
    number: 12,
    suffixes: [".gz", ".gpg"],
  });
  expect(parseBinlogName("bin.1000000")).toMatchObject({ number: 1_000_000, suffixes: [] });
  expect(parseBinlogName("mysql-bin.index")).toBeUndefined();
});

test("suffixesOf() and withoutSuffixes() split any key", () => {
  expect(suffixesOf("anything.gz.gpg")).toEqual([".gz", ".gpg"]);
  expect(suffixesOf("notes.txt")).toEqual([]);
  expect(withoutSuffixes(toKey("db7/binlog/mysql-bin.000012.zst"))).toBe("db7/binlog/mysql-bin.000012");
});

test("parseCopyKey() reads the keys of all media", () => {
  expect(parseCopyKey(toKey("db7/daily/files/_etc.tar"))).toEqual({
    media: "files",
    host: "db7",
    interval: "daily",
    name: "_etc.tar",
  });
  expect(parseCopyKey(toKey("db7/hourly/mysql/m"))).toMatchObject({ media: "mysql", interval: "hourly", name: "m" });
  expect(parseCopyKey(toKey("db7/binlog/b.000001.gz"))).toMatchObject({ media: "binlog", incarnation: undefined });
  expect(parseCopyKey(toKey("db7/binlog/inc/b.000001.gz"))).toMatchObject({ incarnation: "inc", name: "b.000001.gz" });
});

test.each([
  "db7/status",
  "db7/binlog-status",
  "db7/binlog",
  "db7/manifest/daily.files.x.json",
  "db7/daily/files",
  "db7/Daily/files/x",
  "db7/daily/other/x",
  "db7/daily/files/x/y",
  "db7/binlog/a/b/c",
])("parseCopyKey() refuses %s", (key) => {
  expect(parseCopyKey(toKey(key))).toBeUndefined();
});

test("copyKey() refuses a part that is no component", () => {
  expect(() => copyKey({ media: "files", host: "..", interval: "daily", name: "x" })).toThrow(/Cannot use/);
});

describe("uniqueTimestamp()", () => {
  const names = ["_etc-2026-11-21_02_36_45.tar.gz", "mysql-2026-11-20_23_00_00.xbstream.gz", "notes.txt"];

  test("uniqueTimestamp() is now when now sorts last", () => {
    const now = new Date(2026, 10, 21, 2, 36, 46);
    expect(uniqueTimestamp(now, names)).toEqual({ takenAt: now, clockBehind: false });
    expect(uniqueTimestamp(now, [])).toEqual({ takenAt: now, clockBehind: false });
  });

  test("uniqueTimestamp() is one second after the newest when the clock went back", () => {
    const after = { takenAt: new Date(2026, 10, 21, 2, 36, 46), clockBehind: false };
    expect(uniqueTimestamp(new Date(2026, 10, 21, 2, 36, 45), names)).toEqual(after);
    expect(uniqueTimestamp(new Date(2026, 10, 21, 1, 0, 0), names)).toEqual(after);
    expect(uniqueTimestamp(new Date(2026, 10, 20, 2, 36, 46), names)).toEqual(after);
  });

  test("uniqueTimestamp() reports a clock that is over a day behind", () => {
    expect(uniqueTimestamp(new Date(2026, 10, 20, 2, 36, 45), names)).toEqual({
      takenAt: new Date(2026, 10, 21, 2, 36, 46),
      clockBehind: true,
    });
  });

  test("uniqueTimestamp() carries over the end of a year", () => {
    const { takenAt } = uniqueTimestamp(new Date(2026, 11, 31, 0, 0, 0), ["_etc-2026-12-31_23_59_59.tar.gz"]);
    expect(formatStamp(takenAt)).toBe("2027-01-01_00_00_00");
  });

  test("uniqueTimestamp() refuses to name anything after the last possible stamp", () => {
    expect(() => uniqueTimestamp(TAKEN_AT, ["_etc-9999-12-31_23_59_59.tar"])).toThrow(/nothing sorts after/);
  });
});

test("parseStamp() refuses what is no date", () => {
  expect(parseStamp("")).toBeUndefined();
  expect(parseStamp("2026-11-21 02:36:45")).toBeUndefined();
  expect(parseStamp("2026-00-21_02_36_45")).toBeUndefined();
  expect(parseStamp("2024-02-29_02_36_45")).toEqual(new Date(2024, 1, 29, 2, 36, 45));
});

import { describe, expect, test } from "vitest";
import { chooseMysql, findMysql, isKept, keptKeyOf } from "../../../src/cli/find-mysql.ts";
import type { MysqlCopy } from "../../../src/domain/copy.ts";
import { toKey } from "../../../src/domain/key.ts";
import type { Listed } from "../../../src/job/list.ts";
import { at, filesCopy, fullCopy, increment } from "../../support/copies.ts";

const OTHER = fullCopy(at(5), { host: "db8", key: toKey("db8/daily/mysql/mysql-2026-05-05_00_00_02.xbstream.gz") });
const FULL = fullCopy(at(1));
const SECRET = fullCopy(at(2), {
  key: toKey("db7/daily/mysql/mysql-2026-05-02_00_00_02.xbstream.gz.gpg"),
  suffixes: [".gz", ".gpg"],
});
const ORPHAN = increment(at(3), toKey("db7/daily/mysql/mysql-2026-04-01_00_00_02.xbstream.gz"));
const LISTED: Listed[] = [filesCopy(at(9)), FULL, SECRET, ORPHAN, OTHER].map((copy) => ({ copy, doubt: undefined }));
const WHERE = { host: "db7", keepLocalPath: "/var/backup/kept" };

function keysOf(copies: readonly MysqlCopy[]): string[] {
  return copies.map(({ key }) => key);
}

describe("findMysql()", () => {
  test("findMysql() finds a copy by its key, name or URL, with the copies of its host", () => {
    for (const typed of [OTHER.key, `s3://bucket/${OTHER.key}`, "mysql-2026-05-05_00_00_02.xbstream.gz"]) {
      const found = findMysql(typed, WHERE, LISTED);
      expect(found.copy).toBe(OTHER);
      expect(found.candidates.map(({ copy }) => copy)).toEqual([OTHER]);
    }
  });

  test("findMysql() finds the record of a kept copy, which lies before encryption", () => {
    expect(findMysql(`/var/backup/kept/${FULL.key}`, WHERE, LISTED).copy).toBe(FULL);
    expect(findMysql(`/var/backup/kept/${SECRET.key.replace(".gpg", "")}`, WHERE, LISTED).copy).toBe(SECRET);
    expect(() => findMysql("/var/backup/kept/db7/daily/mysql/x", WHERE, LISTED)).toThrow("no record of it");
  });

  test("findMysql() takes as latest the newest that has all its parts", () => {
    expect(findMysql("latest", WHERE, LISTED)).toMatchObject({ copy: SECRET, passedOver: [ORPHAN] });
    expect(findMysql(FULL.key, WHERE, LISTED).passedOver).toEqual([]);
    expect(() => findMysql("latest", { ...WHERE, host: "db9" }, LISTED)).toThrow(
      expect.objectContaining({ code: "NOT_FOUND" }),
    );
    const broken = LISTED.map(({ copy }) => ({ copy, doubt: "gone" }) as const);
    expect(() => findMysql("latest", WHERE, broken)).toThrow("none has all its parts");
  });
});

test("isKept() tells paths below keep_local_path", () => {
  expect(isKept(`/var/backup/kept/${FULL.key}`, "/var/backup/kept/")).toBe(true);
  expect(isKept("/var/backup/kept-not/x", "/var/backup/kept")).toBe(false);
  expect(isKept(FULL.key, undefined)).toBe(false);
  expect(isKept("db7/x", process.cwd())).toBe(true);
  expect(isKept("latest", process.cwd())).toBe(false);
});

test("keptKeyOf() leaves out encryption only", () => {
  expect([FULL, SECRET].map(({ key }) => keptKeyOf(key))).toEqual([
    FULL.key,
    "db7/daily/mysql/mysql-2026-05-02_00_00_02.xbstream.gz",
  ]);
});

describe("chooseMysql()", () => {
  test("chooseMysql() verifies as latest the newest, whatever is known of it", () => {
    expect(chooseMysql("latest", WHERE, LISTED)).toEqual([ORPHAN]);
  });

  test("chooseMysql() takes all of one host, or the one that is named", () => {
    expect(keysOf(chooseMysql("all", WHERE, LISTED))).toEqual(keysOf([FULL, SECRET, ORPHAN]));
    expect(keysOf(chooseMysql(OTHER.key, WHERE, LISTED))).toEqual([OTHER.key]);
    expect(() => chooseMysql("all", { ...WHERE, host: "db9" }, LISTED)).toThrow('of "db9": it has none');
  });
});

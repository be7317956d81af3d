import { expect, test } from "vitest";
import { toKey } from "../../../src/domain/key.ts";
import { manifestKey, parseManifestKey } from "../../../src/domain/manifest.ts";
import {
  adoptedBinlog,
  adoptedFiles,
  locateBinlogs,
  reconcile,
  type StoredObject,
  unrecorded,
} from "../../../src/domain/reconcile.ts";
import { at, binlogCopy, filesCopy, fullCopy } from "../../support/copies.ts";

function object(key: string, bytes = 10): StoredObject {
  return { key: toKey(key), bytes, modifiedAt: at(1) };
}

test("reconcile() flags copies that are gone or have another size", () => {
  const copies = [1, 2, 3, 4].map((day) => filesCopy(at(day), { bytes: day === 4 ? undefined : 10 }));
  const objects = [object(copies[0]!.key), object(copies[1]!.key, 9), object(copies[3]!.key, 9)];
  expect([...reconcile({ copies }, objects)]).toEqual([
    [copies[1]!.key, "resized"],
    [copies[2]!.key, "gone"],
  ]);
});

test("locateBinlogs() finds the object of a binlog that was recorded without suffixes", () => {
  const bare = [1, 2, 3].map((number) =>
    binlogCopy(number, at(number), { key: toKey(`db7/binlog/mysql-bin.00000${number}`), suffixes: [] }),
  );
  const objects = [
    object("db7/binlog/mysql-bin.000001.bz.gpg"),
    object("db7/binlog/mysql-bin.000002.gz"),
    object("db7/binlog/mysql-bin.000002.gz.gpg"),
    object("db7/binlog/.gz"),
  ];
  const located = locateBinlogs({ copies: bare }, objects);
  expect(located.copies.map(({ key }) => key)).toEqual([
    "db7/binlog/mysql-bin.000001.bz.gpg",
    "db7/binlog/mysql-bin.000002",
    "db7/binlog/mysql-bin.000003",
  ]);
  expect(located.copies[0]?.suffixes).toEqual([".bz", ".gpg"]);
});

test("unrecorded() tells described, foreign and unfinished objects apart", () => {
  const [recorded, described, foreign, unfinished, both] = [1, 2, 3, 4, 5].map((day) => filesCopy(at(day)).key);
  const objects = [recorded!, described!, foreign!, unfinished!, both!].map((key) => object(key));
  objects.push(
    ...[recorded!, described!, both!].map((key) => object(manifestKey(key))),
    ...[unfinished!, both!, recorded!].map((key) => object(manifestKey(key, "unfinished"))),
    object("db7/files-status"),
    object(fullCopy(at(1)).key),
  );
  const found = unrecorded({ copies: [filesCopy(at(1))] }, "files", objects);
  expect(found.described).toEqual([described, both]);
  expect(found.foreign.map(({ key }) => key)).toEqual([foreign]);
  expect(found.unfinished).toEqual([{ key: unfinished, since: at(1) }]);
  expect(found.stale).toEqual([recorded]);
});

test("unrecorded() knows a binlog by its record without suffixes", () => {
  const bare = binlogCopy(1, at(1), { key: toKey("db7/binlog/mysql-bin.000001"), suffixes: [] });
  expect(unrecorded({ copies: [bare] }, "binlog", [object("db7/binlog/mysql-bin.000001.gz")]).foreign).toEqual([]);
});

test("adoptedFiles() takes the time from the name and the size from the listing", () => {
  expect(adoptedFiles(object("db7/weekly/files/_etc-2026-05-03_04_05_06.tar.bz.gpg", 77))).toMatchObject({
    host: "db7",
    interval: "weekly",
    directory: undefined,
    bytes: 77,
    suffixes: [".bz", ".gpg"],
    startedAt: new Date(2026, 4, 3, 4, 5, 6),
    verified: undefined,
  });
  expect(adoptedFiles(object("db7/weekly/files/notes.txt"))).toBeUndefined();
  expect(adoptedFiles(object("db7/weekly/mysql/_etc-2026-05-03_04_05_06.tar"))).toBeUndefined();
});

test("adoptedFiles() does not take an empty object for good", () => {
  expect(adoptedFiles(object("db7/daily/files/_etc-2026-05-03_04_05_06.tar.gz.gpg", 0))?.verified?.ok).toBe(false);
});

test("adoptedBinlog() takes the time from the listing", () => {
  expect(adoptedBinlog(object("db7/binlog/mysql-bin.000007.gz"))).toMatchObject({
    name: "mysql-bin.000007",
    createdAt: at(1),
    suffixes: [".gz"],
  });
  expect(adoptedBinlog(object("db7/binlog/mysql-bin.index"))).toBeUndefined();
});

test.each([
  ["db7/daily/files/_etc-2026-05-03_04_05_06.tar.gz", "db7/manifest/daily.files._etc-2026-05-03_04_05_06.tar.gz.json"],
  ["db7/binlog/mysql-bin.000007.gz", "db7/manifest/binlog.mysql-bin.000007.gz.json"],
  ["db7/binlog/mysql-bin/000007.gz", "db7/manifest/binlog.mysql-bin%2F000007.gz.json"],
  ["db7/daily/files/100%2F", "db7/manifest/daily.files.100%252F.json"],
])("manifestKey() of %s is %s, and back", (key, path) => {
  expect(manifestKey(toKey(key))).toBe(path);
  expect(parseManifestKey(toKey(path))).toEqual({ key, state: "complete" });
  expect(parseManifestKey(manifestKey(toKey(key), "unfinished"))).toEqual({ key, state: "unfinished" });
});

test.each([
  "db7/manifest/notes.json",
  "db7/manifest/daily.files..json",
  "db7/manifest/daily.files.a.json.tmp",
  "db7/manifest/daily.files.a%2Fb.json",
  "db7/manifest/daily.files.a%b.json",
  "db7/manifest/binlog.a%2F..%2Fb.json",
  "db7/manifest/binlog...json",
  "db7/manifest/x/daily.files.a.json",
  "db7/status",
])("parseManifestKey() refuses %s", (path) => {
  expect(parseManifestKey(toKey(path))).toBeUndefined();
});

test("manifestKey() says before anything is stored that a name is too long", () => {
  const key = toKey(`db7/daily/files/${"x".repeat(240)}`);
  expect(() => manifestKey(key)).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
});

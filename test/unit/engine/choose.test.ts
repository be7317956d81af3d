import { describe, expect, test } from "vitest";
import { toKey } from "../../../src/domain/key.ts";
import {
  type CopyOrigin,
  canPrepare,
  extractorNames,
  hasClone,
  isClone,
  mismatch,
  needOf,
  programNames,
} from "../../../src/engine/choose.ts";
import { readOptions, readVersion } from "../../../src/engine/tool.ts";
import { sample, TOOLS } from "./samples.ts";

const COPY: CopyOrigin = {
  key: toKey("h/daily/mysql/mysql-2026-11-21_02_36_45.xbstream.gz"),
  vendor: "mariadb",
  tool: undefined,
  toolVersion: undefined,
  serverVersion: undefined,
  format: undefined,
};

describe("mismatch()", () => {
  test.each([
    ["mariadb-backup", "10.11.6", "mariadb", "10.11.19-MariaDB-log"],
    ["mariadb-backup", "11.8.6", "mariadb", "11.8.2-MariaDB"],
    ["xtrabackup", "2.4.29", "oracle", "5.7.44-log"],
    ["xtrabackup", "2.4.29", "percona", "5.6.51-91.0"],
    ["xtrabackup", "2.4.29", "mariadb", "10.2.44-MariaDB"],
    ["xtrabackup", "8.0.35-31", "oracle", "8.0.46"],
    ["xtrabackup", "8.4.0-6", "percona", "8.4.6-6"],
    ["xtrabackup", "9.7.2-2", "oracle", "9.7.4"],
    ["xtrabackup", "26.7.0-1", "oracle", "26.7.1"],
  ] as const)("%s %s copies %s %s", (...[name, version, vendor, server]) => {
    expect(mismatch({ name, version }, { vendor, version: server })).toBeUndefined();
  });

  test.each([
    ["mariadb-backup", "10.11.19", "mariadb", "11.8.6-MariaDB", "needs mariadb-backup 11.8"],
    ["mariadb-backup", "11.8.6", "mariadb", "10.11.19-MariaDB", "needs mariadb-backup 10.11"],
    ["mariadb-backup", "10.11.19", "oracle", "8.0.46", "copies MariaDB only"],
    ["xtrabackup", "2.4.29", "mariadb", "10.3.1-MariaDB", "copies no MariaDB from 10.3 on"],
    ["xtrabackup", "8.0.35-31", "mariadb", "11.4.2-MariaDB", "copies no MariaDB from 10.3 on"],
    ["xtrabackup", "2.4.29", "oracle", "8.0.46", "needs XtraBackup 8.0"],
    ["xtrabackup", "8.0.35-31", "oracle", "5.7.44", "needs XtraBackup 2.4"],
    ["xtrabackup", "8.0.35-31", "oracle", "8.4.6", "needs XtraBackup 8.4"],
    ["xtrabackup", "8.4.0-6", "oracle", "8.0.46", "needs XtraBackup 8.0"],
    ["xtrabackup", "9.7.2-2", "oracle", "26.7.0", "needs XtraBackup 26.7"],
  ] as const)("%s %s does not copy %s %s", (...[name, version, vendor, server, why]) => {
    expect(mismatch({ name, version }, { vendor, version: server })).toContain(why);
  });
});

test.each([
  ["oracle", "8.0.16", false],
  ["oracle", "8.0.17", true],
  ["percona", "8.4.0-1", true],
  ["oracle", "5.7.44", false],
  ["oracle", "26.7.0", true],
  ["mariadb", "11.8.6-MariaDB", false],
] as const)("hasClone() of %s %s is %s", (vendor, version, has) => {
  expect(hasClone({ vendor, version })).toBe(has);
});

describe("needOf()", () => {
  test.each([
    ["what was recorded", { tool: "xtrabackup", toolVersion: "8.0.35-31", vendor: "oracle" }, "xtrabackup", "8.0"],
    ["an old MariaDB by XtraBackup", { tool: "xtrabackup", toolVersion: "2.4.29" }, "xtrabackup", "2.4"],
    ["the server where the tool is unknown", { vendor: "oracle", serverVersion: "5.7.44-log" }, "xtrabackup", "2.4"],
    ["the server of MariaDB", { serverVersion: "10.11.19-MariaDB" }, "mariadb-backup", "10.11"],
    ["nothing but the vendor", {}, "mariadb-backup", undefined],
    ["nothing but another vendor", { vendor: "percona" }, "xtrabackup", undefined],
  ] as const)("needOf() goes by %s", (...[, more, name, series]) => {
    const need = needOf({ ...COPY, ...more });
    expect(need).toEqual({ name, series });
    expect(canPrepare({ name, version: `${series ?? "1.2"}.99` }, need)).toBe(true);
    expect(canPrepare({ name, version: "7.7.7" }, need)).toBe(series === undefined);
    const other = name === "xtrabackup" ? "mariadb-backup" : "xtrabackup";
    expect(canPrepare({ name: other, version: `${series ?? "1.2"}.99` }, need)).toBe(false);
  });
});

test.each([
  [{}, false],
  [{ tool: "mariadb-backup", format: "xbstream" }, false],
  [{ tool: "clone", format: "tar" }, true],
  [{ format: "tar" }, true],
  [{ key: "h/daily/mysql/mysql-2026-11-21_02_36_45.tar.zst" }, true],
  [{ key: "h/daily/mysql/mysql-2026-11-21_02_36_45.tar" }, true],
  [{ key: "web.tar.example/daily/mysql/mysql-2026-11-21_02_36_45.xbstream" }, false],
] as const)("isClone() of %j is %s", (more, is) => {
  expect(isClone({ ...COPY, ...more } as CopyOrigin)).toBe(is);
});

test("programNames() looks for several installed versions", () => {
  expect(programNames({ name: "xtrabackup", series: "8.0" })).toEqual(["xtrabackup", "xtrabackup-8.0"]);
  expect(programNames({ name: "xtrabackup", series: undefined })).toContain("xtrabackup-2.4");
  expect(programNames({ name: "mariadb-backup", series: undefined })).toEqual(["mariadb-backup", "mariabackup"]);
});

test("extractorNames() prefers the sibling of the tool", () => {
  expect(extractorNames("xtrabackup", "xtrabackup-8.0")).toEqual(["xbstream-8.0", "xbstream"]);
  expect(extractorNames("xtrabackup", "/opt/pxb/bin/xtrabackup")).toEqual(["xbstream"]);
  expect(extractorNames("mariadb-backup", "/opt/mariadb/bin/mariabackup")).toEqual(["mbstream"]);
  expect(extractorNames("mariadb-backup", "/usr/local/bin/my-backup")).toEqual(["mbstream"]);
});

describe("readVersion() and readOptions()", () => {
  test.each(TOOLS)("readVersion() knows %s by what it says", (name) => {
    const found = readVersion(sample(name, "version.txt"));
    expect(`${found?.name}-${found?.version}`.startsWith(name)).toBe(true);
  });

  test("readVersion() knows no other program", () => {
    expect(readVersion("tar (GNU tar) 1.34\n")).toBeUndefined();
    expect(readVersion("mariadb  Ver 15.1 Distrib 10.11.19-MariaDB, for debian-linux-gnu\n")).toBeUndefined();
  });

  test("readOptions() reads names, short ones and descriptions of several lines", () => {
    const options = readOptions(sample("mariadb-backup-10.11", "help.txt"));
    expect(options.get("host")).toMatch(/^This option specifies the host .* for details\.$/);
    expect(options.get("incremental-lsn")).toMatch(/^\(for --backup\): copy only/);
    expect(options.get("no-backup-locks")).toBe("Obsolete, deprecated option");
    // The values that follow are no descriptions.
    expect([...options.values()].join("\n")).not.toMatch(/Variables|FALSE/);
    expect(options.has("compress")).toBe(false);
  });
});

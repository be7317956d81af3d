import { describe, expect, test } from "vitest";
import {
  formatMoment,
  gtidFilter,
  parseGtid,
  parseMoment,
  parsePosition,
} from "../../../src/domain/recovery-target.ts";

const UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

describe("parseMoment()", () => {
  test.each([
    ["2026-11-21T02:36:45Z", "2026-11-21T02:36:45Z", false],
    ["2026-11-21 02:36:45.123456+01:00", "2026-11-21T01:36:45.123456Z", false],
    ["2026-11-21t02:36:45.5z", "2026-11-21T02:36:45.5Z", false],
    ["2026-11-21T02:36", "2026-11-21T02:36:00Z", true],
    [" 2026-11-21 02:36:45 ", "2026-11-21T02:36:45Z", true],
    ["2024-02-29T23:59:59-12:00", "2024-03-01T11:59:59Z", false],
  ])("parseMoment() reads %j", (text, moment, isZoneAssumed) => {
    const read = parseMoment(text);
    expect({ ...read, at: formatMoment(read.at) }).toEqual({ at: moment, isZoneAssumed });
  });

  test.each([
    "",
    "now",
    "2026-11-21",
    "2026-02-30T00:00:00Z",
    "2026-11-21T24:01:00Z",
    "2026-11-21T02:36:45 CET",
    "1795226400",
  ])("parseMoment() refuses %j", (text) => {
    expect(() => parseMoment(text)).toThrow(expect.objectContaining({ code: "USAGE" }));
  });
});

test("parsePosition() reads a log and an offset, and nothing else", () => {
  expect(parsePosition("mysql-bin.000012:4711")).toEqual({ kind: "position", file: "mysql-bin.000012", offset: 4711 });
  for (const text of ["mysql-bin.000012", "4711", "a/b.000012:4", "mysql-bin.000012:-4", "mysql-bin.12:4"])
    expect(() => parsePosition(text)).toThrow(expect.objectContaining({ code: "USAGE" }));
});

test("parseGtid() takes one GTID, as the server prints it", () => {
  expect(parseGtid(`${UUID.toUpperCase()}:23`, "oracle")).toBe(`${UUID}:23`);
  expect(parseGtid(`${UUID}:tag:23`, "percona")).toBe(`${UUID}:tag:23`);
  expect(parseGtid(" 0-1-42 ", "mariadb")).toBe("0-1-42");
  for (const text of ["", `${UUID}:1-2`, `${UUID}:1:3`, `${UUID}:1,${UUID}:a:1`, "0-1-42", UUID])
    expect(() => parseGtid(text, "oracle")).toThrow(expect.objectContaining({ code: "USAGE" }));
  for (const text of ["", "0-1-42,1-1-1", "0-1-42,0-1-43", `${UUID}:23`])
    expect(() => parseGtid(text, "mariadb")).toThrow(expect.objectContaining({ code: "USAGE" }));
});

test("gtidFilter() knows the transactions that were named, of one domain as well", () => {
  const mysql = gtidFilter([`${UUID}:5-7`, `${UUID}:t:9`], "oracle");
  expect([`${UUID}:5`, `${UUID}:7`, `${UUID}:t:9`].every((gtid) => mysql.has(gtid))).toBe(true);
  expect([`${UUID}:8`, `${UUID}:9`, `${UUID}:t:5`].some((gtid) => mysql.has(gtid))).toBe(false);
  const mariadb = gtidFilter(["0-1-5,0-1-7", "1-1-1"], "mariadb");
  expect(["0-1-5", "0-1-7", "1-1-1"].every((gtid) => mariadb.has(gtid))).toBe(true);
  expect(["0-1-6", "0-2-5"].some((gtid) => mariadb.has(gtid))).toBe(false);
  const none = gtidFilter([], "oracle");
  expect([none.text, none.has(`${UUID}:1`)]).toEqual(["", false]);
  expect(() => gtidFilter(["0-1-5", ""], "mariadb")).toThrow(expect.objectContaining({ code: "USAGE" }));
});

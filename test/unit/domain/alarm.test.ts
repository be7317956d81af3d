import { describe, expect, test } from "vitest";
import { secondsOf } from "../../../src/cli/duration.ts";
import { type AgeThresholds, parseThresholds } from "../../../src/domain/age-thresholds.ts";
import { judge } from "../../../src/domain/alarm.ts";
import type { Copy } from "../../../src/domain/copy.ts";
import { fleetOf } from "../../../src/domain/fleet.ts";
import { at, binlogCopy, filesCopy, fullCopy } from "../../support/copies.ts";

const ON = { hourly: true, daily: true, weekly: true, monthly: true, yearly: true };

function noticesOf(copies: readonly Copy[], now: Date, changes: Partial<Parameters<typeof judge>[1]> = {}): string[] {
  const [view = { host: "db7", subjects: [] }] = fleetOf(
    copies.map((copy) => ({ copy, doubt: undefined })),
    now,
  );
  const watched = { directories: ["/etc/"], mysql: false, intervals: ON, thresholds: new Map() as AgeThresholds, now };
  return judge(view, { ...watched, ...changes }).flatMap(({ notices }) =>
    notices.map(({ level, text }) => `${level} ${text}`),
  );
}

const thresholds = (warning: string[], critical: string[] = []) => parseThresholds({ warning, critical }, secondsOf);

describe("judge()", () => {
  test("is silent about what is as it should be", () => {
    expect(noticesOf([filesCopy(at(8))], at(9, 11))).toEqual([]);
  });

  test("warns a period and a half after the last copy, and is alarmed after three", () => {
    expect(noticesOf([filesCopy(at(8))], at(9, 13))).toEqual([
      "WARNING /etc/: the newest good copy is 37 h old, the limit is 36 h",
    ]);
    expect(noticesOf([filesCopy(at(6))], at(9, 1))).toEqual([
      "CRITICAL /etc/: the newest good copy is 3 d old, the limit is 3 d",
    ]);
  });

  test("is alarmed when something that is configured has no good copy", () => {
    expect(noticesOf([], at(9), { mysql: true })).toEqual([
      "CRITICAL /etc/: there is no good copy",
      "CRITICAL mysql: there is no good copy",
    ]);
  });

  test("does not expect run types that are off", () => {
    const copies = [filesCopy(at(7), { interval: "hourly" }), filesCopy(at(9))];
    expect(noticesOf(copies, at(9, 5))).toEqual(["CRITICAL /etc/: the newest good copy is 5 h old, the limit is 3 h"]);
    expect(noticesOf(copies, at(9, 5), { intervals: { ...ON, hourly: false } })).toEqual([]);
  });

  test("names a longer run type that stopped", () => {
    const copies = [filesCopy(at(5)), filesCopy(at(9), { interval: "hourly" })];
    expect(noticesOf(copies, at(9, 1))).toEqual([
      "CRITICAL /etc/: the newest good daily copy is 4 d old, the limit is 3 d",
    ]);
  });

  test("tells of a newest copy that is broken, though the one before is young enough", () => {
    const broken = filesCopy(at(9), { verified: { at: at(9), ok: false, level: "checksum" } });
    expect(noticesOf([filesCopy(at(8)), broken], at(9, 1))).toEqual(["WARNING /etc/: the newest copy is broken"]);
  });

  test("goes by thresholds where a person set some", () => {
    const copies = [filesCopy(at(9)), fullCopy(at(9))];
    const set = { mysql: true, thresholds: thresholds(["10m,mysql=2h"], ["1d"]) };
    expect(noticesOf(copies, at(9, 1), set)).toEqual([
      "WARNING /etc/: the newest good copy is 60 min old, the limit is 10 min",
    ]);
    expect(noticesOf(copies, at(9, 1), { ...set, thresholds: thresholds([], ["files=30m"]) })).toEqual([
      "CRITICAL /etc/: the newest good copy is 60 min old, the limit is 30 min",
    ]);
  });

  test("has an opinion of the age of binary logs only when asked", () => {
    const copies = [filesCopy(at(9)), binlogCopy(1, at(8))];
    expect(noticesOf(copies, at(9))).toEqual([]);
    expect(noticesOf(copies, at(9), { thresholds: thresholds(["binlog=15m"]) })).toEqual([
      "WARNING binlog: the newest archived event is 24 h old, the limit is 15 min",
    ]);
  });
});

describe("parseThresholds()", () => {
  test("lets the more special one count, in any order", () => {
    for (const text of ["mysql=2h,1d", "1d,mysql=2h"]) {
      expect(Object.fromEntries(thresholds([text]))).toEqual({ files: { warning: 86_400 }, mysql: { warning: 7200 } });
    }
  });

  test.each(["", "soon", "mysql=", "=1h", "mysqld=1h", "1h,,2h", "-1h"])("refuses %j", (text) => {
    expect(() => thresholds([text])).toThrow(/^Cannot use "--warning .*": it is no age$/);
  });
});

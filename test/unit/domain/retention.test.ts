import { describe, expect, test } from "vitest";
import { toKey } from "../../../src/domain/key.ts";
import {
  decide,
  decideLocal,
  expired,
  expiredOf,
  type RetentionPolicy,
  type TimedCopy,
} from "../../../src/domain/retention.ts";
import { at, filesCopy, fullCopy, increment } from "../../support/copies.ts";

const NONE: RetentionPolicy = { hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };

function policy(counts: Partial<RetentionPolicy>): RetentionPolicy {
  return { ...NONE, ...counts };
}

/** The reasons by day and hour, `-` for what goes; newest first. */
function reasons(copies: readonly TimedCopy[], ...rest: [RetentionPolicy, Parameters<typeof decide>[2]?]): string[] {
  return decide(copies, ...rest).map((decision) => (decision.keep ? decision.reason : "-"));
}

const FAILED = { at: at(9), ok: false, level: "data" };

describe("decide()", () => {
  test("decide() keeps the newest of each interval and directory", () => {
    const copies = [
      filesCopy(at(1)),
      filesCopy(at(2)),
      filesCopy(at(3)),
      filesCopy(at(3, 1), { directory: "/etc/mysql" }),
      filesCopy(at(3, 2), { directory: "/etc_mysql" }),
      filesCopy(at(3, 3), { interval: "weekly" }),
    ];
    const decisions = decide(copies, policy({ daily: 2, weekly: 1 }));
    expect(decisions.filter(({ keep }) => !keep).map(({ copy }) => copy.key)).toEqual([copies[0]!.key]);
    expect(decisions.map(({ copy }) => copy.startedAt)).toEqual([at(3, 3), at(3, 2), at(3, 1), at(3), at(2), at(1)]);
  });

  test("decide() goes by the name where the clock went back", () => {
    const late = filesCopy(at(3), { startedAt: at(1) });
    const early = filesCopy(at(2), { startedAt: at(5) });
    expect(decide([early, late], policy({ daily: 1 }))).toEqual([
      { copy: late, keep: true, reason: "newest" },
      { copy: early, keep: false },
    ]);
  });

  test("decide() keeps the newest good copy whatever the policy says", () => {
    expect(reasons([filesCopy(at(1)), filesCopy(at(2)), filesCopy(at(3), { interval: "hourly" })], NONE)).toEqual([
      "last-good",
      "-",
      "-",
    ]);
    expect(reasons([filesCopy(at(1)), filesCopy(at(2), { verified: FAILED })], NONE)).toEqual(["damaged", "last-good"]);
    expect(reasons([filesCopy(at(1))], policy({ daily: -3 }))).toEqual(["last-good"]);
    expect(reasons([filesCopy(at(1))], policy({ daily: Number.NaN }))).toEqual(["last-good"]);
  });

  test("decide() does not count damaged copies and drops them only after enough good ones", () => {
    const good = [filesCopy(at(1)), filesCopy(at(2)), filesCopy(at(5))];
    const bad = [filesCopy(at(3), { verified: FAILED }), filesCopy(at(4))];
    const doubts = new Set([bad[1]!.key]);
    expect(reasons([...good, ...bad], policy({ daily: 2 }), { doubts })).toEqual([
      "newest",
      "damaged",
      "damaged",
      "newest",
      "-",
    ]);
    expect(reasons([...good, ...bad], policy({ daily: 1 }), { doubts })).toEqual(["newest", "-", "-", "-", "-"]);
  });

  test("decide() keeps every copy when all are damaged", () => {
    const copies = [1, 2, 3].map((day) => filesCopy(at(day), { verified: FAILED }));
    expect(reasons(copies, NONE)).toEqual(["damaged", "damaged", "damaged"]);
  });

  test("decide() counts a copy of the predecessor to the directory with its code", () => {
    const adopted = filesCopy(at(1));
    const copies = [{ ...adopted, directory: undefined }, filesCopy(at(2)), filesCopy(at(3))];
    expect(reasons(copies, policy({ daily: 2 }))).toEqual(["newest", "newest", "-"]);
  });

  test("decide() counts a copy of the predecessor to no directory when several have its code", () => {
    const adopted = filesCopy(at(1), { directory: "/a/b" });
    const copies = [
      { ...adopted, directory: undefined },
      filesCopy(at(2), { directory: "/a/b" }),
      filesCopy(at(3), { directory: "/a_b" }),
    ];
    expect(reasons(copies, policy({ daily: 1 }))).toEqual(["newest", "newest", "newest"]);
  });

  test("decide() keeps the parents of kept increments at any depth", () => {
    const full = fullCopy(at(1));
    const first = increment(at(1, 1), full.key);
    const second = increment(at(1, 2), first.key);
    const other = fullCopy(at(2));
    expect(reasons([full, first, second, other], policy({ daily: 1, hourly: 1 }))).toEqual([
      "newest",
      "newest",
      "parent",
      "parent",
    ]);
  });

  test("decide() takes an increment for damaged when its chain is broken or a circle", () => {
    const full = fullCopy(at(1));
    const orphan = increment(at(2), toKey("db7/daily/mysql/gone"));
    const onBad = increment(at(3), full.key);
    expect(reasons([full, orphan, onBad], NONE, { doubts: new Set([full.key]) })).toEqual([
      "damaged",
      "damaged",
      "damaged",
    ]);
    expect(reasons([fullCopy(at(1, 1)), full, orphan], policy({ daily: 1, hourly: 1 }))).toEqual([
      "damaged",
      "newest",
      "-",
    ]);

    const left = increment(at(4), increment(at(5), full.key).key);
    const right = increment(at(5), left.key);
    expect(reasons([full, left, right], NONE)).toEqual(["damaged", "damaged", "last-good"]);
  });

  test("decide() leaves preserved copies alone", () => {
    const preserved = filesCopy(at(1), { preservedUntil: "forever" });
    expect(reasons([preserved, filesCopy(at(2))], policy({ daily: 1 }))).toEqual(["newest", "preserved"]);
  });

  test("decide() leaves a preserved copy alone until its time is over", () => {
    const copies = [filesCopy(at(1), { preservedUntil: at(5) }), filesCopy(at(2))];
    expect(reasons(copies, policy({ daily: 1 }), { now: at(4, 23) })).toEqual(["newest", "preserved"]);
    expect(reasons(copies, policy({ daily: 1 }), { now: at(5) })).toEqual(["newest", "-"]);
    expect(reasons(copies, policy({ daily: 1 }))).toEqual(["newest", "preserved"]);
  });

  test("decide() counts a preserved copy to none of those it keeps", () => {
    const copies = [1, 2, 3, 4].map((day) => filesCopy(at(day), day > 2 ? { preservedUntil: "forever" } : {}));
    expect(reasons(copies, policy({ daily: 1 }))).toEqual(["preserved", "preserved", "newest", "-"]);
    expect(reasons(copies, NONE)).toEqual(["preserved", "preserved", "-", "-"]);
  });

  test("decide() keeps what a preserved increment needs", () => {
    const full = fullCopy(at(1));
    const first = increment(at(1, 1), full.key);
    const second = increment(at(1, 2), first.key, { preservedUntil: "forever" });
    const third = increment(at(1, 3), second.key);
    expect(reasons([full, first, second, third, fullCopy(at(2))], policy({ daily: 1 }))).toEqual([
      "newest",
      "-",
      "preserved",
      "parent",
      "parent",
    ]);
  });

  test("decide() keeps everything when a copy is from the future", () => {
    const copies = [filesCopy(at(1)), filesCopy(at(9))];
    expect(reasons(copies, policy({ daily: 1 }), { now: at(7) })).toEqual(["clock", "clock"]);
    expect(reasons(copies, policy({ daily: 1 }), { now: at(8) })).toEqual(["newest", "-"]);
  });
});

test("expiredOf() lets go of one run type, but not of what a copy of another type needs", () => {
  const full = fullCopy(at(1));
  const unneeded = fullCopy(at(2));
  const hourly = increment(at(2, 1), full.key);
  const newest = fullCopy(at(3));
  const decisions = decide([full, unneeded, hourly, newest], policy({ daily: 1 }));
  expect(expired(decisions)).toEqual([hourly, unneeded, full]);
  expect(expiredOf(decisions, "daily")).toEqual([unneeded]);
  expect(expiredOf(decisions, "hourly")).toEqual([hourly]);
  expect(expiredOf(decide([full, unneeded, newest], policy({ daily: 1 })), "daily")).toEqual([unneeded, full]);
});

test("expired() puts dependents before what they need", () => {
  const full = fullCopy(at(3));
  // A damaged status may date a parent after its child.
  const first = increment(at(1), full.key);
  const second = increment(at(2), first.key);
  const kept = fullCopy(at(4));
  expect(expired(decide([full, first, second, kept], policy({ daily: 1 })))).toEqual([second, first, full]);
});

test("decideLocal() keeps the newest of each directory and interval, none for 0, and what it does not know", () => {
  const keys = [
    "db7/daily/files/_etc-2026-05-01_00_00_02.tar.gz",
    "db7/daily/files/_etc-2026-05-02_00_00_02.tar.zst",
    "db7/daily/files/_etc_mysql-2026-05-01_00_00_02.tar.gz",
    "db7/daily/mysql/mysql-2026-05-01_00_00_02.xbstream.gz",
    "db7/daily/mysql/mysql-2026-05-02_00_00_02.xbstream.gz",
    "db7/hourly/files/_etc-2026-05-01_00_00_02.tar.gz",
    "db7/hourly/files/notes.txt",
    "db7/binlog/mysql-bin.000001.gz",
    "db7/status",
  ].map(toKey);
  expect(decideLocal(keys, policy({ daily: 1 }))).toEqual([keys[0], keys[3], keys[5]]);
});

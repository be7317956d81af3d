import { expect, test } from "vitest";
import { catalogueOf } from "../../../src/domain/binlog-catalogue.ts";
import { describeGap } from "../../../src/domain/binlog-gap.ts";
import { expiredBinlogs } from "../../../src/domain/binlog-retention.ts";
import type { BinlogCopy } from "../../../src/domain/copy.ts";
import { neededBy, recoverableWindow } from "../../../src/domain/recoverable-window.ts";
import { at, binlogCopy, binlogFacts, fullCopy } from "../../support/copies.ts";

const UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

/** A log of one hour, with ten transactions from `10 * number` on. */
function hour(number: number, more: Partial<BinlogCopy> = {}): BinlogCopy {
  const previousGtid = number === 0 ? "" : `0-1-${number * 10}`;
  return binlogCopy(number, at(1, number), {
    rawBytes: 1044,
    gtid: `0-1-${number * 10 + 10}`,
    log: binlogFacts(at(1, number + 1), { previousGtid }),
    ...more,
  });
}

function mysqlHour(number: number, more: Partial<BinlogCopy> = {}): BinlogCopy {
  const previousGtid = number === 0 ? "" : `${UUID}:1-${number * 10}`;
  return hour(number, {
    gtid: `${UUID}:${number * 10 + 1}-${number * 10 + 10}`,
    serverUuid: UUID,
    log: binlogFacts(at(1, number + 1), { flavour: "mysql", previousGtid }),
    ...more,
  });
}

/** A copy taken half an hour into a log. */
function copyIn(number: number) {
  const time = at(1, number, 30);
  return fullCopy(time, { finishedAt: time, binlog: { file: `mysql-bin.00000${number}`, offset: 500 } });
}

const names = (copies: readonly BinlogCopy[]) => copies.map(({ name }) => name.slice(-1)).join("");

test("recoverableWindow() goes from the end of the copy to the end of the last log", () => {
  const window = recoverableWindow(copyIn(2), catalogueOf([hour(3), hour(1), hour(2)]));
  expect(window).toMatchObject({ from: at(1, 2, 30), to: at(1, 4), gaps: [] });
  expect(names(window?.logs ?? [])).toBe("23");
});

test("recoverableWindow() is undefined for a copy that does not say where it ends", () => {
  expect(recoverableWindow(fullCopy(at(1)), catalogueOf([hour(1)]))).toBeUndefined();
});

test("recoverableWindow() is empty while the log of the copy is not archived", () => {
  const window = recoverableWindow(copyIn(4), catalogueOf([hour(1), hour(2)]));
  expect(window).toEqual({ from: at(1, 4, 30), to: at(1, 4, 30), logs: [], joins: [], gaps: [] });
});

test("recoverableWindow() ends before a log that is missing", () => {
  const window = recoverableWindow(copyIn(1), catalogueOf([hour(1), hour(2), hour(5)]));
  expect(names(window?.logs ?? [])).toBe("12");
  expect(window?.to).toEqual(at(1, 3));
  expect(window?.gaps.map(describeGap)).toEqual([
    'between "mysql-bin.000002" and "mysql-bin.000005": 2 were purged before a run could copy them',
  ]);
});

test("recoverableWindow() knows that nothing was in a missing log when GTIDs go on", () => {
  const next = hour(5, { log: binlogFacts(at(1, 6), { previousGtid: "0-1-30" }) });
  const window = recoverableWindow(copyIn(1), catalogueOf([hour(1), hour(2), next]));
  expect(names(window?.logs ?? [])).toBe("125");
  expect(window?.gaps).toEqual([]);
});

test("recoverableWindow() says that the log of the copy itself is missing", () => {
  const window = recoverableWindow(copyIn(1), catalogueOf([hour(4), hour(5)]));
  expect(window).toMatchObject({ logs: [], to: at(1, 1, 30), gaps: [{ reason: "missing", missing: 3 }] });
});

test.each([
  ["more was logged in between", { previousGtid: "0-1-35" }, "0-1-35"],
  ["less was logged than before", { previousGtid: "0-1-25" }, undefined],
  ["another domain came in", { previousGtid: "0-1-30,7-1-1" }, "0-1-30,7-1-1"],
])("recoverableWindow() ends where GTIDs do not go on: %s", (_, log, gtid) => {
  const next = hour(3, { log: binlogFacts(at(1, 4), log) });
  const window = recoverableWindow(copyIn(1), catalogueOf([hour(1), hour(2), next]));
  expect(window?.gaps).toMatchObject([{ reason: "mismatch", after: "mysql-bin.000002", gtid }]);
  expect(names(window?.logs ?? [])).toBe("12");
});

test("recoverableWindow() names the GTIDs of MySQL that are lost", () => {
  const copy = { ...copyIn(1), vendor: "oracle", gtid: `${UUID}:1-15`, serverUuid: UUID } as const;
  const { gaps } = recoverableWindow(copy, catalogueOf([mysqlHour(1), mysqlHour(4)])) ?? {};
  expect(gaps).toMatchObject([{ reason: "missing", missing: 2, gtid: `${UUID}:21-40` }]);
});

test("recoverableWindow() ends before a damaged log, and before one that is gone", () => {
  const broken = hour(2, { verified: { at: at(2), ok: false, level: "checksum" } });
  expect(recoverableWindow(copyIn(1), catalogueOf([hour(1), broken, hour(3)]))).toMatchObject({
    to: at(1, 2),
    gaps: [{ reason: "broken" }],
  });
  const logs = [hour(1), hour(2)];
  const doubts = new Set([hour(1).key]);
  expect(recoverableWindow(copyIn(1), catalogueOf(logs, doubts))?.logs).toEqual([]);
});

test("recoverableWindow() crosses the end of a crashed log only where GTIDs prove that nothing is lost", () => {
  const torn = hour(2, { log: binlogFacts(at(1, 3), { previousGtid: "0-1-20", end: "torn" }) });
  expect(recoverableWindow(copyIn(1), catalogueOf([hour(1), torn, hour(3)]))?.gaps).toEqual([]);
  const blind = [1, 2, 3].map((number) =>
    hour(number, {
      gtid: undefined,
      log: binlogFacts(at(1, number + 1), {
        flavour: "mysql",
        previousGtid: "",
        end: number === 2 ? "torn" : "rotated",
      }),
    }),
  );
  const copy = { ...copyIn(1), vendor: "oracle" } as const;
  expect(recoverableWindow(copy, catalogueOf(blind))?.gaps).toMatchObject([{ reason: "torn" }]);
});

test("recoverableWindow() takes the log of the right incarnation, and ends with it", () => {
  const incarnation = "20260501T120000Z-00";
  const again = [1, 2, 3].map((number) =>
    binlogCopy(number, at(1, 12 + number), {
      incarnation,
      rawBytes: 1044,
      log: binlogFacts(at(1, 13 + number), { previousGtid: number === 1 ? "" : `0-1-${number}` }),
      gtid: `0-1-${number + 1}`,
    }),
  );
  const logs = [...[1, 2, 3].map((number) => hour(number)), ...again];
  const late = fullCopy(at(1, 14, 30), {
    finishedAt: at(1, 14, 31),
    binlog: { file: "mysql-bin.000002", offset: 500 },
  });
  expect(recoverableWindow(late, catalogueOf(logs))).toMatchObject({ to: at(1, 16), gaps: [] });
  const early = recoverableWindow(copyIn(2), catalogueOf(logs));
  expect(early).toMatchObject({ to: at(1, 4), gaps: [{ reason: "reset" }] });
  expect(early?.logs.every((log) => log.incarnation === undefined)).toBe(true);
});

test("recoverableWindow() finds the log of a copy without a place by its GTIDs", () => {
  const copy = fullCopy(at(1, 2, 30), { vendor: "oracle", finishedAt: at(1, 2, 31), gtid: `${UUID}:1-25` });
  const window = recoverableWindow(copy, catalogueOf([1, 2, 3].map((number) => mysqlHour(number))));
  expect(names(window?.logs ?? [])).toBe("23");
});

test("logs of one timeline are in order of their numbers, past 999999", () => {
  const logs = [1_000_001, 999_999, 1_000_000].map((number) => binlogCopy(number, at(1, number % 10)));
  const [timeline] = catalogueOf(logs).timelines;
  expect(timeline?.logs.map(({ name }) => name)).toEqual([
    "mysql-bin.999999",
    "mysql-bin.1000000",
    "mysql-bin.1000001",
  ]);
  expect(timeline?.gaps).toEqual([]);
});

test("neededBy() keeps by time what a copy needs that does not say where it ends", () => {
  const logs = [1, 2, 3].map((number) => hour(number));
  const needed = neededBy([fullCopy(at(1, 2, 30))], catalogueOf(logs));
  expect(needed).toEqual(new Set(logs.slice(1).map(({ key }) => key)));
});

const OLD = { host: "db7", days: 7, now: at(20) };

test("expiredBinlogs() removes by age what no copy needs, but the newest log", () => {
  const catalogue = catalogueOf([1, 2, 3, 4].map((number) => hour(number)));
  expect(names(expiredBinlogs(catalogue, { copies: [], ...OLD }))).toBe("123");
  expect(names(expiredBinlogs(catalogue, { copies: [copyIn(2)], ...OLD }))).toBe("1");
  expect(names(expiredBinlogs(catalogue, { copies: [], ...OLD, now: at(2) }))).toBe("");
});

test("expiredBinlogs() leaves what is preserved, and everything when the clock is behind", () => {
  const logs = [1, 2, 3, 4].map((number) => hour(number, number === 2 ? { preservedUntil: "forever" } : {}));
  expect(names(expiredBinlogs(catalogueOf(logs), { copies: [], ...OLD }))).toBe("13");
  const future = [...logs, binlogCopy(5, at(22, 1))];
  expect(expiredBinlogs(catalogueOf(future), { copies: [], ...OLD })).toEqual([]);
});

test("expiredBinlogs() removes copies of the predecessor, of which only the time is known", () => {
  const catalogue = catalogueOf([binlogCopy(8, at(1)), binlogCopy(9, at(19)), binlogCopy(10, at(20))]);
  expect(names(expiredBinlogs(catalogue, { copies: [], ...OLD }))).toBe("8");
});

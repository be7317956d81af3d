import { describe, expect, test } from "vitest";
import { type Cut, type CutRequest, LogCutter, type LoggedTransaction } from "../../../src/domain/log-cut.ts";
import { gtidFilter } from "../../../src/domain/recovery-target.ts";

/** Transactions of 100 bytes from 200 on; the n-th is committed in second n and has the GTID 0-1-n. */
const LOG: readonly LoggedTransaction[] = [1, 2, 3, 4, 5].map((number) => ({
  start: 100 + number * 100,
  end: 200 + number * 100,
  gtid: `0-1-${number}`,
  at: number * 1e6,
}));

function cut(changes: Partial<CutRequest>, log: readonly LoggedTransaction[] = LOG): Cut {
  const excluded = gtidFilter([], "mariadb");
  const cutter = new LogCutter({
    name: "b.000001",
    from: 0,
    target: { kind: "end" },
    excluded,
    isExact: true,
    ...changes,
  });
  for (const transaction of log) cutter.add(transaction);
  return cutter.finish(700);
}

function place(offset: number, file = "b.000001") {
  return { kind: "position", file, offset } as const;
}

describe("LogCutter", () => {
  test("takes everything, in one piece", () => {
    expect(cut({})).toMatchObject({ segments: [{ from: 200, to: 700 }], stop: undefined, transactions: 5 });
  });

  test("skips what was lost or replayed before, and does not end there", () => {
    const named =
      (...numbers: number[]) =>
      (gtid: string) =>
        numbers.some((number) => gtid === `0-1-${number}`);
    const target = { kind: "time", at: 4.5e6 } as const;
    const skipped = cut({ target, isReplayed: named(1, 5), isLost: named(3) });
    expect(skipped).toMatchObject({
      segments: [
        { from: 300, to: 400 },
        { from: 500, to: 600 },
      ],
      stop: undefined,
    });
    expect(skipped.domains.get("0")).toBe("0-1-5");
    expect(skipped.isOvertaken).toBe(true);
    const lost = cut({ target, isLost: named(4, 5) });
    expect([lost.domains.get("0"), lost.isOvertaken, lost.stop]).toEqual(["0-1-3", false, undefined]);
    expect(cut({ target, isReplayed: named(1) })).toMatchObject({
      stop: { offset: 600 },
      isOvertaken: false,
      stragglers: 0,
    });
  });

  test("begins where the copy ends, which is a border of transactions", () => {
    expect(cut({ from: 400 }).segments).toEqual([{ from: 400, to: 700 }]);
    expect(cut({ from: 700 }).segments).toEqual([]);
    expect(() => cut({ from: 450 })).toThrow(expect.objectContaining({ code: "DATA_DAMAGED" }));
  });

  test("stops before the first transaction that was committed at the moment or later", () => {
    const found = cut({ target: { kind: "time", at: 3e6 } });
    expect(found).toMatchObject({ segments: [{ from: 200, to: 400 }], stop: { offset: 400, next: LOG[2] } });
    expect(cut({ target: { kind: "time", at: 3e6 + 1 } }).segments).toEqual([{ from: 200, to: 500 }]);
  });

  test("leaves out the whole second where the log tells no more", () => {
    expect(cut({ isExact: false, target: { kind: "time", at: 3_500_000 } }).segments).toEqual([{ from: 200, to: 400 }]);
    expect(cut({ isExact: false, target: { kind: "time", at: 4e6 } }).segments).toEqual([{ from: 200, to: 500 }]);
  });

  test("counts what says that it was committed earlier, and was not", () => {
    const late = LOG.map((each, index) => (index === 1 ? { ...each, at: 9e6 } : each));
    const found = cut({ target: { kind: "time", at: 5e6 } }, late);
    expect(found).toMatchObject({ segments: [{ from: 200, to: 300 }], stragglers: 2 });
  });

  test("stops behind a GTID, with it", () => {
    const found = cut({ target: { kind: "gtid", gtid: "0-1-3" } });
    expect(found).toMatchObject({ segments: [{ from: 200, to: 500 }], stop: { offset: 500 }, last: LOG[2] });
    expect([...found.domains.values()]).toEqual(["0-1-3"]);
  });

  test("stops at a place, and nowhere within a transaction", () => {
    expect(cut({ target: place(400) }).segments).toEqual([{ from: 200, to: 400 }]);
    expect(cut({ target: place(700) })).toMatchObject({ segments: [{ from: 200, to: 700 }], stop: { offset: 700 } });
    expect(cut({ target: place(400, "b.000002") })).toMatchObject({ stop: undefined });
    for (const offset of [450, 701]) {
      expect(() => cut({ target: place(offset) })).toThrow(expect.objectContaining({ code: "NOT_FOUND" }));
    }
  });

  test("leaves transactions out", () => {
    const found = cut({ excluded: gtidFilter(["0-1-2,0-1-5"], "mariadb") });
    expect(found).toMatchObject({
      segments: [
        { from: 200, to: 300 },
        { from: 400, to: 600 },
      ],
      excluded: ["0-1-2", "0-1-5"],
    });
    // A replica must not ask for them again.
    expect([...found.domains.values()]).toEqual(["0-1-5"]);
  });

  test("leaves out what the copy holds, by its GTIDs", () => {
    expect(cut({ isHeld: (gtid) => gtid < "0-1-4" }).segments).toEqual([{ from: 500, to: 700 }]);
  });

  test.each<[string, Partial<CutRequest>]>([
    ["a moment", { from: 500, target: { kind: "time", at: 2e6 } }],
    ["a GTID", { from: 500, target: { kind: "gtid", gtid: "0-1-2" } }],
    ["a place", { from: 500, target: place(300) }],
    ["a place, by GTIDs", { isHeld: (gtid) => gtid < "0-1-4", target: place(300) }],
    ["what is left out", { from: 500, excluded: gtidFilter(["0-1-1"], "mariadb") }],
  ])("refuses to go back behind the copy, to %s", (_what, changes) => {
    expect(() => cut(changes)).toThrow(expect.objectContaining({ code: "NOT_FOUND" }));
  });
});

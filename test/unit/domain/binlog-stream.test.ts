import { describe, expect, test } from "vitest";
import {
  pauseAfter,
  resumptionOf,
  type StreamState,
  serverIdOf,
  streamTrouble,
} from "../../../src/domain/binlog-stream.ts";

const LOGS = [
  { name: "binlog.000009", bytes: 500 },
  { name: "binlog.000010", bytes: 700 },
];

function spooled(name: string, bytes: number, changes: { isClosed?: boolean; uuid?: string } = {}) {
  return { name, bytes, isClosed: false, uuid: undefined, ...changes };
}

describe("resumptionOf()", () => {
  test("begins with the log that the server writes to; the closed ones are archived from the server", () => {
    expect(resumptionOf(undefined, { uuid: "a", logs: LOGS })).toEqual({ kind: "begin", name: "binlog.000010" });
    expect(resumptionOf(undefined, { uuid: "a", logs: [] })).toBeUndefined();
  });

  test.each([
    ["in the open log", spooled("binlog.000010", 700)],
    ["in one that was closed meanwhile", spooled("binlog.000009", 400)],
    ["at the end of a closed one", spooled("binlog.000009", 500, { isClosed: true })],
    ["of the same server", spooled("binlog.000010", 300, { uuid: "a" })],
  ])("goes on %s", (_, log) => {
    expect(resumptionOf(log, { uuid: "a", logs: LOGS })).toEqual({ kind: "continue", name: log.name });
  });

  test("leaves a log that is whole to the archive when the server has purged it", () => {
    const log = spooled("binlog.000007", 100, { isClosed: true });
    expect(resumptionOf(log, { uuid: undefined, logs: LOGS })).toEqual({ kind: "begin", name: "binlog.000009" });
  });

  test.each([
    ["purged before all was read", spooled("binlog.000008", 100), false],
    ["shorter than what was written down", spooled("binlog.000010", 701), false],
    ["of a server that began anew", spooled("binlog.000012", 100), true],
    ["of one that began anew, though it is whole", spooled("binlog.000012", 100, { isClosed: true }), true],
    ["of another server", spooled("binlog.000010", 300, { uuid: "b" }), true],
  ])("takes no log for its own that is %s", (_, log, isAll) => {
    expect(resumptionOf(log, { uuid: "a", logs: LOGS })).toMatchObject({ kind: "anew", name: "binlog.000010", isAll });
  });

  test("compares numbers, not names", () => {
    const logs = [{ name: "binlog.1000000", bytes: 10 }];
    const log = spooled("binlog.999999", 10, { isClosed: true });
    expect(resumptionOf(log, { uuid: undefined, logs })).toEqual({ kind: "begin", name: "binlog.1000000" });
  });
});

test("pauseAfter() grows to its limit", () => {
  expect([1, 2, 3, 20].map((failures) => pauseAfter(failures))).toEqual([250, 500, 1000, 10_000]);
  expect(pauseAfter(99, 60_000)).toBe(60_000);
});

test("serverIdOf() is a number of 32 bits that no server has by default", () => {
  for (const hash of [0, 1, 0xffff_ffff, 0x7fff_ffff]) {
    expect(serverIdOf(hash)).toBeGreaterThanOrEqual(0x8000_0000);
    expect(serverIdOf(hash)).toBeLessThanOrEqual(0xffff_ffff);
  }
});

describe("streamTrouble()", () => {
  const now = new Date("2026-11-21T12:00:00Z");
  const state: StreamState = {
    pid: 1,
    state: "following",
    log: "binlog.000001",
    bytes: 4,
    lastEventAt: "2026-11-20T12:00:00Z",
    heardAt: "2026-11-21T11:59:58Z",
    failure: undefined,
  };

  test("finds nothing wrong with one that hears of an idle server", () => {
    expect(streamTrouble(state, now, true)).toBeUndefined();
  });

  test.each([
    ["does not run", state, false],
    ["heard of the server for 120 s", { ...state, heardAt: "2026-11-21T11:58:00Z" }, true],
    ["no space", { ...state, failure: "no space" }, true],
    ["301 seconds behind", { ...state, lagSeconds: 301 }, true],
  ])("tells one that %s", (words, changed, isRunning) => {
    expect(streamTrouble(changed, now, isRunning)).toContain(words);
  });
});

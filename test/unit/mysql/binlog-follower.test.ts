import { describe, expect, test } from "vitest";
import { BinlogFollower, DivergedError, type FollowFrom, placeOf } from "../../../src/mysql/binlog-follower.ts";
import { eventOf, format, formatBody, query, rotation } from "../../support/binlog-events.ts";

const FIRST = format();
const FIRST_END = 4 + FIRST.length;

const SECOND = query(FIRST_END);
const SECOND_END = FIRST_END + SECOND.length;
const BEGIN: FollowFrom = { name: "binlog.000001", bytes: 4, first: undefined, last: undefined };
const RESUMED: FollowFrom = { name: "binlog.000001", bytes: SECOND_END, first: FIRST, last: SECOND };

/** What a server says first to whoever begins in the middle. */
const MADE_UP = [rotation("binlog.000001"), format(0)];

function taken(from: FollowFrom, events: readonly Buffer[]) {
  const follower = new BinlogFollower(from);
  return events.map((event) => follower.take(event)).filter((step) => step !== undefined);
}

describe("BinlogFollower", () => {
  test("takes what is part of the log, and nothing that the server makes up", () => {
    const heartbeat = eventOf({ type: 27, end: SECOND_END, body: Buffer.from("binlog.000001") });
    const steps = taken(BEGIN, [rotation("binlog.000001"), FIRST, SECOND, heartbeat, query(SECOND_END)]);
    expect(steps.map((step) => step.kind)).toEqual(["bytes", "bytes", "bytes"]);
    expect(steps[1]).toEqual({ kind: "bytes", bytes: SECOND, at: 1000 });
  });

  test("goes on in the next log when the server does", () => {
    const steps = taken(BEGIN, [FIRST, rotation("binlog.000002"), format(), query(FIRST_END)]);
    expect(steps.map((step) => step.kind)).toEqual(["bytes", "next", "bytes", "bytes"]);
    expect(steps[1]).toEqual({ kind: "next", name: "binlog.000002" });
  });

  test("asks for the last event again, compares it, and takes what comes behind", () => {
    expect(placeOf(RESUMED)).toBe(FIRST_END);
    expect(placeOf(BEGIN)).toBe(4);
    const third = query(SECOND_END);
    expect(taken(RESUMED, [...MADE_UP, SECOND, third])).toEqual([{ kind: "bytes", bytes: third, at: 1000 }]);
  });

  test("reads a log of more than 4 GB from its beginning, for no place behind that can be asked for", () => {
    expect(placeOf({ ...RESUMED, bytes: 2 ** 32 + 500 })).toBe(4);
    expect(taken({ ...RESUMED, bytes: 2 ** 32 + 500 }, [FIRST, SECOND, query(SECOND_END)])).toEqual([]);
  });

  test.each([
    ["another last event", [...MADE_UP, query(FIRST_END, "z")]],
    ["another beginning", [rotation("binlog.000001"), format(0, { at: 2000 })]],
    ["another version", [rotation("binlog.000001"), format(0, { body: formatBody("8.4.1") })]],
    ["an end before what is known", [...MADE_UP, rotation("binlog.000002")]],
  ])("tells a log of the same name by %s", (_, events) => {
    expect(() => taken(RESUMED, events)).toThrow(DivergedError);
  });

  test.each([
    ["is left out", [FIRST, query(SECOND_END)], "does not follow"],
    ["is damaged", [FIRST, damaged(SECOND)], "does not match its checksum"],
    ["is cut off", [FIRST, SECOND.subarray(0, 30)], "cut off"],
    ["comes before the format", [query(4)], "no event describes"],
    ["names no log", [rotation("../binlog.000002")], "no name of one"],
  ])("refuses an event that %s", (_, events, words) => {
    expect(() => taken(BEGIN, events)).toThrow(words);
  });
});

function damaged(event: Buffer): Buffer {
  const copy = Buffer.from(event);
  copy.writeUInt8(copy.readUInt8(20) ^ 1, 20);
  return copy;
}

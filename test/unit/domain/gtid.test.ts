import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatGtidPosition, parseGtidPosition, reachesPosition } from "../../../src/domain/gtid-position.ts";
import {
  containsGtids,
  formatGtidSet,
  GtidCollector,
  type GtidSet,
  parseGtidSet,
  subtractGtids,
  unionGtids,
} from "../../../src/domain/gtid-set.ts";

const A = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
const B = "4350f323-7565-4e59-8763-4b1b83a0ce0e";

describe("parseGtidSet()", () => {
  test.each([
    ["", ""],
    [`${A}:1`, `${A}:1`],
    [`${A}:1-3:4-5:9`, `${A}:1-5:9`],
    [` ${B}:7,\n${A.toUpperCase()}:2-1:3 `, `${A}:3,${B}:7`],
    [`${A}:1-3:mytag:1`, `${A}:1-3:mytag:1`],
    [`${A}:b:4:1-3:a:2,${A}:9`, `${A}:9:a:2:b:1-4`],
    [`${A}:9223372036854775807`, `${A}:9223372036854775807`],
  ])("reads %j", (text, printed) => {
    expect(formatGtidSet(parseGtidSet(text))).toBe(printed);
  });

  test.each(["x", A, `${A}:`, `${A}:0`, `${A}:1-`, `${A}:1-2-3`, `${A}:9223372036854775808`, "0-1-2", `${A}:Tag-x:1`])(
    "refuses %j",
    (text) => {
      expect(() => parseGtidSet(text)).toThrow(expect.objectContaining({ code: "DATA_DAMAGED" }));
    },
  );
});

/** A set as the single transactions it stands for. */
function members(set: GtidSet): Set<string> {
  const found = new Set<string>();
  for (const [source, ranges] of set) {
    for (const { from, to } of ranges) for (let each = from; each <= to; each++) found.add(`${source}:${each}`);
  }
  return found;
}

const gtids = fc.array(fc.tuple(fc.constantFrom(A, B, `${A}:tag`), fc.bigInt({ min: 1n, max: 30n })), {
  maxLength: 40,
});

function collected(list: readonly (readonly [string, bigint])[]): GtidSet {
  const collector = new GtidCollector();
  for (const [source, number] of list) collector.add(source, number);
  return collector.set();
}

test("GTID sets behave as the sets they stand for", () => {
  fc.assert(
    fc.property(gtids, gtids, (left, right) => {
      const [one, other] = [collected(left), collected(right)];
      const [ones, others] = [members(one), members(other)];
      expect(ones).toEqual(new Set(left.map(([source, number]) => `${source}:${number}`)));
      expect(members(unionGtids(one, other))).toEqual(new Set([...ones, ...others]));
      expect(members(subtractGtids(one, other))).toEqual(new Set([...ones].filter((each) => !others.has(each))));
      expect(containsGtids(one, other)).toBe([...others].every((each) => ones.has(each)));
      expect(parseGtidSet(formatGtidSet(one))).toEqual(
        new Map([...one].sort(([left], [right]) => (left < right ? -1 : 1))),
      );
      expect(formatGtidSet(unionGtids(one, other))).toBe(formatGtidSet(unionGtids(other, one)));
    }),
  );
});

describe("parseGtidPosition()", () => {
  test.each([
    ["", ""],
    ["1-9-40, 0-7-3", "0-7-3,1-9-40"],
    ["0-1-12,0-99-13,0-1-9", "0-99-13"],
    ["0-1-18446744073709551615", "0-1-18446744073709551615"],
  ])("reads %j", (text, printed) => {
    expect(formatGtidPosition(parseGtidPosition(text))).toBe(printed);
  });

  test.each(["x", "0-1", "0-1-2-3", `${A}:1`])("refuses %j", (text) => {
    expect(() => parseGtidPosition(text)).toThrow(expect.objectContaining({ code: "DATA_DAMAGED" }));
  });
});

test.each([
  ["0-1-5", "0-2-5", true],
  ["0-1-5", "0-1-6", false],
  ["0-1-5,1-1-1", "0-1-4", true],
  ["0-1-5", "1-1-1", false],
  ["", "", true],
])("reachesPosition(%j, %j) is %s", (far, near, expected) => {
  expect(reachesPosition(parseGtidPosition(far), parseGtidPosition(near))).toBe(expected);
});

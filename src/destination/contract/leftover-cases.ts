import assert from "node:assert/strict";
import { toKey } from "../../domain/key.ts";
import { noise } from "./streams.ts";
import { type ContractCase, contractCase, KEY, type Leftover, STATUS, type Subject } from "./subject.ts";

const SKIPPED = "no such thing is ever left here";

const LEFT: readonly (Leftover & { readonly removes: number })[] = [
  { removes: 1, host: "h", kind: "temporary", owner: "dead", ageHours: 0 },
  { removes: 0, host: "h", kind: "temporary", owner: "alive", ageHours: 0 },
  { removes: 0, host: "h", kind: "temporary", owner: "another machine", ageHours: 23 },
  { removes: 1, host: "h", kind: "temporary", owner: "another machine", ageHours: 25 },
  { removes: 0, host: "h2", kind: "temporary", owner: "dead", ageHours: 0 },
  { removes: 0, host: "h2", kind: "temporary", owner: "another machine", ageHours: 25 },
  { removes: 1, host: "h", kind: "lock", owner: "dead", ageHours: 0 },
  { removes: 0, host: "h", kind: "lock", owner: "alive", ageHours: 0 },
  { removes: 0, host: "h", kind: "lock", owner: "another machine", ageHours: 0 },
  { removes: 1, host: "h", kind: "lock", owner: "another machine", ageHours: 25 },
  { removes: 0, host: "h2", kind: "lock", owner: "dead", ageHours: 0 },
];

const STALE_LOCKS: readonly Leftover[] = [
  { host: "h", kind: "lock", owner: "dead", ageHours: 0 },
  { host: "h", kind: "lock", owner: "another machine", ageHours: 1 },
];

type Work = Parameters<typeof contractCase>[2];

const on = (name: string, work: Work): ContractCase => contractCase("sweep()", name, work);

/** What `sweep()` promises, and what is to be done about the leftovers of interrupted runs. */
export function leftoverCases(): ContractCase[] {
  return [
    on("sweep() removes nothing that is complete", async (subject) => {
      await subject.put(KEY, "x");
      await subject.replace(STATUS, "y", undefined);
      assert.equal(await subject.sweep(), 0);
      assert.deepEqual(await subject.listed(), [KEY, STATUS]);
    }),
    on("sweep() leaves a put in progress alone", async (subject) => {
      async function* content() {
        yield noise(100_000);
        assert.equal(await subject.sweep(), 0);
        yield noise(1);
      }
      assert.equal((await subject.destination.put(KEY, content(), subject)).bytes, 100_001);
      assert.equal((await subject.read(KEY)).length, 100_001);
    }),
    ...LEFT.map(judgementCase),
    ...STALE_LOCKS.map(takeOverCase),
  ];
}

/** @returns what makes the leftover, unless there cannot be one. */
function planter({ opened: { plant, leaves } }: Subject, leftover: Leftover): (() => Promise<void>) | undefined {
  const isPossible = leaves === undefined || leaves.includes(leftover.kind);
  return plant !== undefined && isPossible ? () => plant(leftover) : undefined;
}

function judgementCase({ removes, ...leftover }: Leftover & { readonly removes: number }): ContractCase {
  return on(`sweep("h") judges what was left: ${JSON.stringify({ removes, ...leftover })}`, async (subject) => {
    const plant = planter(subject, leftover);
    if (plant === undefined) return SKIPPED;
    await subject.put(KEY, "x");
    await subject.put(toKey("h2/daily/x"), "y");
    await plant();
    assert.deepEqual(await subject.listed(), [KEY, "h2/daily/x"]);
    assert.equal(await subject.sweep(), removes);
    assert.equal(await subject.sweep(), 0);
    assert.deepEqual(await subject.listed(), [KEY, "h2/daily/x"]);
    return undefined;
  });
}

function takeOverCase(leftover: Leftover): ContractCase {
  return on(`replaceSmall() takes over a stale lock: ${JSON.stringify(leftover)}`, async (subject) => {
    const plant = planter(subject, leftover);
    if (plant === undefined) return SKIPPED;
    await plant();
    await Promise.all([subject.replace(STATUS, "one", undefined), subject.replace(toKey("h/other"), "two", undefined)]);
    assert.equal(await subject.text(STATUS), "one");
    assert.equal(await subject.sweep(), 0);
    return undefined;
  });
}

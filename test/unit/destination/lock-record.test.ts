import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { describeOwner, isOwnerGone, newLockText } from "../../../src/destination/lock-record.ts";
import { machineId } from "../../../src/destination/temporary-name.ts";

const since = "2026-11-21T02:36:45.000Z";

function lock(changes: Record<string, unknown>): string {
  return JSON.stringify({ ...(JSON.parse(newLockText()) as object), since, ...changes });
}

function owner(machine: string, pid: number): string {
  return `${machine}-${pid}-0123456789abcdef`;
}

test("isOwnerGone() is false while the process that took the lock runs", () => {
  expect(isOwnerGone(newLockText())).toBe(false);
  expect(isOwnerGone(lock({ startTime: undefined, bootId: undefined }))).toBe(false);
});

test("isOwnerGone() is true once it has ended, its pid was reused, or the machine was started again", () => {
  expect(isOwnerGone(lock({ owner: owner(machineId(), spawnSync("true").pid) }))).toBe(true);
  expect(isOwnerGone(lock({ startTime: "1" }))).toBe(true);
  expect(isOwnerGone(lock({ bootId: "00000000-0000-0000-0000-000000000000" }))).toBe(true);
});

test("isOwnerGone() proves nothing about other machines and about what is no lock record", () => {
  expect(isOwnerGone(lock({ owner: owner("0123456789ab", spawnSync("true").pid), bootId: "other" }))).toBe(false);
  for (const text of [
    "",
    "{",
    "null",
    "[]",
    "{}",
    '"text"',
    lock({ owner: 7 }),
    lock({ startTime: 7 }),
    lock({ owner: "x" }),
  ]) {
    expect(isOwnerGone(text)).toBe(false);
  }
});

test("describeOwner() says who has a lock", () => {
  expect(describeOwner(lock({ owner: owner(machineId(), 4711) }))).toBe(
    `process 4711 of this machine, since ${since},`,
  );
  expect(describeOwner(lock({ owner: owner("0123456789ab", 9) }))).toBe(
    `process 9 of another machine, since ${since},`,
  );
  expect(describeOwner("{")).toBe("an unknown writer");
});

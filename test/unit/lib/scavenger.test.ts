import { randomFillSync } from "node:crypto";
import { expect, test } from "vitest";
import { Scavenger } from "../../../src/lib/scavenger.ts";

const PIECE_BYTES = 16 * 1024;

/** Drops 64 MiB in pieces. @returns how much of them there was at most, in MiB. */
async function drop(told: (bytes: number) => void): Promise<number> {
  let most = 0;
  const before = process.memoryUsage().arrayBuffers;
  for (let pieces = 0; pieces < 4096; pieces++) {
    randomFillSync(Buffer.allocUnsafeSlow(PIECE_BYTES));
    told(PIECE_BYTES);
    if (pieces % 64 !== 0) continue;
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return most / 1024 / 1024;
}

test("a Scavenger keeps what waits to be freed small", async () => {
  const scavenger = new Scavenger("pieces");
  expect(await drop((bytes) => scavenger.dropped(bytes))).toBeLessThan(12);
  expect(await drop(() => {})).toBeGreaterThan(20);
});

test("a Scavenger of buffers frees those that lived long", async () => {
  const scavenger = new Scavenger("buffers");
  const held = (): number => process.memoryUsage().arrayBuffers / 1024 / 1024;
  scavenger.dropped(32 * 1024 * 1024);
  const before = held();
  let buffers = Array.from({ length: 32 }, () => Buffer.allocUnsafeSlow(1024 * 1024));
  new Scavenger("pieces").dropped(64 * 1024 * 1024);
  expect(held() - before).toBeGreaterThan(30);
  buffers = [];
  scavenger.dropped(32 * 1024 * 1024);
  expect([buffers.length, held() - before < 4]).toEqual([0, true]);
});

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
  const scavenger = new Scavenger();
  expect(await drop((bytes) => scavenger.dropped(bytes))).toBeLessThan(12);
  expect(await drop(() => {})).toBeGreaterThan(20);
});

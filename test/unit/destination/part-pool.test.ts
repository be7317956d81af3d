import { describe, expect, test } from "vitest";
import { PartPool } from "../../../src/destination/part-pool.ts";

const MIB = 1024 * 1024;
const { signal } = new AbortController();

/** Whether a promise is settled by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  await new Promise((resolve) => setImmediate(resolve));
  return (await Promise.race([promise, Promise.resolve("waiting")])) !== "waiting";
}

describe("PartPool", () => {
  test("take() lends as many as there may be, then waits until one is given back", async () => {
    const pool = new PartPool(2);
    const first = await pool.take(MIB, signal);
    await pool.take(MIB, signal);
    const third = pool.take(MIB, signal);
    expect(await isSettled(third)).toBe(false);
    pool.give(first);
    expect(await third).toBe(first);
  });

  test("take() lends no more than 70 MiB together", async () => {
    const pool = new PartPool(100);
    const lent = await Promise.all(Array.from({ length: 5 }, () => pool.take(14 * MIB, signal)));
    const sixth = pool.take(14 * MIB, signal);
    expect(await isSettled(sixth)).toBe(false);
    pool.give(lent[0] as Buffer);
    await sixth;
  });

  test("take() lends two of any size", async () => {
    const pool = new PartPool(100);
    const first = await pool.take(100 * MIB, signal);
    await pool.take(100 * MIB, signal);
    const third = pool.take(100 * MIB, signal);
    expect(await isSettled(third)).toBe(false);
    pool.give(first);
    expect(await third).toBe(first);
  });

  test("take() forgets buffers that became too small, and what they held is free again", async () => {
    const pool = new PartPool(100);
    const lent = await Promise.all(Array.from({ length: 14 }, () => pool.take(5 * MIB, signal)));
    const larger = pool.take(10 * MIB, signal);
    pool.give(lent[0] as Buffer);
    expect(await isSettled(larger)).toBe(false);
    pool.give(lent[1] as Buffer);
    expect(await larger).toHaveLength(10 * MIB);
  });

  test("take() frees buffers that became too small, and what is left at the end", async () => {
    const before = process.memoryUsage().arrayBuffers;
    const held = (): number => (process.memoryUsage().arrayBuffers - before) / MIB;
    let most = 0;
    const grow = async (): Promise<void> => {
      using pool = new PartPool(100);
      for (let bytes = 5 * MIB; bytes < 20 * MIB; bytes += MIB) {
        const lent: Buffer[] = [];
        while (lent.length < Math.floor((70 * MIB) / bytes)) lent.push(await pool.take(bytes, signal));
        most = Math.max(most, held());
        while (lent.length > 0) pool.give(lent.pop() as Buffer);
      }
    };
    await grow();
    expect(most).toBeLessThan(70 + 16 + 20);
    expect(held()).toBeLessThan(20);
  });

  test("take() throws the reason of its signal while it waits", async () => {
    const pool = new PartPool(1);
    const controller = new AbortController();
    await pool.take(1, controller.signal);
    const second = pool.take(1, controller.signal);
    controller.abort(new Error("stop"));
    await expect(second).rejects.toThrow("stop");
  });
});

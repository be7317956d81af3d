import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "vitest";
import { abortable, untilAborted } from "../../../src/lib/abortable.ts";
import { Gate } from "../../../src/lib/gate.ts";
import { inOrder } from "../../../src/lib/in-order.ts";

const never = new AbortController().signal;

test("abortable() passes on value and error of a callback", async () => {
  expect(await abortable<number>([never], (done) => done(null, 7))).toBe(7);
  await expect(abortable<number>([never], (done) => done(new Error("no"), 0))).rejects.toThrow("no");
});

test("abortable() throws what a call throws at once", async () => {
  const call = abortable<void>([never], () => {
    throw new Error("not connected");
  });
  await expect(call).rejects.toThrow("not connected");
});

test("abortable() throws the reason, without starting when it is aborted already", async () => {
  const reason = new Error("enough");
  let started = false;
  const call = abortable<void>([never, AbortSignal.abort(reason)], () => {
    started = true;
  });
  await expect(call).rejects.toBe(reason);
  expect(started).toBe(false);
});

test("untilAborted() stops waiting for what never comes", async () => {
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error("enough")), 5);
  await expect(untilAborted([never, controller.signal], new Promise(() => {}))).rejects.toThrow("enough");
  expect(await untilAborted([never], Promise.resolve("x"))).toBe("x");
});

test("inOrder() keeps the order, and runs no more than its width", async () => {
  let running = 0;
  let most = 0;
  const tasks = [30, 1, 20, 1, 1].map((ms, index) => async () => {
    most = Math.max(most, (running += 1));
    await pause(ms);
    running -= 1;
    return index;
  });
  expect(await Array.fromAsync(inOrder(tasks, 2))).toEqual([0, 1, 2, 3, 4]);
  expect(most).toBe(2);
});

test("inOrder() throws a failure in its turn", async () => {
  const tasks = [async () => 1, async () => Promise.reject(new Error("second")), async () => 3];
  const seen: number[] = [];
  const reading = async () => {
    for await (const value of inOrder(tasks, 3)) seen.push(value);
  };
  await expect(reading()).rejects.toThrow("second");
  expect(seen).toEqual([1]);
});

test("Gate lets the next one in when a place is given back, or its waiter gave up", async () => {
  const gate = new Gate(1);
  const first = await gate.enter([never]);
  await expect(gate.enter([AbortSignal.timeout(5)])).rejects.toMatchObject({ name: "TimeoutError" });
  let entered = false;
  const second = gate.enter([never]).then((place) => {
    entered = true;
    return place;
  });
  await pause(5);
  expect(entered).toBe(false);
  first[Symbol.dispose]();
  (await second)[Symbol.dispose]();
  (await gate.enter([never]))[Symbol.dispose]();
});

import { beforeEach, describe, expect, test } from "vitest";
import type { RetryPolicy } from "../../../src/destination/attempts.ts";
import { ConflictError, type Destination, ObjectNotFoundError } from "../../../src/destination/destination.ts";
import { pause } from "../../../src/destination/pause.ts";
import { retrying } from "../../../src/destination/retrying.ts";
import { BackupError } from "../../../src/domain/errors.ts";
import { toKey } from "../../../src/domain/key.ts";
import { FailingDestination, type Fault, unreachable } from "../../support/failing-destination.ts";
import { chunks, collect, keys, keysOf, noise } from "../../support/streams.ts";

const KEY = toKey("h/status");
const POLICY: RetryPolicy = {
  tries: 4,
  firstWaitMilliseconds: 100,
  longestWaitMilliseconds: 250,
  withinMilliseconds: 10_000,
};

let failing: FailingDestination;
let destination: Destination;
let waits: number[];
let time: number;
const { signal } = new AbortController();

/** A clock that stands still but for the waits, and draws the given number. */
function clock(random: number) {
  return {
    now: () => time,
    random: () => random,
    pause: async (milliseconds: number) => {
      waits.push(milliseconds);
      time += milliseconds;
    },
  };
}

function fail(times: number, fault: Omit<Fault, "error"> & { error?: unknown }): void {
  for (let count = 0; count < times; count++) failing.faults.push({ error: unreachable(), ...fault });
}

beforeEach(async () => {
  failing = new FailingDestination();
  waits = [];
  time = 0;
  destination = retrying(failing, POLICY, clock(0.999));
});

describe("retrying()", () => {
  test.each(["capabilities", "remove", "readSmall", "sweep"] as const)("%s() is tried again", async (call) => {
    fail(3, { on: call });
    const work = {
      capabilities: () => destination.capabilities({ signal }),
      remove: () => destination.remove(KEY, { signal }),
      readSmall: () => destination.readSmall(KEY, { signal }),
      sweep: () => destination.sweep("h", { signal }),
    };
    await work[call]();
    expect(failing.calls).toEqual([call, call, call, call]);
  });

  test("retrying() throws the last error once the tries are used up", async () => {
    const last = unreachable();
    fail(3, { on: "readSmall" });
    fail(1, { on: "readSmall", error: last });
    await expect(destination.readSmall(KEY, { signal })).rejects.toBe(last);
    expect(failing.calls).toHaveLength(4);
  });

  test("retrying() doubles the wait up to the longest, less a part that chance decides", async () => {
    fail(3, { on: "readSmall" });
    await destination.readSmall(KEY, { signal });
    expect(waits.map(Math.round)).toEqual([100, 200, 250]);
    waits = [];
    fail(3, { on: "readSmall" });
    await retrying(failing, POLICY, clock(0)).readSmall(KEY, { signal });
    expect(waits).toEqual([50, 100, 125]);
  });

  test("retrying() starts no attempt after the time is up", async () => {
    fail(3, { on: "readSmall" });
    const short = retrying(failing, { ...POLICY, withinMilliseconds: 299 }, clock(0.999));
    await expect(short.readSmall(KEY, { signal })).rejects.toMatchObject({ code: "UNREACHABLE" });
    expect(failing.calls).toHaveLength(2);
  });

  test.each([new BackupError("NO_SPACE", "Cannot"), new Error("a bug"), "text"])(
    "retrying() throws at once what trying again cannot help: %s",
    async (error) => {
      fail(1, { on: "remove", error });
      await expect(destination.remove(KEY, { signal })).rejects.toBe(error);
      expect(failing.calls).toEqual(["remove"]);
    },
  );

  test("retrying() stops waiting when the call is aborted", async () => {
    const controller = new AbortController();
    const reason = new Error("time limit");
    fail(1, { on: "readSmall" });
    const patient = retrying(
      failing,
      { ...POLICY, firstWaitMilliseconds: 60_000, longestWaitMilliseconds: 60_000, withinMilliseconds: 100_000 },
      { ...clock(0), pause },
    );
    setTimeout(() => controller.abort(reason), 10);
    await expect(patient.readSmall(KEY, { signal: controller.signal })).rejects.toBe(reason);
    expect(failing.calls).toHaveLength(1);
  });

  test("put() is not tried again, since its content is spent", async () => {
    fail(1, { on: "put" });
    await expect(destination.put(KEY, chunks("x"), { signal })).rejects.toMatchObject({ retryable: true });
    expect(failing.calls).toEqual(["put"]);
  });

  test("get() is tried again until the first byte", async () => {
    const bytes = noise(200_000);
    await failing.put(KEY, chunks(bytes), { signal });
    fail(2, { on: "get" });
    expect(bytes.equals(await collect(destination.get(KEY, { signal })))).toBe(true);
    expect(waits).toHaveLength(2);
  });

  test("get() throws what happens after the first byte, and delivers nothing twice", async () => {
    await failing.put(KEY, chunks(noise(200_000)), { signal });
    fail(1, { on: "get", after: 1 });
    let bytes = 0;
    const reading = async () => {
      for await (const chunk of destination.get(KEY, { signal })) bytes += chunk.length;
    };
    await expect(reading()).rejects.toMatchObject({ code: "UNREACHABLE" });
    expect(bytes).toBe(65_536);
    expect(waits).toEqual([]);
  });

  test("get() does not wait for an object that is not there", async () => {
    await expect(collect(destination.get(KEY, { signal }))).rejects.toBeInstanceOf(ObjectNotFoundError);
    expect(waits).toEqual([]);
  });

  test("list() goes on after the last key, and yields none twice", async () => {
    const stored = keys("h/a", "h/b", "h/c", "h/d");
    for (const key of stored) await failing.put(key, chunks("x"), { signal });
    fail(1, { on: "list", after: 2 });
    fail(1, { on: "list", after: 0 });
    fail(1, { on: "list", after: 3 });
    fail(1, { on: "list", after: 4 });
    expect(await keysOf(destination.list("h/", { signal }))).toEqual(stored);
  });

  test("list() counts failures anew whenever it got on, and gives up when it does not", async () => {
    const stored = Array.from({ length: 9 }, (_, index) => toKey(`h/${index}`));
    for (const key of stored) await failing.put(key, chunks("x"), { signal });
    for (let after = 1; after < 9; after++) fail(1, { on: "list", after });
    expect(await keysOf(destination.list("", { signal }))).toEqual(stored);
    fail(4, { on: "list", after: 5 });
    await expect(keysOf(destination.list("", { signal }))).rejects.toMatchObject({ code: "UNREACHABLE" });
  });
});

describe("retrying().replaceSmall()", () => {
  function replace(text: string, expected: string | undefined) {
    return destination.replaceSmall(KEY, Buffer.from(text), { signal, expected });
  }

  async function stored() {
    const small = await failing.readSmall(KEY, { signal });
    return small && { text: Buffer.from(small.content).toString(), version: small.version };
  }

  test("replaceSmall() is tried again when it was not carried out", async () => {
    const first = await replace("one", undefined);
    fail(2, { on: "replaceSmall" });
    const second = await replace("two", first);
    expect(await stored()).toEqual({ text: "two", version: second });
  });

  test("replaceSmall() succeeds when only the answer was lost", async () => {
    fail(1, { on: "replaceSmall", answerLost: true });
    const version = await replace("one", undefined);
    expect(await stored()).toEqual({ text: "one", version });
    expect(failing.calls.filter((call) => call === "replaceSmall")).toHaveLength(1);
  });

  test("replaceSmall() succeeds when the answer was lost and so was that of reading it back", async () => {
    fail(1, { on: "replaceSmall", answerLost: true });
    fail(1, { on: "readSmall" });
    const version = await replace("one", undefined);
    expect(await stored()).toEqual({ text: "one", version });
  });

  test("replaceSmall() throws the conflict when another writer was faster", async () => {
    const first = await replace("one", undefined);
    fail(1, { on: "replaceSmall" });
    await failing.remove(KEY, { signal });
    await failing.put(KEY, chunks("theirs"), { signal });
    await expect(replace("two", first)).rejects.toBeInstanceOf(ConflictError);
    expect((await stored())?.text).toBe("theirs");
  });

  test("replaceSmall() does not take the same content of another writer for its own at the first attempt", async () => {
    await replace("same", undefined);
    await expect(replace("same", undefined)).rejects.toBeInstanceOf(ConflictError);
    expect(waits).toEqual([]);
  });
});

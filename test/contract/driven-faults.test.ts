import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AlreadyExistsError, type Destination, ObjectNotFoundError } from "../../src/destination/destination.ts";
import { driven } from "../../src/destination/driven.ts";
import { notedUploads } from "../../src/destination/upload-note.ts";
import { toKey } from "../../src/domain/key.ts";
import {
  type DriverEvent,
  type DriverFault,
  driverError,
  MEMORY_LIMITS,
  MemoryDriver,
  MemoryStore,
  reset,
} from "../support/memory-driver.ts";
import { chunks, collect, keysOf, noise, sliced } from "../support/streams.ts";

const KEY = toKey("h/daily/mysql/mysql-2026-11-21_02_36_45.xbstream");
const STATUS = toKey("h/status");
/** Seven parts. */
const CONTENT = noise(3_400_000);
const POLICY = { tries: 4, firstWaitMilliseconds: 100, longestWaitMilliseconds: 400, withinMilliseconds: 1e9 };

const { signal } = new AbortController();
let store: MemoryStore;
let waits: number[];
let destination: Destination;

const clock = {
  now: () => 0,
  random: () => 1,
  pause: async (milliseconds: number, signal: AbortSignal) => {
    signal.throwIfAborted();
    waits.push(milliseconds);
  },
};

function over(driver: MemoryDriver): Destination {
  return driven(async () => driver, { url: driver.url, policy: POLICY, clock });
}

beforeEach(() => {
  store = new MemoryStore();
  waits = [];
  destination = over(new MemoryDriver(store));
});

afterEach(async () => {
  // Also what a case expects to stay: a process of its own would leave it to the next run.
  for (const note of await notedUploads("memory:")) await note.remove();
});

/** The fault of some calls. */
function faultOn(call: DriverEvent["call"], fault: DriverFault, wanted: Partial<DriverEvent> = {}): void {
  store.fault = (event) => {
    const isMeant =
      event.call === call && Object.entries(wanted).every(([name, value]) => Reflect.get(event, name) === value);
    return isMeant ? fault : undefined;
  };
}

const put = (content = CONTENT) => destination.put(KEY, sliced(content, 70_000, 1, 333_333), { signal });
const read = () => collect(destination.get(KEY, { signal }));
const count = (start: string) => store.calls.filter((call) => call.startsWith(start)).length;
const notes = async () => (await notedUploads("memory:")).length;

async function expectStored(content = CONTENT): Promise<void> {
  store.fault = () => undefined;
  expect(content.equals(await read())).toBe(true);
  await expectTidy();
}

async function expectTidy(): Promise<void> {
  expect(store.uploads.size).toBe(0);
  expect(store.underWay).toBe(0);
  expect(await notes()).toBe(0);
}

async function expectNothing(): Promise<void> {
  await expectTidy();
  expect(store.objects.size).toBe(0);
}

describe("put() in parts", () => {
  test("put() sends as many parts at once as the store likes, and no more", async () => {
    store.partMilliseconds = 20;
    await put();
    expect(store.mostUnderWay).toBe(MEMORY_LIMITS.parallelParts);
    await expectStored();
  });

  test("put() sends parts in order where there is one at a time", async () => {
    destination = over(new MemoryDriver(store, { limits: { parallelParts: 1 } }));
    store.partMilliseconds = 5;
    await put();
    expect(store.mostUnderWay).toBe(1);
    const parts = store.calls.filter((call) => call.startsWith("part"));
    expect(parts).toEqual([1, 2, 3, 4, 5, 6, 7].map((number) => `part ${KEY} ${number}`));
    await expectStored();
  });

  test("put() uses a few buffers again, however long the content is", async () => {
    await put(noise(20_000_000));
    expect(count("part")).toBeGreaterThan(30);
    expect(store.buffers.size).toBeLessThanOrEqual(MEMORY_LIMITS.parallelParts + 1);
    const bytes = [...store.buffers].reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(bytes).toBeLessThanOrEqual((MEMORY_LIMITS.parallelParts + 1) * MEMORY_LIMITS.mostPartBytes);
  });

  test.each([524_287, 524_288])("put() stores %i bytes, which fit into one part, at once", async (length) => {
    await put(noise(length));
    expect(count("start") + count("part")).toBe(0);
    expect(count("write")).toBe(1);
    await expectStored(noise(length));
  });

  test("put() stores one byte more than fits into a part in two", async () => {
    await put(noise(524_289));
    expect(count("part")).toBe(2);
    await expectStored(noise(524_289));
  });

  test("put() refuses a taken key before content is pulled", async () => {
    await put(noise(10));
    let pulled = 0;
    const content = (async function* () {
      pulled += 1;
      yield noise(10);
    })();
    await expect(destination.put(KEY, content, { signal })).rejects.toBeInstanceOf(AlreadyExistsError);
    expect(pulled).toBe(0);
  });

  test("put() refuses what is larger than an object may be, and leaves nothing", async () => {
    destination = over(new MemoryDriver(store, { limits: { mostObjectBytes: 2_000_000 } }));
    await expect(put()).rejects.toMatchObject({ code: "NO_SPACE" });
    await expectNothing();
  });

  test("put() refuses what has more parts than there may be, and leaves nothing", async () => {
    destination = over(new MemoryDriver(store, { limits: { mostParts: 3 } }));
    await expect(put()).rejects.toMatchObject({ code: "NO_SPACE" });
    await expectNothing();
  });
});

describe("put() when calls fail", () => {
  test.each([1, 4, 7])("put() sends part %i again when that can help", async (part) => {
    faultOn("part", { error: reset() }, { part, time: 1 });
    await put();
    expect(count(`part ${KEY} ${part}`)).toBe(2);
    expect(waits).toEqual([100]);
    await expectStored();
  });

  test.each([1, 4, 7])("put() gives up when part %i fails for good, and leaves nothing", async (part) => {
    faultOn("part", { error: reset() }, { part });
    await expect(put()).rejects.toMatchObject({ code: "UNREACHABLE", message: expect.stringContaining(KEY) });
    expect(count(`part ${KEY} ${part}`)).toBe(POLICY.tries);
    await expectNothing();
  });

  test("put() stops at once when a part is not permitted, while content is stuck", async () => {
    faultOn("part", { error: driverError("NOT_PERMITTED") }, { part: 3 });
    const content = (async function* () {
      yield* sliced(CONTENT.subarray(0, 2_000_000), 100_000);
      await new Promise(() => {});
    })();
    await expect(destination.put(KEY, content, { signal })).rejects.toMatchObject({ code: "NOT_PERMITTED" });
    expect(waits).toEqual([]);
    await expectNothing();
  });

  test("put() waits as long as the store asks for", async () => {
    faultOn("part", { error: Object.assign(reset(), { retryAfterMilliseconds: 7000 }) }, { part: 2, time: 1 });
    await put();
    expect(waits).toEqual([7000]);
  });

  test.each<DriverEvent["call"]>(["start", "part", "commit", "write", "stat"])(
    "put() throws signal.reason and leaves nothing when %s stalls and it is aborted",
    async (call) => {
      const controller = new AbortController();
      const reason = new Error("the time limit passed");
      faultOn(call, { stalls: true });
      setTimeout(() => controller.abort(reason), 30);
      const content = call === "write" ? noise(10) : CONTENT;
      const storing = destination.put(KEY, chunks(content), { signal: controller.signal });
      await expect(storing).rejects.toBe(reason);
      store.fault = () => undefined;
      for (const note of await notedUploads("memory:")) await note.remove();
      await expectNothing();
    },
  );

  test("put() throws the error of content although the upload cannot be aborted, and the note stays", async () => {
    faultOn("abort", { error: driverError("NOT_PERMITTED") });
    const error = new Error("the program was killed");
    const content = (async function* () {
      yield CONTENT;
      throw error;
    })();
    await expect(destination.put(KEY, content, { signal })).rejects.toBe(error);
    expect(await notedUploads("memory:")).toMatchObject([{ key: KEY, isLeft: false }]);
  });

  test("put() ends when it is aborted although the driver does not heed it", async () => {
    const deaf = new MemoryDriver(store);
    deaf.stat = () => new Promise(() => {});
    const controller = new AbortController();
    const reason = new Error("the time limit passed");
    setTimeout(() => controller.abort(reason), 20);
    const storing = over(deaf).put(KEY, chunks(CONTENT), { signal: controller.signal });
    await expect(storing).rejects.toBe(reason);
  });
});

describe("put() when answers are lost", () => {
  const cases = [
    ["a write", "write", noise(1000)],
    ["a commit", "commit", CONTENT],
  ] as const;

  test.each(cases)("put() knows its own object after the answer to %s was lost", async (_, call, content) => {
    faultOn(call, { error: reset(), answerLost: true });
    expect(await put(content)).toMatchObject({ bytes: content.length });
    expect(count(call)).toBe(1);
    await expectStored(content);
  });

  test.each(cases)("put() knows its own object although it cannot look at once after %s", async (_, call, content) => {
    store.fault = (event) => {
      if (event.call === call && event.time === 1) return { error: reset(), answerLost: true };
      return event.call === "stat" && event.time === 2 ? { error: reset() } : undefined;
    };
    await put(content);
    expect(count(call)).toBe(2);
    await expectStored(content);
  });

  test.each(cases)("put() compares the content where no nonces are kept, after %s", async (_, call, content) => {
    destination = over(new MemoryDriver(store, { keepsNonces: false }));
    faultOn(call, { error: reset(), answerLost: true });
    await put(content);
    await expectStored(content);
  });

  test.each(cases)("put() does not take the object of another for its own, after %s", async (_, call, content) => {
    const others = Buffer.from(content).fill("o");
    const other = new MemoryDriver(store);
    store.fault = (event) => {
      if (event.call === call && event.time === 1) other.publish(KEY, others, "f".repeat(32));
      return event.call === call && event.time === 1 ? { error: reset() } : undefined;
    };
    await expect(put(content)).rejects.toBeInstanceOf(AlreadyExistsError);
    await expectStored(others);
  });

  test("put() leaves an upload that may have been begun twice to the next run", async () => {
    faultOn("start", { error: reset(), answerLost: true }, { time: 1 });
    await put();
    expect(store.uploads.size).toBe(1);
    expect(await notes()).toBe(1);
  });

  test("put() removes its own object when it is aborted while it is published", async () => {
    const controller = new AbortController();
    const reason = new Error("the time limit passed");
    store.fault = (event) => {
      if (event.call !== "stat" || event.time !== 2) return undefined;
      controller.abort(reason);
      return { stalls: true };
    };
    const storing = destination.put(KEY, chunks(CONTENT), { signal: controller.signal });
    await expect(storing).rejects.toBe(reason);
    await expectNothing();
  });

  test("put() tells when the store holds another length than was sent, and removes nothing", async () => {
    const lying = new MemoryDriver(store);
    const stat = lying.stat.bind(lying);
    lying.stat = async (key, options) => {
      const found = await stat(key, options);
      return found && { ...found, bytes: found.bytes - 1 };
    };
    await expect(over(lying).put(KEY, chunks(CONTENT), { signal })).rejects.toMatchObject({
      code: "DATA_DAMAGED",
      message: expect.stringContaining("3399999 bytes there, 3400000 were sent"),
    });
    expect(store.objects.size).toBe(1);
  });
});

describe("get() when reads are cut", () => {
  const long = noise(20_000_000);

  beforeEach(async () => {
    new MemoryDriver(store).publish(KEY, long, "0".repeat(32));
  });

  test("get() delivers everything, wherever reads break off or end early", async () => {
    const cut = fc.record({ afterBytes: fc.integer({ min: 0, max: 3_000_000 }), isError: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(cut, { maxLength: 12 }), async (cuts) => {
        const left = cuts.values();
        store.fault = ({ call }) => {
          const next = call === "read" ? left.next().value : undefined;
          return next && { afterBytes: next.afterBytes, ...(next.isError && { error: reset() }) };
        };
        const relaxed = driven(async () => new MemoryDriver(store), {
          url: "memory:",
          policy: { ...POLICY, tries: 20 },
          clock,
        });
        expect(long.equals(await collect(relaxed.get(KEY, { signal })))).toBe(true);
      }),
      { numRuns: 15 },
    );
  });

  test("get() goes on from where a read stopped", async () => {
    const asked: number[] = [];
    const driver = new MemoryDriver(store);
    const inner = driver.read.bind(driver);
    driver.read = (key, range, options) => {
      asked.push(range.offset);
      return inner(key, range, options);
    };
    faultOn("read", { afterBytes: 1_000_000, error: reset() }, { time: 1 });
    expect(long.equals(await collect(over(driver).get(KEY, { signal })))).toBe(true);
    expect(asked.slice(0, 2)).toEqual([0, 1_000_000]);
  });

  test("get() gives up when nothing comes any more", async () => {
    faultOn("read", { afterBytes: 0 });
    await expect(read()).rejects.toMatchObject({ code: "UNREACHABLE", retryable: false });
    expect(count("read")).toBe(POLICY.tries);
  });

  test("get() never delivers bytes of two versions", async () => {
    const controller = new AbortController();
    const reading = async () => {
      for await (const _ of destination.get(KEY, { signal: controller.signal })) {
        new MemoryDriver(store).publish(KEY, noise(20_000_000), "1".repeat(32));
      }
    };
    await expect(reading()).rejects.toMatchObject({ code: "DATA_DAMAGED" });
  });

  test("get() throws ObjectNotFoundError when the object goes while it is read", async () => {
    const reading = async () => {
      for await (const _ of destination.get(KEY, { signal })) store.objects.clear();
    };
    await expect(reading()).rejects.toBeInstanceOf(ObjectNotFoundError);
  });

  test("get() asks for the beginning only when it is left there", async () => {
    for await (const _ of destination.get(KEY, { signal })) break;
    expect(count("read")).toBe(1);
  });

  test("get() refuses a store that sends more than was asked for", async () => {
    const driver = new MemoryDriver(store);
    driver.read = async function* () {
      for (;;) yield noise(5_000_000);
    };
    await expect(collect(over(driver).get(KEY, { signal }))).rejects.toMatchObject({ code: "DATA_DAMAGED" });
  });

  test("get() throws signal.reason when a read stalls and it is aborted", async () => {
    const controller = new AbortController();
    const reason = new Error("the time limit passed");
    faultOn("read", { stalls: true });
    setTimeout(() => controller.abort(reason), 20);
    await expect(collect(destination.get(KEY, { signal: controller.signal }))).rejects.toBe(reason);
  });
});

describe("list() of a driver that is no good", () => {
  test("list() yields nothing of a listing that breaks off", async () => {
    for (const name of ["h/a", "h/b", "h/c"]) await destination.put(toKey(name), chunks("x"), { signal });
    faultOn("list", { error: reset() });
    const seen: string[] = [];
    const listing = async () => {
      for await (const { key } of destination.list("", { signal })) seen.push(key);
    };
    await expect(listing()).rejects.toMatchObject({ code: "UNREACHABLE", retryable: true });
    expect(seen).toEqual([]);
  });

  test("list() sorts, tells each key once, and passes over names that are no keys or not asked for", async () => {
    const driver = new MemoryDriver(store);
    const object = (key: string, bytes: number) => ({ key, bytes, modifiedAt: new Date(bytes), version: "1" });
    driver.list = async function* () {
      yield object("h/b", 1);
      yield object("h/a", 2);
      yield object("h//x", 3);
      yield object("h/../x", 3);
      yield object("h/folder/", 0);
      yield object("i/a", 3);
      yield object("h/b", 5);
      yield object("h/b", 4);
    };
    const entries = await Array.fromAsync(over(driver).list("h/", { signal }));
    expect(entries.map(({ key, bytes }) => [key, bytes])).toEqual([
      ["h/a", 2],
      ["h/b", 5],
    ]);
  });
});

describe("the driver", () => {
  test("driven() opens it with the first call, and again after it was disposed", async () => {
    const drivers: MemoryDriver[] = [];
    const open = async () => {
      const driver = new MemoryDriver(store);
      drivers.push(driver);
      return driver;
    };
    const lazy = driven(open, { url: "memory:" });
    expect(drivers).toHaveLength(0);
    await lazy.replaceSmall(STATUS, Buffer.from("x"), { signal, expected: undefined });
    await lazy[Symbol.asyncDispose]();
    await lazy[Symbol.asyncDispose]();
    expect(drivers.map(({ closed }) => closed)).toEqual([1]);
    expect(await lazy.readSmall(STATUS, { signal })).toMatchObject({ version: "1" });
    expect(drivers.map(({ closed }) => closed)).toEqual([1, 0]);
  });

  test("driven() tries to open it again after that failed", async () => {
    let times = 0;
    const shy = driven(
      async () => {
        times += 1;
        if (times === 1) throw driverError("CONFIG_INVALID");
        return new MemoryDriver(store);
      },
      { url: "memory:" },
    );
    await expect(shy.capabilities({ signal })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    expect(await shy.capabilities({ signal })).toMatchObject({ transport: "memory", conditionalReplace: "native" });
  });

  test("share() passes a URL on, and throws ObjectNotFoundError for what is not there", async () => {
    await expect(destination.share?.(KEY, { signal, expiresSeconds: 60 })).rejects.toBeInstanceOf(ObjectNotFoundError);
    await put(noise(10));
    expect(await destination.share?.(KEY, { signal, expiresSeconds: 60 })).toBe(`memory:${KEY}?expires=60`);
  });

  test("replaceSmall() of a conflict that may pass is to be tried again", async () => {
    faultOn("write", { error: driverError("CONFLICT", { retryable: true }) });
    const replacing = destination.replaceSmall(STATUS, Buffer.from("x"), { signal, expected: undefined });
    await expect(replacing).rejects.toMatchObject({ code: "CONFLICT", retryable: true });
  });

  test("replaceSmall() tells of another writer where the store does not compare", async () => {
    const driver = new MemoryDriver(store, { limits: { isConditional: false } });
    const write = driver.write.bind(driver);
    driver.write = async (...call) => {
      const version = await write(...call);
      driver.publish(STATUS, Buffer.from("of another"), "0".repeat(32));
      return version;
    };
    const replacing = over(driver).replaceSmall(STATUS, Buffer.from("x"), { signal, expected: undefined });
    await expect(replacing).rejects.toMatchObject({ code: "CONFLICT", name: "ConflictError" });
    expect(await keysOf(destination.list("", { signal }))).toEqual([STATUS]);
  });
});

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { AlreadyExistsError, type Destination, ObjectNotFoundError } from "../../src/destination/destination.ts";
import { driven } from "../../src/destination/driven.ts";
import { gcsDriver, openGcs } from "../../src/destination/gcs.ts";
import type { GcsOptions } from "../../src/destination/options.ts";
import { type Key, toKey } from "../../src/domain/key.ts";
import { type GcsProxy, startGcsProxy } from "../support/gcs-proxy.ts";
import { type FakeGcs, hasFakeGcs, startFakeGcs } from "../support/servers/fake-gcs.ts";
import { chunks, collect, keysOf, noise } from "../support/streams.ts";

const COPY = toKey("db7/daily/mysql/mysql-2017-11-03_00_00_04.xbstream.gz");
const BINLOG = toKey("db7/binlog/mysql-bin.000338.gz");
const { signal } = new AbortController();

const part = (key: string, number: number) => `${key}/part-${String(number).padStart(16, "0")}`;

describe.skipIf(!hasFakeGcs())("copies of the predecessor on gcs", () => {
  let server: FakeGcs;
  let proxy: GcsProxy;
  let destination: Destination;
  let bucket: string;
  let options: GcsOptions;
  let count = 0;

  beforeAll(async () => {
    server = await startFakeGcs();
    proxy = await startGcsProxy(server.endpoint);
  });
  afterAll(async () => {
    await proxy.stop();
    await server.stop();
  });
  beforeEach(async () => {
    bucket = `bucket-${++count}`;
    await server.makeBucket(bucket);
    proxy.fault = () => undefined;
    const { endpoint } = proxy;
    options = { kind: "gcs", bucket, prefix: "", endpoint, credentialsFile: undefined, encryptionKey: undefined };
    destination = await openGcs(options);
  });
  afterEach(() => destination[Symbol.asyncDispose]());

  async function store(key: string, ...parts: readonly (string | Uint8Array)[]): Promise<void> {
    // Not in order: what counts is the number.
    for (const [number, content] of [...parts.entries()].toReversed())
      await server.store(bucket, part(key, number), content);
  }
  const read = (key: Key) => collect(destination.get(key, { signal }));
  const listed = (prefix = "") => keysOf(destination.list(prefix, { signal }));

  test("a copy in parts lists as one object, and reads as one", async () => {
    const parts = [noise(300_000), noise(1), noise(300_000), noise(7)];
    await store(COPY, ...parts);
    const [entry, ...others] = await Array.fromAsync(destination.list("", { signal }));
    expect(others).toEqual([]);
    expect(entry).toMatchObject({ key: COPY, bytes: 600_008 });
    expect(Math.abs((entry?.modifiedAt.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
    expect(Buffer.concat(parts).equals(await read(COPY))).toBe(true);
    const small = await destination.readSmall(COPY, { signal });
    expect(Buffer.concat(parts).equals(small?.content ?? new Uint8Array())).toBe(true);
  });

  test("a copy in more parts than ranges reads in order", async () => {
    const parts = Array.from({ length: 12 }, (_, index) => Buffer.alloc(1_500_000, index));
    await store(COPY, ...parts);
    expect(Buffer.concat(parts).equals(await read(COPY))).toBe(true);
  });

  test.each(["", "db7", "db7/daily/mysql/", "db7/daily/mysql/mysql-2017-11-03_00_00_04.xbst", COPY])(
    "list(%j) finds it",
    async (prefix) => {
      await store(COPY, "a", "b");
      expect(await listed(prefix)).toEqual([COPY]);
    },
  );

  test.each([`${COPY}/`, `${COPY}/part-`, `${COPY}/part-000000000000000`, part(COPY, 1), "db7/hourly/"])(
    "list(%j) does not take a part for a copy",
    async (prefix) => {
      await store(COPY, "a", "b");
      expect(await listed(prefix)).toEqual([]);
    },
  );

  test("list() keeps sets and objects with similar names apart", async () => {
    await store(COPY, "a", "b");
    await store(`${COPY}.gpg`, "c");
    await store(BINLOG, "d", "e", "f");
    await destination.put(toKey(`${COPY}-x`), chunks("g"), { signal });
    expect(await listed()).toEqual([BINLOG, COPY, `${COPY}-x`, `${COPY}.gpg`]);
    expect((await read(BINLOG)).toString()).toBe("def");
  });

  test.each([
    "part-0000000000000000",
    "db7/part-0000000000000000",
    "db7/daily/mysql/part-0000000000000000",
    `${COPY}/part-000000000000000`,
    `${COPY}/part-00000000000000000`,
    `${COPY}/part-0000000000000000.gz`,
    "db7/daily/mysql/deeper/x.gz/part-0000000000000000",
    "db7/binlog/0123/mysql-bin.000001/part-0000000000000000",
  ])("list() leaves %j what it is", async (name) => {
    await server.store(bucket, name, "somebody else's");
    expect(await listed()).toEqual([name]);
    expect((await read(toKey(name))).toString()).toBe("somebody else's");
    await destination.remove(toKey(name.slice(0, name.lastIndexOf("/"))), { signal }).catch(() => undefined);
    expect(await server.names(bucket)).toEqual([name]);
  });

  test("an object of the copy's own name hides the parts, and goes with them", async () => {
    await destination.put(COPY, chunks("whole"), { signal });
    await destination.put(toKey(`${COPY}-x`), chunks("between"), { signal });
    await store(COPY, "a", "b");
    expect(await listed()).toEqual([COPY, `${COPY}-x`]);
    expect((await read(COPY)).toString()).toBe("whole");
    await destination.remove(COPY, { signal });
    expect(await server.names(bucket)).toEqual([`${COPY}-x`]);
  });

  test("put() takes the name of a copy in parts for taken", async () => {
    await store(COPY, "a", "b");
    await expect(destination.put(COPY, chunks("new"), { signal })).rejects.toBeInstanceOf(AlreadyExistsError);
    expect((await read(COPY)).toString()).toBe("ab");
  });

  test("remove() removes all parts, and nothing else", async () => {
    await store(COPY, ...Array.from({ length: 30 }, (_, index) => `part ${index}`));
    await store(`${COPY}.gpg`, "other");
    await server.store(bucket, `${COPY}/note`, "somebody else's");
    await destination.remove(COPY, { signal });
    await destination.remove(COPY, { signal });
    expect(await server.names(bucket)).toEqual([part(`${COPY}.gpg`, 0), `${COPY}/note`].sort());
  });

  test("what an interrupted removal leaves is no copy; it can be removed again", async () => {
    await store(COPY, ...Array.from({ length: 5 }, (_, index) => `part ${index}`));
    let removed = 0;
    proxy.fault = ({ method, path }) =>
      method === "DELETE" && path.includes("part-") && ++removed > 1 ? { kind: "answer", status: 403 } : undefined;
    await expect(destination.remove(COPY, { signal })).rejects.toMatchObject({ code: "NOT_PERMITTED" });
    proxy.fault = () => undefined;
    expect(await server.names(bucket)).toEqual([1, 2, 3, 4].map((number) => part(COPY, number)));
    expect(await listed()).toEqual([]);
    await expect(read(COPY)).rejects.toBeInstanceOf(ObjectNotFoundError);
    expect(await destination.sweep("db7", { signal })).toBe(0);
    await destination.remove(COPY, { signal });
    expect(await server.names(bucket)).toEqual([]);
  });

  test("sweep() removes what is left of a set after a day", async () => {
    await server.store(bucket, part(COPY, 1), "b");
    await server.store(bucket, part(COPY, 2), "c");
    await store(BINLOG, "a", "b");
    const later = driven(() => gcsDriver(options), {
      url: "gs://test",
      now: () => new Date(Date.now() + 25 * 3_600_000),
    });
    expect(await later.sweep("other", { signal })).toBe(0);
    expect(await later.sweep("db7", { signal })).toBe(1);
    expect(await server.names(bucket)).toEqual([part(BINLOG, 0), part(BINLOG, 1)]);
    await later[Symbol.asyncDispose]();
  });

  test("a set that lacks a part in the middle is no copy, and nobody removes it unasked", async () => {
    await server.store(bucket, part(COPY, 0), "a");
    await server.store(bucket, part(COPY, 2), "c");
    expect(await listed()).toEqual([]);
    await expect(read(COPY)).rejects.toBeInstanceOf(ObjectNotFoundError);
    expect(await destination.sweep("db7", { signal })).toBe(0);
    expect(await server.names(bucket)).toHaveLength(2);
  });

  test("get() notices a part that was written again while it was read", async () => {
    await store(COPY, noise(9_000_000), noise(9_000_000));
    const reading = async () => {
      for await (const _ of destination.get(COPY, { signal }))
        await server.store(bucket, part(COPY, 1), noise(9_000_000));
    };
    await expect(reading()).rejects.toMatchObject({ code: "DATA_DAMAGED" });
  });
});

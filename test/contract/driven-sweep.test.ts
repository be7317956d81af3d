import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Destination } from "../../src/destination/destination.ts";
import { driven } from "../../src/destination/driven.ts";
import { NOTE_PREFIX, notedUploads } from "../../src/destination/upload-note.ts";
import { toKey } from "../../src/domain/key.ts";
import { machineId } from "../../src/lib/process-identity.ts";
import { MemoryDriver, MemoryStore, reset } from "../support/memory-driver.ts";
import { PlantedUploads } from "../support/plant-upload.ts";
import { noise } from "../support/streams.ts";

const KEY = toKey("h/daily/mysql/mysql-2026-11-21_02_36_45.xbstream");
const LEFT = { host: "h", kind: "temporary", owner: "dead", ageHours: 0 } as const;
const { signal } = new AbortController();

let store: MemoryStore;
let planted: PlantedUploads;
let destination: Destination;

beforeEach(() => {
  store = new MemoryStore();
  planted = new PlantedUploads(new MemoryDriver(store));
  destination = driven(async () => new MemoryDriver(store), { url: "memory:", now: planted.now });
});

afterEach(() => planted.cleanup());

test("sweep() leaves the parts of a put in progress alone, however long it takes", async () => {
  let sweeps = 0;
  async function* content() {
    yield noise(2_000_000);
    await planted.plant({ ...LEFT, ageHours: 25 });
    expect(await destination.sweep("h", { signal })).toBe(1);
    sweeps += 1;
    yield noise(2_000_000);
  }
  expect(await destination.put(KEY, content(), { signal })).toMatchObject({ bytes: 4_000_000 });
  expect(sweeps).toBe(1);
  expect(store.uploads.size).toBe(0);
});

test("sweep() throws away every upload of a key that a process noted before it was killed", async () => {
  await planted.plant(LEFT);
  await planted.plant(LEFT);
  const other = { signal, nonce: "", expectedBytes: undefined };
  await new MemoryDriver(store).start("h/daily/of-another", other);
  expect(await destination.sweep("h", { signal })).toBe(2);
  expect([...store.uploads.values()].map(({ key }) => key)).toEqual(["h/daily/of-another"]);
  expect(await notedUploads("memory:")).toEqual([]);
});

test("sweep() keeps notes about other places and other hosts", async () => {
  const elsewhere = driven(async () => Object.assign(new MemoryDriver(store), { url: "memory:elsewhere" }), {
    url: "memory:elsewhere",
  });
  await planted.plant(LEFT);
  await planted.plant({ ...LEFT, host: "h2" });
  expect(await elsewhere.sweep("h", { signal })).toBe(0);
  expect(await destination.sweep("h", { signal })).toBe(1);
  expect(await notedUploads("memory:")).toMatchObject([{ key: "h2/daily/left", isLeft: true }]);
});

test("sweep() keeps the note of an upload that cannot be thrown away", async () => {
  const driver = new MemoryDriver(store);
  driver.discard = async () => {
    throw reset();
  };
  await planted.plant(LEFT);
  const failing = driven(async () => driver, { url: "memory:" });
  await expect(failing.sweep("h", { signal })).rejects.toMatchObject({ code: "UNREACHABLE" });
  expect(await destination.sweep("h", { signal })).toBe(1);
});

test("sweep() removes what is left of a process that was killed while it noted", async () => {
  const path = join(tmpdir(), `${NOTE_PREFIX}${machineId()}-4194305-1-00000000`);
  await mkdir(path, { mode: 0o700 });
  expect(await destination.sweep("h", { signal })).toBe(0);
  expect(existsSync(path)).toBe(false);
});

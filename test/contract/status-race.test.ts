import { randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Destination } from "../../src/destination/destination.ts";
import { withCopy } from "../../src/domain/status.ts";
import { StatusStore } from "../../src/status/store.ts";
import { filesCopy } from "../support/copies.ts";
import { openStore, STORES, type Store } from "../support/stores.ts";

const { signal } = new AbortController();
const WRITERS = 2;
const EACH = 100;

/** Add copies to the status one by one, each at a moment of its own. @returns their keys. */
async function write(destination: Destination, writer: number): Promise<string[]> {
  const status = new StatusStore(destination, { host: "db7", media: "files" });
  const keys: string[] = [];
  for (let count = 0; count < EACH; count++) {
    const copy = filesCopy(new Date(2026, 4, 1, 0, writer, count), { directory: `/of/${writer}` });
    keys.push(copy.key);
    await sleep(randomInt(8));
    await status.update((now) => withCopy(now, copy), { signal });
  }
  return keys;
}

describe.each(STORES.filter(({ has, conditions }) => conditions === "atomic" && has()))(
  "a status on $name",
  ({ start }) => {
    let store: Store;

    beforeAll(async () => {
      store = await start();
    });
    afterAll(async () => {
      await store.stop();
    });

    test(`loses no entry when two writers change it ${WRITERS * EACH} times at once`, async () => {
      const destinations = await Promise.all(Array.from({ length: WRITERS }, () => openStore(store)));
      try {
        const keys = (await Promise.all(destinations.map((each, writer) => write(each, writer)))).flat();
        const status = new StatusStore(destinations[0]!, { host: "db7", media: "files" });
        const loaded = await status.load({ signal });
        expect(loaded).toMatchObject({ origin: "current", doubtful: false, warnings: [] });
        expect(new Set(loaded.status.copies.map(({ key }) => key))).toEqual(new Set(keys));
        expect(keys).toHaveLength(WRITERS * EACH);
      } finally {
        for (const each of destinations) await each[Symbol.asyncDispose]();
      }
    });
  },
);

import { describe, expect, test } from "vitest";
import { readOnly } from "../../../src/destination/read-only.ts";
import { toKey } from "../../../src/domain/key.ts";
import { MemoryDestination } from "../../support/memory-destination.ts";
import { chunks, collect, keysOf } from "../../support/streams.ts";

const KEY = toKey("h/status");
const { signal } = new AbortController();

describe("readOnly()", () => {
  test("readOnly() reads, and refuses whatever changes something", async () => {
    const inner = new MemoryDestination();
    await inner.put(KEY, chunks("x"), { signal });
    const destination = readOnly(inner);
    const refusal = { code: "NOT_PERMITTED", message: expect.stringContaining("this command only reads") };
    await expect(destination.put(toKey("h/b"), chunks("y"), { signal })).rejects.toMatchObject(refusal);
    const replacing = destination.replaceSmall(KEY, Buffer.from("y"), { signal, expected: undefined });
    await expect(replacing).rejects.toMatchObject(refusal);
    await expect(destination.remove(KEY, { signal })).rejects.toMatchObject(refusal);
    await expect(destination.sweep("h", { signal })).rejects.toMatchObject(refusal);
    expect((await collect(destination.get(KEY, { signal }))).toString()).toBe("x");
    expect(await keysOf(destination.list("", { signal }))).toEqual([KEY]);
    expect(Buffer.from((await destination.readSmall(KEY, { signal }))?.content ?? []).toString()).toBe("x");
    expect(await destination.capabilities({ signal })).toEqual(await inner.capabilities({ signal }));
  });

  test("readOnly() can share when the inner one can", async () => {
    expect(readOnly(new MemoryDestination())).toHaveProperty("share", undefined);
    const inner = Object.assign(new MemoryDestination(), { share: async (key: string) => `memory:${key}` });
    expect(await readOnly(inner).share?.(KEY, { signal, expiresSeconds: 1 })).toBe(`memory:${KEY}`);
  });
});

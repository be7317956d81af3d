import { expect, test } from "vitest";
import type { FilesCopy } from "../../../src/domain/copy.ts";
import { reconcile } from "../../../src/domain/reconcile.ts";
import { decide, expired } from "../../../src/domain/retention.ts";
import { withCopy, withoutCopy } from "../../../src/domain/status.ts";
import { Manifests } from "../../../src/status/manifests.ts";
import { StatusStore } from "../../../src/status/store.ts";
import { at, filesCopy } from "../../support/copies.ts";
import { MortalDestination } from "../../support/mortal-destination.ts";

const { signal } = new AbortController();
const POLICY = { hourly: 0, daily: 2, weekly: 0, monthly: 0, yearly: 0 };
const FOREIGN = filesCopy(at(1), { directory: "/srv" }).key;

async function* bytes(text: string) {
  yield Buffer.from(text);
}

/** One run in the order that the laws ask for: sweep, take up, store, record, expire. */
async function run(destination: MortalDestination, copy: FilesCopy): Promise<void> {
  const manifests = new Manifests(destination);
  const store = new StatusStore(destination, { host: "db7", media: "files" });
  const { status } = await store.adopt({ signal });
  await manifests.sweep("db7", { media: "files", status, before: new Date(Date.now() + 1000), signal });

  await manifests.begin(copy.key, { signal });
  const stored = { ...copy, ...(await destination.put(copy.key, bytes(copy.key), { signal })) };
  await manifests.write(stored, { signal });
  const recorded = await store.update((now) => withCopy(now, stored), { signal });
  for (const { key } of expired(decide(recorded.status.copies, POLICY))) {
    await store.update((now) => withoutCopy(now, key), { signal });
    await manifests.remove(key, { signal });
    await destination.remove(key, { signal });
    await manifests.forget(key, { signal });
  }
}

async function keys(destination: MortalDestination, prefix: string): Promise<string[]> {
  return (await Array.fromAsync(destination.list(prefix, { signal }))).map(({ key }) => key);
}

test("a run killed before any of its changes leaves only good copies listed, and the next run cleans up", async () => {
  let crashes = 0;
  for (let changes = 0; ; changes++) {
    const destination = new MortalDestination();
    await destination.put(FOREIGN, bytes("x"), { signal });
    for (const day of [1, 2, 3]) await run(destination, filesCopy(at(day)));

    destination.changesLeft = changes;
    const died = await run(destination, filesCopy(at(4))).then(
      () => false,
      () => true,
    );
    destination.changesLeft = Number.POSITIVE_INFINITY;
    if (!died) break;
    crashes++;

    const store = new StatusStore(destination, { host: "db7", media: "files" });
    const { status, doubtful } = await store.load({ signal });
    const objects = await Array.fromAsync(destination.list("db7/", { signal }));
    expect(doubtful).toBe(false);
    expect([...reconcile(status, objects)]).toEqual([]);
    expect(status.copies.map(({ key }) => key)).toContain(FOREIGN);

    await run(destination, filesCopy(at(5)));
    const left = (await store.load({ signal })).status.copies;
    expect(left.filter(({ directory }) => directory === "/etc")).toHaveLength(2);
    expect(left.at(-1)?.startedAt).toEqual(at(5));
    expect(await keys(destination, "db7/daily/")).toEqual(left.map(({ key }) => key).sort());
    expect(await keys(destination, "db7/manifest/")).toHaveLength(2);
  }
  expect(crashes).toBeGreaterThan(8);
});

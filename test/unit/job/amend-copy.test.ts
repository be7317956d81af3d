import { expect, test } from "vitest";
import { type Key, toKey } from "../../../src/domain/key.ts";
import { withPreservation } from "../../../src/domain/preservation.ts";
import { amendCopy } from "../../../src/job/amend-copy.ts";
import { removeCopies, storeCopy } from "../../../src/job/shelf.ts";
import { at, binlogCopy, filesCopy } from "../../support/copies.ts";
import { FailingDestination, unreachable } from "../../support/failing-destination.ts";
import { shelfOn } from "../../support/shelves.ts";
import { chunks } from "../../support/streams.ts";

const { signal } = new AbortController();
const [FIRST, SECOND] = [filesCopy(at(1)), filesCopy(at(2))];

async function filled() {
  const destination = new FailingDestination();
  const shelf = shelfOn(destination, "files");
  for (const copy of [FIRST, SECOND]) {
    await storeCopy(
      shelf,
      { key: copy.key, content: chunks("whole"), describe: (digest) => ({ ...copy, ...digest }) },
      { signal },
    );
  }
  return { destination, shelf };
}

type Filled = Awaited<ReturnType<typeof filled>>;

function preserve({ shelf }: Pick<Filled, "shelf">, key: Key, until: "forever" | "" = "forever") {
  return amendCopy(shelf, key, { change: (copy) => withPreservation(copy, until || undefined), signal });
}

async function preservedNow({ shelf }: Filled): Promise<Key[]> {
  const { status } = await shelf.status.load({ signal });
  return status.copies.filter(({ preservedUntil }) => preservedUntil !== undefined).map(({ key }) => key);
}

async function loseStatus({ destination }: Filled): Promise<void> {
  for (const name of ["files-status", "files-status.previous"])
    await destination.remove(toKey(`db7/${name}`), { signal });
}

test("amendCopy() changes one copy, and a rebuilt status has the change", async () => {
  const all = await filled();
  expect(await preserve(all, FIRST.key)).toMatchObject({ key: FIRST.key, preservedUntil: "forever", bytes: 5 });
  expect(await preservedNow(all)).toEqual([FIRST.key]);
  await loseStatus(all);
  await all.shelf.status.rebuild({ signal });
  expect(await preservedNow(all)).toEqual([FIRST.key]);

  expect(await preserve(all, FIRST.key, "")).not.toHaveProperty("preservedUntil");
  await loseStatus(all);
  await all.shelf.status.rebuild({ signal });
  expect(await preservedNow(all)).toEqual([]);
});

test("amendCopy() that breaks off before the manifest is completed by another call", async () => {
  const all = await filled();
  const replace = all.destination.replaceSmall.bind(all.destination);
  all.destination.replaceSmall = (key, content, options) =>
    key.includes("/manifest/") ? Promise.reject(unreachable()) : replace(key, content, options);
  await expect(preserve(all, FIRST.key)).rejects.toMatchObject({ code: "UNREACHABLE" });
  expect(await preservedNow(all)).toEqual([FIRST.key]);
  all.destination.replaceSmall = replace;
  await preserve(all, FIRST.key);
  await loseStatus(all);
  await all.shelf.status.rebuild({ signal });
  expect(await preservedNow(all)).toEqual([FIRST.key]);
});

test("amendCopy() refuses a copy that is gone, and a status that was damaged", async () => {
  const all = await filled();
  await removeCopies(all.shelf, [FIRST], { signal });
  await expect(preserve(all, FIRST.key)).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect(await all.shelf.manifests.read(FIRST.key, { signal })).toBeUndefined();
  const key = toKey("db7/files-status");
  const small = await all.destination.readSmall(key, { signal });
  await all.destination.replaceSmall(key, Buffer.from("{"), { expected: small?.version, signal });
  await expect(preserve(all, SECOND.key)).rejects.toMatchObject({ code: "DATA_DAMAGED" });
  expect(Buffer.from((await all.destination.readSmall(key, { signal }))?.content ?? []).toString()).toBe("{");
});

test("amendCopy() finds a binlog that the predecessor recorded without its suffixes", async () => {
  const shelf = shelfOn(new FailingDestination(), "binlog");
  const copy = binlogCopy(7, at(1));
  await shelf.destination.put(copy.key, chunks("log"), { signal });
  await shelf.status.update(
    () => ({ copies: [{ ...copy, key: toKey("db7/binlog/mysql-bin.000007"), suffixes: [] }] }),
    {
      signal,
    },
  );
  await amendCopy(shelf, copy.key, { change: (each) => withPreservation(each, "forever"), signal });
  const { status } = await shelf.status.load({ signal });
  expect(status.copies).toMatchObject([{ key: copy.key, suffixes: [".gz"], preservedUntil: "forever" }]);
});

test("removeCopies() removes nothing when one of its copies was preserved since it was chosen", async () => {
  const all = await filled();
  await preserve(all, FIRST.key);
  expect((await removeCopies(all.shelf, [SECOND, FIRST], { signal })).removed).toEqual([]);
  const { status } = await all.shelf.status.load({ signal });
  expect(status.copies).toHaveLength(2);
  // Chosen as it is now, such as when its time is over.
  const goners = status.copies.filter(({ key }) => key === FIRST.key);
  expect((await removeCopies(all.shelf, goners, { signal })).removed).toEqual([FIRST.key]);
});

test("a status that is recovered from the generation before has what was decided since", async () => {
  const all = await filled();
  await preserve(all, FIRST.key);
  const key = toKey("db7/files-status");
  const small = await all.destination.readSmall(key, { signal });
  await all.destination.replaceSmall(key, Buffer.from("{"), { expected: small?.version, signal });
  expect(await all.shelf.status.load({ signal })).toMatchObject({ origin: "previous", doubtful: true });
  expect(await preservedNow(all)).toEqual([FIRST.key]);
});

import { describe, expect, test } from "vitest";
import type { FilesCopy } from "../../../src/domain/copy.ts";
import { BackupError } from "../../../src/domain/errors.ts";
import { removeCopies, storeCopy } from "../../../src/job/shelf.ts";
import { at, filesCopy } from "../../support/copies.ts";
import { FailingDestination, unreachable } from "../../support/failing-destination.ts";
import { shelfOn } from "../../support/shelves.ts";
import { chunks, keysOf } from "../../support/streams.ts";

const { signal } = new AbortController();

async function* broken(): AsyncGenerator<Uint8Array, void> {
  yield Buffer.from("half");
  throw new BackupError("PROGRAM_FAILED", 'Cannot run "tar": it was killed');
}

function store(destination: FailingDestination, copy: FilesCopy, content = chunks("whole")) {
  const describe = (digest: { bytes: number; sha256: string }) => ({ ...copy, ...digest });
  return storeCopy(shelfOn(destination, "files"), { key: copy.key, content, describe }, { signal });
}

function objects(destination: FailingDestination): Promise<string[]> {
  return keysOf(destination.list("", { signal }));
}

describe("storeCopy()", () => {
  test("storeCopy() records what was stored", async () => {
    const destination = new FailingDestination();
    const { status } = await store(destination, filesCopy(at(1)));
    expect(status.copies).toMatchObject([{ bytes: 5, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string }]);
  });

  test("storeCopy() leaves nothing of a content that fails", async () => {
    const destination = new FailingDestination();
    await expect(store(destination, filesCopy(at(1)), broken())).rejects.toThrow("it was killed");
    expect(await objects(destination)).toEqual([]);
  });

  test("storeCopy() leaves an object that is there already as it is", async () => {
    const destination = new FailingDestination();
    const copy = filesCopy(at(1));
    await destination.put(copy.key, chunks("somebody else's"), { signal });
    await expect(store(destination, copy)).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
    expect(await objects(destination)).toEqual([copy.key]);
  });

  test("storeCopy() keeps data and manifest when only the status cannot be written, for the next run to take up", async () => {
    const destination = new FailingDestination();
    const copy = filesCopy(at(1));
    // The mark and the manifest are replaced before the status is.
    const replace = destination.replaceSmall.bind(destination);
    destination.replaceSmall = (key, content, options) =>
      key.endsWith("status") ? Promise.reject(unreachable()) : replace(key, content, options);
    await expect(store(destination, copy)).rejects.toMatchObject({ code: "UNREACHABLE" });
    destination.replaceSmall = replace;
    expect(await objects(destination)).toContain(copy.key);
    const { status } = await shelfOn(destination, "files").status.adopt({ signal });
    expect(status.copies.map(({ key }) => key)).toEqual([copy.key]);
  });
});

test("storeCopy() leaves nothing of a copy that is not allowed any more when it is about to be recorded", async () => {
  const destination = new FailingDestination();
  const [first, late] = [filesCopy(at(1)), filesCopy(at(2))];
  await store(destination, first);
  const before = await objects(destination);
  const allow = ({ copies }: { readonly copies: readonly FilesCopy[] }) => {
    if (copies.some(({ key }) => key === first.key)) throw new BackupError("FAILED", "somebody took over");
  };
  const describe = (digest: { bytes: number; sha256: string }) => ({ ...late, ...digest });
  const shelf = shelfOn(destination, "files");
  const storing = storeCopy(shelf, { key: late.key, content: chunks("late"), describe, allow }, { signal });
  await expect(storing).rejects.toThrow("somebody took over");
  expect(await objects(destination)).toEqual(before);
  expect((await shelf.status.load({ signal })).status.copies.map(({ key }) => key)).toEqual([first.key]);
});

test("removeCopies() stops at a destination that fails, with a status that claims nothing that is gone", async () => {
  const destination = new FailingDestination();
  const [first, second] = [filesCopy(at(1)), filesCopy(at(2))];
  await store(destination, first);
  await store(destination, second);
  destination.faults.push({ on: "remove", error: unreachable() });
  const shelf = shelfOn(destination, "files");
  await expect(removeCopies(shelf, [first], { signal })).rejects.toMatchObject({ code: "UNREACHABLE" });
  const { status, doubtful } = await shelf.status.load({ signal });
  expect(status.copies.map(({ key }) => key)).toEqual([second.key]);
  expect(doubtful).toBe(false);
});

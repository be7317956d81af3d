import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ConflictError } from "../../../src/destination/destination.ts";
import type { Copy } from "../../../src/domain/copy.ts";
import { type Key, toKey } from "../../../src/domain/key.ts";
import { manifestKey } from "../../../src/domain/manifest.ts";
import { statusOf, withCopy, withoutCopy } from "../../../src/domain/status.ts";
import { formatStatus } from "../../../src/status/codec.ts";
import { Manifests } from "../../../src/status/manifests.ts";
import { StatusStore } from "../../../src/status/store.ts";
import { at, binlogCopy, filesCopy, fullCopy, increment } from "../../support/copies.ts";
import { MemoryDestination } from "../../support/memory-destination.ts";

const { signal } = new AbortController();
const STATUS = toKey("db7/status");
const PREVIOUS = toKey("db7/status.previous");
const DAMAGED = toKey("db7/status.damaged");

async function* bytes(text: string) {
  yield Buffer.from(text);
}

async function write(destination: MemoryDestination, key: Key, content: Uint8Array | string) {
  const before = await destination.readSmall(key, { signal });
  await destination.replaceSmall(key, Buffer.from(content), { expected: before?.version, signal });
}

async function read(destination: MemoryDestination, key: Key) {
  const small = await destination.readSmall(key, { signal });
  return small && Buffer.from(small.content).toString();
}

/** Store a copy as a run does, up to but without its record. */
async function store<C extends Copy>(destination: MemoryDestination, copy: C): Promise<C> {
  const manifests = new Manifests(destination);
  await manifests.begin(copy.key, { signal });
  const stored = { ...copy, ...(await destination.put(copy.key, bytes(copy.key), { signal })) };
  await manifests.write(stored, { signal });
  return stored;
}

function mysqlStore(destination: MemoryDestination) {
  return new StatusStore(destination, { host: "db7", media: "mysql" });
}

function filesStore(destination: MemoryDestination) {
  return new StatusStore(destination, { host: "db7", media: "files" });
}

/** A destination with a recorded full copy and an increment. */
async function furnished() {
  const destination = new MemoryDestination();
  const full = await store(destination, fullCopy(at(1)));
  await mysqlStore(destination).update((status) => withCopy(status, full), { signal });
  const delta = await store(destination, increment(at(2), full.key));
  await mysqlStore(destination).update((status) => withCopy(status, delta), { signal });
  return { destination, full, delta };
}

describe("load()", () => {
  test("load() of a host without copies is new and not doubtful", async () => {
    const destination = new MemoryDestination();
    await store(destination, { ...fullCopy(at(1)), host: "db70", key: toKey("db70/daily/mysql/x.xbstream") });
    for (const media of ["mysql", "binlog", "files"] as const) {
      expect(await new StatusStore(destination, { host: "db7", media }).load({ signal })).toEqual({
        status: { copies: [] },
        origin: "new",
        doubtful: false,
        warnings: [],
      });
    }
  });

  test("load() reads what update() wrote", async () => {
    const { destination, full, delta } = await furnished();
    expect(await mysqlStore(destination).load({ signal })).toEqual({
      status: { copies: [full, delta] },
      origin: "current",
      doubtful: false,
      warnings: [],
    });
  });

  test.each(["", "{", "null", "bm90IGpzb24="])(
    "load() falls back on the generation before when the file holds %j",
    async (text) => {
      const { destination, full, delta } = await furnished();
      await write(destination, STATUS, text);
      const loaded = await mysqlStore(destination).load({ signal });
      expect(loaded).toMatchObject({ origin: "previous", doubtful: true, status: { copies: [full, delta] } });
      expect(loaded.warnings[0]).toMatch(/^Cannot read "db7\/status": /);
    },
  );

  test("load() falls back on the generation before when the file is missing", async () => {
    const { destination, full, delta } = await furnished();
    await destination.remove(STATUS, { signal });
    expect(await mysqlStore(destination).load({ signal })).toMatchObject({
      origin: "previous",
      doubtful: true,
      status: { copies: [full, delta] },
      warnings: ['Cannot read "db7/status": it is missing although there are copies'],
    });
  });

  test("load() builds the status from manifests when both generations are lost", async () => {
    const { destination, full, delta } = await furnished();
    await destination.remove(STATUS, { signal });
    await write(destination, PREVIOUS, "x");
    expect(await mysqlStore(destination).load({ signal })).toMatchObject({
      origin: "rebuilt",
      doubtful: true,
      status: { copies: [full, delta] },
    });
  });

  test("load() names the MySQL copies of the predecessor it cannot build a record of", async () => {
    const destination = new MemoryDestination();
    const { key } = fullCopy(at(1));
    await destination.put(key, bytes("x"), { signal });
    const loaded = await mysqlStore(destination).load({ signal });
    expect(loaded).toMatchObject({ origin: "rebuilt", doubtful: true, status: { copies: [] } });
    expect(loaded.warnings[1]).toBe(`"${key}" has no record, and none can be made from it`);
  });

  test("load() keeps records of the predecessor from the generation before", async () => {
    const destination = new MemoryDestination();
    const old = fullCopy(at(1));
    await destination.put(old.key, bytes("x"), { signal });
    await write(destination, PREVIOUS, formatStatus("mysql", { copies: [old] }));
    await write(destination, STATUS, "x");
    expect((await mysqlStore(destination).load({ signal })).status.copies).toEqual([old]);
  });

  test("load() lists nothing that is gone, unfinished or of another size as good", async () => {
    const { destination, full, delta } = await furnished();
    const gone = await store(destination, fullCopy(at(3)));
    const cut = await store(destination, fullCopy(at(4)));
    const unfinished = fullCopy(at(5));
    await mysqlStore(destination).update((status) => [gone, cut, unfinished].reduce(withCopy, status), { signal });
    await mysqlStore(destination).update((status) => withoutCopy(status, full.key), { signal });
    await destination.remove(gone.key, { signal });
    await destination.remove(cut.key, { signal });
    await destination.put(cut.key, bytes("short"), { signal });
    await new Manifests(destination).begin(unfinished.key, { signal });
    await destination.put(unfinished.key, bytes("x"), { signal });
    await write(destination, STATUS, "x");

    const { status, warnings } = await mysqlStore(destination).load({ signal });
    expect(status.copies.map(({ key, verified }) => [key, verified?.ok])).toEqual([
      [full.key, undefined],
      [delta.key, undefined],
      [cut.key, false],
    ]);
    expect(warnings).toContain(`"${gone.key}" was recorded but is not there`);
  });

  test("load() reports a damaged manifest and does not list its copy", async () => {
    const { destination, full, delta } = await furnished();
    await write(destination, manifestKey(delta.key), "{}");
    await destination.remove(STATUS, { signal });
    await destination.remove(PREVIOUS, { signal });
    const { status, warnings } = await mysqlStore(destination).load({ signal });
    expect(status.copies).toEqual([full]);
    expect(warnings.join()).toContain(manifestKey(delta.key));
  });

  test("load() refuses the status of another host", async () => {
    const { destination } = await furnished();
    const stranger = { ...fullCopy(at(1)), host: "db8", key: toKey("db8/daily/mysql/x") };
    await write(destination, STATUS, formatStatus("mysql", { copies: [stranger] }));
    expect(await mysqlStore(destination).load({ signal })).toMatchObject({ doubtful: true });
  });

  test("load() takes up all files copies of the predecessor when there is no status of files yet", async () => {
    const destination = new MemoryDestination();
    const name = "_etc-2026-05-01_00_00_02.tar.bz";
    await destination.put(toKey(`db7/daily/files/${name}`), bytes("x"), { signal });
    await destination.put(toKey("db7/daily/files/notes.txt"), bytes("x"), { signal });
    expect(await filesStore(destination).load({ signal })).toMatchObject({
      origin: "new",
      doubtful: false,
      status: { copies: [{ bytes: 1, directory: undefined, startedAt: at(1) }] },
    });
  });

  test("load() of a newer format is refused, and update() changes nothing then", async () => {
    const { destination } = await furnished();
    const newer = (await read(destination, STATUS))!.replace('"version": 1', '"version": 2');
    await write(destination, STATUS, newer);
    await expect(mysqlStore(destination).load({ signal })).rejects.toMatchObject({ name: "NewerFormatError" });
    await expect(mysqlStore(destination).update((status) => status, { signal })).rejects.toThrow(/format 2/);
    await expect(mysqlStore(destination).rebuild({ signal })).rejects.toThrow(/format 2/);
    expect(await read(destination, STATUS)).toBe(newer);
  });

  test("load() throws the reason of an abort", async () => {
    const { destination } = await furnished();
    const reason = new Error("stop");
    await expect(mysqlStore(destination).load({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

describe("update()", () => {
  test("update() keeps the bytes before", async () => {
    const { destination, full } = await furnished();
    const before = await read(destination, STATUS);
    await mysqlStore(destination).update((status) => withoutCopy(status, full.key), { signal });
    expect(await read(destination, PREVIOUS)).toBe(before);
  });

  test("update() writes nothing when nothing changes", async () => {
    const { destination } = await furnished();
    const before = await read(destination, PREVIOUS);
    await mysqlStore(destination).update((status) => status, { signal });
    expect(await read(destination, PREVIOUS)).toBe(before);
  });

  test("update() keeps a file of the oldest form for good", async () => {
    const destination = new MemoryDestination();
    const old = readFileSync(new URL("../../golden/status/old/mysql-unversioned.txt", import.meta.url), "utf8");
    await write(destination, STATUS, old);
    for (const day of [1, 2, 3])
      await mysqlStore(destination).update((now) => withCopy(now, fullCopy(at(day))), { signal });
    expect(await read(destination, toKey("db7/status.v0"))).toBe(old);
    expect((await mysqlStore(destination).load({ signal })).status.copies).toHaveLength(4);
  });

  test("update() after damage keeps the damaged bytes and the good generation before", async () => {
    const { destination, full, delta } = await furnished();
    const good = await read(destination, PREVIOUS);
    await write(destination, STATUS, "garbage");
    const fresh = fullCopy(at(3));
    const updated = await mysqlStore(destination).update((status) => withCopy(status, fresh), { signal });
    expect(updated).toMatchObject({ doubtful: true, status: { copies: [full, delta, fresh] } });
    expect(await read(destination, DAMAGED)).toBe("garbage");
    expect(await read(destination, PREVIOUS)).toBe(good);
    expect(await mysqlStore(destination).load({ signal })).toMatchObject({
      origin: "current",
      doubtful: false,
      status: { copies: [full, delta, fresh] },
    });
  });

  test("update() loses nothing when many write at once", async () => {
    const destination = new MemoryDestination();
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let minute = 0; minute < 10; minute++) {
        const copy = fullCopy(at(writer + 1, 0, minute));
        await mysqlStore(destination).update((status) => withCopy(status, copy), { signal });
      }
    });
    await Promise.all(writers);
    expect((await mysqlStore(destination).load({ signal })).status.copies).toHaveLength(80);
  });

  test("update() gives up when it always comes too late", async () => {
    class Busy extends MemoryDestination {
      override replaceSmall(key: Key): Promise<string> {
        return Promise.reject(new ConflictError(key, this.url));
      }
    }
    const updating = new StatusStore(new Busy(), { host: "db7", media: "mysql" }).update((status) => status, {
      signal,
    });
    await expect(updating).rejects.toMatchObject({ code: "CONFLICT", hint: expect.any(String) });
  });

  test("update() refuses to write what load() would refuse", async () => {
    const { destination } = await furnished();
    const before = await read(destination, STATUS);
    const wrong = { ...fullCopy(at(3)), key: toKey("db8/daily/mysql/x"), host: "db8" };
    await expect(mysqlStore(destination).update((status) => withCopy(status, wrong), { signal })).rejects.toThrow(
      TypeError,
    );
    expect(await read(destination, STATUS)).toBe(before);
  });
});

describe("rebuild()", () => {
  test("rebuild() brings all three statuses back after they were deleted", async () => {
    const { destination, full, delta } = await furnished();
    const files = await store(destination, filesCopy(at(1)));
    const binlog = await store(destination, binlogCopy(1, at(1)));
    await destination.put(toKey("db7/weekly/files/_srv-2026-05-03_04_05_06.tar.gz"), bytes("x"), { signal });
    await destination.put(toKey("db7/binlog/mysql-bin.000002.gz"), bytes("x"), { signal });
    await destination.put(toKey("db7/weekly/mysql/mysql-2026-05-03_04_05_06.xbstream.gz"), bytes("x"), { signal });
    for (const key of [STATUS, PREVIOUS]) await destination.remove(key, { signal });

    const rebuilt = [];
    for (const media of ["mysql", "files", "binlog"] as const) {
      const store = new StatusStore(destination, { host: "db7", media });
      rebuilt.push(await store.rebuild({ signal }));
      expect(await store.load({ signal })).toMatchObject({ origin: "current", status: rebuilt.at(-1)!.status });
    }
    expect(rebuilt.map(({ status }) => status.copies.map(({ key }) => key))).toEqual([
      [full.key, delta.key],
      [files.key, "db7/weekly/files/_srv-2026-05-03_04_05_06.tar.gz"],
      [binlog.key, "db7/binlog/mysql-bin.000002.gz"],
    ]);
    expect(rebuilt.map(({ warnings }) => warnings.length)).toEqual([1, 0, 0]);
  });

  test("rebuild() keeps records that only the status has, and drops those whose object is gone", async () => {
    const { destination, full, delta } = await furnished();
    const old = fullCopy(at(3));
    await destination.put(old.key, bytes("x"), { signal });
    await mysqlStore(destination).update((status) => withCopy(status, old), { signal });
    await destination.remove(delta.key, { signal });
    expect((await mysqlStore(destination).rebuild({ signal })).status.copies).toEqual([full, old]);
    expect((await mysqlStore(destination).load({ signal })).status.copies).toEqual([full, old]);
  });
});

describe("adopt()", () => {
  test("adopt() takes up what a run left between manifest and status", async () => {
    const { destination, full, delta } = await furnished();
    const left = await store(destination, fullCopy(at(3)));
    expect(await mysqlStore(destination).adopt({ signal })).toMatchObject({ adopted: [left.key], doubtful: false });
    expect((await mysqlStore(destination).load({ signal })).status.copies).toEqual([full, delta, left]);
  });

  test("adopt() takes up the predecessor's files copies also later, but nothing unfinished", async () => {
    const destination = new MemoryDestination();
    const ours = await store(destination, filesCopy(at(1)));
    await filesStore(destination).update((status) => withCopy(status, ours), { signal });
    const unfinished = filesCopy(at(2)).key;
    await new Manifests(destination).begin(unfinished, { signal });
    await destination.put(unfinished, bytes("x"), { signal });
    const foreign = filesCopy(at(3)).key;
    await destination.put(foreign, bytes("x"), { signal });

    const found = await filesStore(destination).adopt({ signal });
    expect(found.adopted).toEqual([foreign]);
    expect(found.status.copies.map(({ key }) => key)).toEqual([ours.key, foreign]);
    expect((await filesStore(destination).adopt({ signal })).adopted).toEqual([]);
  });

  test("adopt() names what it does not manage", async () => {
    const destination = new MemoryDestination();
    const store = new StatusStore(destination, { host: "db7", media: "binlog" });
    await store.update(() => statusOf([binlogCopy(1, at(1))]), { signal });
    await destination.put(toKey("db7/binlog/mysql-bin.000002.gz"), bytes("x"), { signal });
    expect(await store.adopt({ signal })).toMatchObject({
      adopted: [],
      warnings: ['"db7/binlog/mysql-bin.000002.gz" has no record and is not managed'],
    });
  });
});

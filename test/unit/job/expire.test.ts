import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { MysqlCopy } from "../../../src/domain/copy.ts";
import { type Key, toKey } from "../../../src/domain/key.ts";
import { backupFiles } from "../../../src/job/backup-files.ts";
import { expireHost } from "../../../src/job/expire.ts";
import { listCopies } from "../../../src/job/list.ts";
import { removeCopies, storeCopy } from "../../../src/job/shelf.ts";
import { filesSource } from "../../../src/source/files.ts";
import { at, filesCopy, fullCopy, increment } from "../../support/copies.ts";
import { GuardedDestination } from "../../support/guarded-destination.ts";
import { MemoryDestination } from "../../support/memory-destination.ts";
import { shelfOn } from "../../support/shelves.ts";
import { chunks, keysOf } from "../../support/streams.ts";

const { signal } = new AbortController();
const TWO = { hourly: 2, daily: 2, weekly: 2, monthly: 2, yearly: 2 };

let directory: string;
let destination: GuardedDestination;
let warnings: string[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "expire-test-"));
  writeFileSync(join(directory, "file"), "content");
  destination = new GuardedDestination();
  warnings = [];
});
afterEach(() => rmSync(directory, { recursive: true }));

/** A run on that day, which must not fail. @returns the days of the copies that are listed after it. */
async function run(day: number, removesExpired = true): Promise<number[]> {
  warnings.length = 0;
  await backupFiles({
    interval: "daily",
    directories: [directory],
    shelf: shelfOn(destination, "files"),
    local: undefined,
    compress: undefined,
    encrypt: undefined,
    retention: TWO,
    removesExpired,
    idleSeconds: 0,
    openSource: (path, name, onProgress) =>
      filesSource({ directory: path, name, excludes: [], tarOptions: [], idleSeconds: 0, onProgress }),
    progress: () => () => {},
    now: () => at(day),
    log: { debug() {}, info() {}, warn: (text) => warnings.push(text) },
    explain: (error) => error,
    onFailure: (error) => {
      throw error;
    },
    signal,
  });
  return listedDays();
}

async function listedDays(): Promise<number[]> {
  const { listed } = await listCopies(destination, { host: "db7", media: "files", signal });
  return listed.flatMap(({ copy, doubt }) =>
    copy.media === "files" && doubt === undefined ? [copy.startedAt.getDate()] : [],
  );
}

function objects(): Promise<string[]> {
  return keysOf(destination.list("", { signal }));
}

function isData(key: Key): boolean {
  return key.includes("/daily/files/");
}

describe("expiry with copies that are locked", () => {
  test("keeps them recorded, says so once, and removes them when their lock has ended", async () => {
    destination.isGuarded = isData;
    expect(await run(1)).toEqual([1]);
    expect(await run(2)).toEqual([1, 2]);
    expect(await run(3)).toEqual([1, 2, 3]);
    expect(warnings).toEqual([
      expect.stringMatching(/^"db7.*-2026-05-01_.*" cannot be removed yet and stays recorded.*it is locked$/),
    ]);
    expect(await run(4)).toEqual([1, 2, 3, 4]);
    expect(warnings).toEqual([expect.stringMatching(/^2 expired copies, such as "db7.*-2026-05-02_.*it is locked$/)]);
    destination.isGuarded = () => false;
    expect(await run(5)).toEqual([4, 5]);
    expect(warnings).toEqual([]);
    expect((await objects()).filter((key) => key.endsWith(".unfinished"))).toEqual([]);
    expect(await objects()).toHaveLength(2 * 2 + 2);
  });

  test("leaves a status that can be rebuilt from what lies there", async () => {
    destination.isGuarded = isData;
    for (const day of [1, 2, 3]) await run(day);
    const { status, warnings: told } = await shelfOn(destination, "files").status.rebuild({ signal });
    expect(status.copies).toHaveLength(3);
    expect(told).toEqual([]);
  });

  test("leaves the copies that a locked one needs", async () => {
    const shelf = shelfOn(destination, "mysql");
    const full = fullCopy(at(1));
    const first = increment(at(1, 1), full.key);
    const second = increment(at(1, 2), first.key);
    const other = fullCopy(at(1, 3));
    for (const copy of [full, first, second, other]) {
      const describe = (digest: { bytes: number; sha256: string }): MysqlCopy => ({ ...copy, ...digest });
      await storeCopy(shelf, { key: copy.key, content: chunks("x"), describe }, { signal });
    }
    destination.isGuarded = (key) => key === second.key;
    const { copies } = (await shelf.status.load({ signal })).status;
    const removal = await removeCopies(shelf, copies.toReversed(), { signal });
    expect(removal.removed).toEqual([other.key]);
    expect(removal.refused).toEqual([second.key, first.key, full.key]);
    const { status, doubtful } = await shelf.status.load({ signal });
    expect([doubtful, status.copies.map(({ key }) => key)]).toEqual([false, [full.key, first.key, second.key]]);
    expect(await objects()).toEqual(expect.arrayContaining([full.key, first.key, second.key]));
    expect((await objects()).filter((key) => key.endsWith(".json"))).toHaveLength(3);
  });

  test("hides one whose removal was cut off, and goes on without it", async () => {
    for (const day of [1, 2]) await run(day);
    const shelf = shelfOn(destination, "files");
    const [oldest] = (await shelf.status.load({ signal })).status.copies;
    // As a run leaves it that is killed after the data was refused.
    await shelf.status.update(({ copies }) => ({ copies: copies.slice(1) }), { signal });
    await shelf.manifests.remove(oldest!.key, { signal });
    destination.isGuarded = isData;
    expect(await run(3)).toEqual([2, 3]);
    expect(warnings).toEqual([]);
    const { status } = await shelf.status.load({ signal });
    // The marks bear the time of the store, which is not that of these runs.
    const sweeping = { media: "files", status, before: new Date(Date.now() + 1000), signal } as const;
    expect(await shelf.manifests.sweep("db7", sweeping)).toEqual([]);
    expect(await objects()).toContain(oldest!.key);
    destination.isGuarded = () => false;
    expect(await shelf.manifests.sweep("db7", sweeping)).toEqual([oldest!.key]);
    expect(await objects()).not.toContain(oldest!.key);
  });
});

describe("a host that may remove nothing", () => {
  test("copies all the same, lists what it stored, and loses nothing with its status", async () => {
    destination.isGuarded = () => true;
    for (const day of [1, 2]) expect(await run(day)).toHaveLength(day);
    expect(warnings).toEqual([]);
    const { status } = await shelfOn(destination, "files").status.rebuild({ signal });
    expect(status.copies).toHaveLength(2);
    expect(await run(3)).toEqual([1, 2, 3]);
    expect(warnings).toEqual([expect.stringContaining("cannot be removed yet")]);
    destination.isGuarded = () => false;
    expect(await run(4)).toEqual([3, 4]);
    expect((await objects()).filter((key) => key.endsWith(".unfinished"))).toEqual([]);
  });

  test("is silent when it is told that others remove, and forgets what they removed", async () => {
    destination.isGuarded = () => true;
    for (const day of [1, 2, 3, 4]) await run(day, false);
    expect(warnings).toEqual([]);
    expect(await listedDays()).toEqual([1, 2, 3, 4]);
    // As a rule of the store does it: data and manifest of the two oldest go.
    destination.isGuarded = () => false;
    for (const key of (await destinationKeys()).filter((each) => /2026-05-0[12]/.test(each))) {
      await destination.remove(key, { signal });
    }
    destination.isGuarded = () => true;
    expect(await run(5, false)).toEqual([3, 4, 5]);
    expect(warnings).toEqual([]);
    const { status } = await shelfOn(destination, "files").status.load({ signal });
    expect(status.copies).toHaveLength(3);
  });
});

describe("expireHost()", () => {
  const DAY_MS = 24 * 3600 * 1000;

  /** As a second host does it, with rights that the first has not. */
  function expireElsewhere(now = new Date()): Promise<void> {
    const shelf = shelfOn(new MemoryDestination(destination), "files");
    const log = { debug() {}, info() {}, warn: (text: string) => warnings.push(text) };
    return expireHost({ interval: undefined, shelf, retention: TWO, now: () => now, log, signal }, "files");
  }

  test("expireHost() removes what a host may not remove itself, and what its runs left a day ago", async () => {
    destination.isGuarded = () => true;
    for (const day of [1, 2, 3, 4]) await run(day, false);
    await shelfOn(destination, "files").manifests.begin(filesCopy(at(9)).key, { signal });
    await expireElsewhere();
    expect(await listedDays()).toEqual([3, 4]);
    const marks = async () => (await objects()).filter((key) => key.endsWith(".unfinished"));
    expect(await marks()).toEqual([expect.stringContaining("2026-05-09")]);
    await expireElsewhere(new Date(Date.now() + 2 * DAY_MS));
    expect(await marks()).toEqual([]);
    expect(warnings).toEqual([]);
    expect(await run(5, false)).toEqual([3, 4, 5]);
    expect(warnings).toEqual([]);
  });

  test("expireHost() removes nothing when the status is damaged", async () => {
    for (const day of [1, 2]) await run(day, false);
    for (const day of [3, 4]) await run(day, false);
    const key = toKey("db7/files-status");
    const small = await destination.readSmall(key, { signal });
    await destination.replaceSmall(key, Buffer.from("{}"), { expected: small?.version, signal });
    const before = (await objects()).filter((each) => each.includes("/daily/files/"));
    await expect(expireElsewhere()).rejects.toMatchObject({ code: "DATA_DAMAGED" });
    expect((await objects()).filter((each) => each.includes("/daily/files/"))).toEqual(before);
  });
});

async function destinationKeys(): Promise<Key[]> {
  return (await Array.fromAsync(destination.list("", { signal }))).map(({ key }) => key);
}

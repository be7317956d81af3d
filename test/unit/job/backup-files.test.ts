import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { FilesCopy } from "../../../src/domain/copy.ts";
import { BackupError } from "../../../src/domain/errors.ts";
import { toKey } from "../../../src/domain/key.ts";
import { backupFiles, type FilesBackup } from "../../../src/job/backup-files.ts";
import { listCopies } from "../../../src/job/list.ts";
import type { ByteStream } from "../../../src/lib/bytes.ts";
import { compress } from "../../../src/modifier/compress.ts";
import { keepLocal } from "../../../src/modifier/keep-local.ts";
import type { Tap } from "../../../src/modifier/modifier.ts";
import { filesSource } from "../../../src/source/files.ts";
import { at } from "../../support/copies.ts";
import { MortalDestination } from "../../support/mortal-destination.ts";
import { shelfOn } from "../../support/shelves.ts";
import { keysOf, noise } from "../../support/streams.ts";
import { WatchedDestination } from "../../support/watched-destination.ts";

const { signal } = new AbortController();
const SEVEN = { hourly: 7, daily: 7, weekly: 7, monthly: 7, yearly: 7 };

let scratch: string;
let directory: string;
let destination: WatchedDestination;
let failures: BackupError[];
let warnings: string[];

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "backup-files-test-"));
  directory = mkdtempSync(join(scratch, "source-"));
  writeFileSync(join(directory, "file"), noise(100_000));
  destination = new WatchedDestination();
  failures = [];
  warnings = [];
});
afterEach(() => rmSync(scratch, { recursive: true }));

function backup(day: number, facts: Partial<FilesBackup> = {}): Promise<void> {
  return backupFiles({
    interval: "daily",
    directories: [directory],
    shelf: shelfOn(destination, "files"),
    local: undefined,
    compress: undefined,
    encrypt: undefined,
    retention: SEVEN,
    removesExpired: true,
    idleSeconds: 0,
    openSource: (path, name, onProgress) =>
      filesSource({ directory: path, name, excludes: [], tarOptions: [], idleSeconds: 0, onProgress }),
    progress: () => () => {},
    now: () => at(day),
    log: { debug() {}, info() {}, warn: (text) => warnings.push(text) },
    explain: (error) => error,
    onFailure: (error) => failures.push(error as BackupError),
    signal,
    ...facts,
  });
}

async function copies(): Promise<FilesCopy[]> {
  const { listed } = await listCopies(destination, { host: "db7", media: "files", signal });
  return listed.flatMap(({ copy, doubt }) => (copy.media === "files" && doubt === undefined ? [copy] : []));
}

function objects(): Promise<string[]> {
  return keysOf(destination.list("", { signal }));
}

/** A source that delivers some bytes and then fails, as a tar that is killed. */
function failingSource(): FilesBackup["openSource"] {
  async function* content(): ByteStream & AsyncGenerator<Uint8Array, void> {
    yield noise(70_000);
    throw new BackupError("PROGRAM_FAILED", 'Cannot run "tar": it was killed');
  }
  return (_path, name) => ({
    name,
    open: async () => ({
      content: content(),
      facts: () => expect.fail("nobody may ask what a failed run has learned"),
      async [Symbol.asyncDispose]() {},
    }),
  });
}

describe("backupFiles()", () => {
  test("backupFiles() stores a copy that is recorded with size, digest and what tar said", async () => {
    await backup(1, { compress: compress({ program: "gzip", threads: undefined, level: undefined }) });
    expect(failures).toEqual([]);
    const [copy] = await copies();
    expect(copy).toMatchObject({ directory, suffixes: [".gz"], tool: "tar", warnings: [], startedAt: at(1) });
    expect(copy?.rawBytes).toBeGreaterThan(100_000);
    expect(copy?.sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  test("backupFiles() stores data, then manifest, then status", async () => {
    await backup(1);
    const [copy] = await copies();
    const key = copy?.key ?? "";
    const order = ["put " + key, ".json", "replace db7/files-status"].map((mark) =>
      destination.changes.findLastIndex((change) => change === mark || (mark === ".json" && change.endsWith(mark))),
    );
    expect(order).toEqual([...order].sort((left, right) => left - right));
    expect(order).not.toContain(-1);
  });

  test("backupFiles() stores nothing of a source that fails in the middle, and goes on with the next", async () => {
    const good = mkdtempSync(join(scratch, "good-"));
    const real = (await import("../../../src/source/files.ts")).filesSource;
    await backup(1, {
      directories: [directory, good],
      openSource: (path, name, onProgress) =>
        path === directory
          ? failingSource()(path, name, onProgress)
          : real({ directory: path, name, excludes: [], tarOptions: [], idleSeconds: 0, onProgress }),
    });
    expect(failures.map(({ message }) => message)).toEqual(['Cannot run "tar": it was killed']);
    expect((await copies()).map((copy) => copy.directory)).toEqual([good]);
    expect((await objects()).filter((key) => key.includes("source-") || key.endsWith(".unfinished"))).toEqual([]);
  });

  test("backupFiles() is in no doubt after a first run that ended anywhere", async () => {
    for (let change = 0; change < 6; change++) {
      const mortal = new MortalDestination();
      mortal.changesLeft = change;
      const shelf = shelfOn(mortal, "files");
      await backup(1, { shelf }).catch(() => undefined);
      mortal.changesLeft = Number.POSITIVE_INFINITY;
      failures = [];
      await backup(2, { shelf });
      expect(failures).toEqual([]);
      const { status } = await shelf.status.load({ signal });
      expect(status.copies.length).toBeGreaterThan(0);
    }
  });

  test("backupFiles() expires status, then manifest, then data", async () => {
    const retention = { ...SEVEN, daily: 1 };
    await backup(1, { retention });
    const [old] = await copies();
    destination.changes.length = 0;
    await backup(2, { retention });
    expect(await copies()).toHaveLength(1);
    const manifest = `db7/manifest/${(old?.key ?? "").split("/").slice(1).join(".")}.json`;
    const status = destination.changes.lastIndexOf("replace db7/files-status");
    const steps = [
      status,
      destination.changes.indexOf(`remove ${manifest}`),
      destination.changes.indexOf(`remove ${old?.key}`),
    ];
    expect(steps).not.toContain(-1);
    expect(steps).toEqual([...steps].sort((left, right) => left - right));
    expect((await objects()).filter((key) => key.includes("2026-05-01"))).toEqual([]);
  });

  test("backupFiles() expires copies of its own run type only", async () => {
    const retention = { ...SEVEN, hourly: 1, daily: 1 };
    await backup(1, { interval: "hourly" });
    await backup(2, { interval: "hourly" });
    await backup(3, { retention });
    expect((await copies()).map(({ interval }) => interval)).toEqual(["hourly", "hourly", "daily"]);
  });

  test("backupFiles() deletes nothing after a doubtful status, and says so", async () => {
    const retention = { ...SEVEN, daily: 1 };
    await backup(1);
    await backup(2);
    const status = toKey("db7/files-status");
    const { version } = (await destination.readSmall(status, { signal })) ?? {};
    await destination.replaceSmall(status, Buffer.from("{"), { expected: version, signal });
    await backup(3, { retention });
    expect(failures.map(({ code }) => code)).toEqual(["DATA_DAMAGED"]);
    expect(await copies()).toHaveLength(3);
    failures = [];
    await backup(4, { retention });
    expect(failures).toEqual([]);
    expect(await copies()).toHaveLength(1);
  });

  test("backupFiles() deletes nothing when the clock is behind the newest copy, and names the copy after it", async () => {
    await backup(10);
    await backup(5, { retention: { ...SEVEN, daily: 1 } });
    expect(failures.map(({ message }) => message)).toEqual([
      expect.stringContaining("the clock is more than a day behind"),
    ]);
    expect((await copies()).map(({ key }) => /\d{4}[-_\d]+/.exec(key)?.[0])).toEqual([
      expect.stringContaining("2026-05-10_00_00_02"),
      expect.stringContaining("2026-05-10_00_00_03"),
    ]);
  });

  test("backupFiles() warns of an object that is gone, and keeps the others", async () => {
    await backup(1);
    const [gone] = await copies();
    await destination.remove(toKey(gone?.key ?? ""), { signal });
    await backup(2);
    expect(warnings).toEqual([expect.stringContaining("is recorded but not there any more")]);
    expect(failures).toEqual([]);
  });

  test("backupFiles() gives no name a second time, though the first object is gone", async () => {
    await backup(1);
    const [gone] = await copies();
    await destination.remove(toKey(gone?.key ?? ""), { signal });
    await backup(1);
    expect(failures).toEqual([]);
    expect((await copies()).map(({ key }) => /\d{4}[-_\d]+/.exec(key)?.[0])).toEqual([
      expect.stringContaining("2026-05-01_00_00_03"),
    ]);
  });

  test("backupFiles() stores a copy where leftovers may not be looked for, and says so", async () => {
    const message = "Cannot list unfinished uploads: access is denied";
    destination.sweep = () => Promise.reject(new BackupError("NOT_PERMITTED", message));
    await backup(1);
    expect(failures).toEqual([]);
    expect(await copies()).toHaveLength(1);
    expect(warnings).toEqual([`${message}. What interrupted runs left there stays`]);
    destination.sweep = () => Promise.reject(new BackupError("UNREACHABLE", message));
    await expect(backup(2)).rejects.toMatchObject({ code: "UNREACHABLE" });
  });

  test("backupFiles() ends with the reason of an abort, and leaves nothing half", async () => {
    const controller = new AbortController();
    const openSource = failingSource();
    const stopping: FilesBackup["openSource"] = (...words) => {
      controller.abort(new Error("enough"));
      return openSource(...words);
    };
    await expect(backup(1, { openSource: stopping, signal: controller.signal })).rejects.toThrow("enough");
    expect(failures).toEqual([]);
    expect(await copies()).toEqual([]);
  });
});

describe("backupFiles() with a second copy", () => {
  test("backupFiles() keeps it on this host", async () => {
    const kept = join(scratch, "kept");
    const expired: string[] = [];
    const local = {
      open: (key: FilesCopy["key"]) => keepLocal(kept, key),
      expire: async (interval: string) => void expired.push(interval),
      async sweep() {},
    };
    await backup(1, { local });
    expect(failures).toEqual([]);
    expect(readdirSync(join(kept, "db7/daily/files"))).toEqual([(await copies())[0]?.key.split("/").at(-1)]);
    expect(expired).toEqual(["daily"]);
  });

  test("backupFiles() keeps the copy on the destination when the second one fails, and reports that", async () => {
    const tap: Tap = {
      command: { file: "tee", args: ["--", "/dev/full"], tap: true },
      publish: () => expect.fail("a second copy that is cut short must not be published"),
      async [Symbol.asyncDispose]() {},
    };
    await backup(1, { local: { open: async () => tap, async expire() {}, async sweep() {} } });
    expect(failures.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^Cannot keep a second copy on this host: .*No space left on device/),
    ]);
    expect(await copies()).toHaveLength(1);
  });
});

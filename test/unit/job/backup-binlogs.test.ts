import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { keptBinlogs } from "../../../src/cli/kept-copies.ts";
import type { ClosedLog } from "../../../src/domain/binlog-incarnation.ts";
import type { BinlogCopy } from "../../../src/domain/copy.ts";
import { BackupError } from "../../../src/domain/errors.ts";
import { toKey } from "../../../src/domain/key.ts";
import { type BinlogBackup, backupBinlogs, type LogServer } from "../../../src/job/backup-binlogs.ts";
import { expireHostBinlogs } from "../../../src/job/expire-binlogs.ts";
import { compress } from "../../../src/modifier/compress.ts";
import { Manifests } from "../../../src/status/manifests.ts";
import { at, binlogCopy, fullCopy } from "../../support/copies.ts";
import { MemoryDestination } from "../../support/memory-destination.ts";
import { shelfOn } from "../../support/shelves.ts";
import { chunks, keysOf } from "../../support/streams.ts";

const { signal } = new AbortController();

let destination: MemoryDestination;
let warnings: string[];
let failures: BackupError[];

beforeEach(() => {
  destination = new MemoryDestination();
  warnings = [];
  failures = [];
});

function nameOf(number: number): string {
  return `mysql-bin.${String(number).padStart(6, "0")}`;
}

/** A server with these closed logs, each of an hour of a day in May, and one that is open. */
function serverWith(...numbers: readonly number[]): LogServer {
  const logs = [...numbers, (numbers.at(-1) ?? 0) + 1].map((number) => ({ name: nameOf(number), bytes: 1000 }));
  const createdAt = ({ name }: ClosedLog) => at(10, Number(name.slice(-6)));
  return {
    list: () => Promise.resolve({ uuid: undefined, serverId: 1, version: "10.11", logs }),
    holdsTransactions: () => Promise.resolve(false),
    rotate: () => Promise.reject(new Error("nobody asked for that")),
    headOf: (log) =>
      Promise.resolve({ flavour: "mariadb", createdAt: createdAt(log), head: log.name, previousGtid: undefined }),
    openSource: (log) => ({
      name: log.name,
      open: () =>
        Promise.resolve({
          content: chunks("x".repeat(log.bytes)),
          facts: () => ({
            ...factsOf(log),
            createdAt: createdAt(log),
            serverVersion: "10.11",
            gtid: undefined,
            bytes: log.bytes,
            damage: undefined,
            tool: "file",
          }),
          async [Symbol.asyncDispose]() {},
        }),
    }),
  };
}

function factsOf({ name, bytes }: ClosedLog): { readonly log: NonNullable<BinlogCopy["log"]> } {
  const lastAt = at(10, Number(name.slice(-6)) + 1);
  return {
    log: {
      flavour: "mariadb",
      serverId: 1,
      head: name,
      checksums: true,
      firstOffset: 256,
      endOffset: bytes,
      end: "rotated",
      inUse: false,
      transactions: 1,
      lastAt,
      firstCommitAt: undefined,
      lastCommitAt: undefined,
      previousGtid: undefined,
    },
  };
}

async function push(changes: Partial<BinlogBackup> = {}): Promise<boolean> {
  return backupBinlogs({
    shelf: shelfOn(destination, "binlog"),
    local: undefined,
    compress: undefined,
    encrypt: undefined,
    removesExpired: true,
    idleSeconds: 0,
    server: serverWith(1, 2, 3),
    rotateSeconds: 0,
    expireDays: 7,
    forebears: () => Promise.resolve({ copies: [], logs: [], doubtful: false }),
    mysqlCopies: () => Promise.resolve({ copies: [], doubtful: false }),
    progress: () => () => {},
    now: () => at(11),
    log: { debug() {}, info() {}, warn: (text) => warnings.push(text) },
    onFailure: (error) => failures.push(error as BackupError),
    signal,
    ...changes,
  });
}

async function recorded(): Promise<string[]> {
  const { status } = await shelfOn(destination, "binlog").status.load({ signal });
  return status.copies.map(({ key }) => key);
}

function objects(): Promise<string[]> {
  return keysOf(destination.list("db7/binlog/", { signal }));
}

/** What the predecessor left: objects with its suffixes, and records without. */
async function predecessor(numbers: readonly number[], suffixes: readonly string[]): Promise<void> {
  const copies = numbers.map((number) => {
    const key = toKey(`db7/binlog/${nameOf(number)}`);
    return binlogCopy(number, at(10, number), { key, suffixes: [] });
  });
  for (const { key } of copies) {
    for (const suffix of suffixes) await destination.put(toKey(key + suffix), chunks("old"), { signal });
  }
  await shelfOn(destination, "binlog").status.update(() => ({ copies }), { signal });
}

test("backupBinlogs() says when the server keeps no logs, and does nothing", async () => {
  const none = { ...serverWith(), list: () => Promise.resolve(undefined) };
  expect(await push({ server: none })).toBe(false);
  expect(await push()).toBe(true);
});

test("backupBinlogs() goes on behind what the predecessor has archived, by number", async () => {
  await predecessor([998, 999], [".gz"]);
  const server = serverWith(998, 999, 1000, 1001);
  const headOf: LogServer["headOf"] = () =>
    Promise.resolve({ flavour: "mariadb", createdAt: at(10, 999), head: "x", previousGtid: undefined });
  await push({ server: { ...server, headOf }, now: () => at(11) });
  expect(await objects()).toEqual([
    "db7/binlog/mysql-bin.000998.gz",
    "db7/binlog/mysql-bin.000999.gz",
    "db7/binlog/mysql-bin.001000",
    "db7/binlog/mysql-bin.001001",
  ]);
  expect([warnings, failures]).toEqual([[], []]);
});

test.each([[[".gz"]], [[".bz.gpg"]], [[".gz", ".gz.gpg"]], [[]]])(
  "backupBinlogs() expires what the predecessor recorded, with objects %j",
  async (suffixes) => {
    await predecessor([1, 2], suffixes);
    await push({ server: serverWith(1, 2, 3), now: () => at(30) });
    expect(await objects()).toEqual(["db7/binlog/mysql-bin.000003"]);
    expect(await recorded()).toEqual(["db7/binlog/mysql-bin.000003"]);
    // Which of two objects is the log nobody knows.
    expect(failures).toHaveLength(suffixes.length > 1 ? 1 : 0);
  },
);

test("backupBinlogs() keeps what a copy of the server needs, however old", async () => {
  await push();
  const copy = fullCopy(at(10, 2, 30), { finishedAt: at(10, 2, 31), binlog: { file: nameOf(2), offset: 500 } });
  await push({ now: () => at(30), mysqlCopies: () => Promise.resolve({ copies: [copy], doubtful: false }) });
  expect(await objects()).toEqual([2, 3].map((number) => `db7/binlog/${nameOf(number)}`));
});

test("backupBinlogs() expires nothing when the list of the server's copies cannot be trusted", async () => {
  await push();
  await push({ now: () => at(30), mysqlCopies: () => Promise.resolve({ copies: [], doubtful: true }) });
  expect(await objects()).toHaveLength(3);
});

test("expireHostBinlogs() removes in another host's stead what that may not remove itself", async () => {
  await push();
  const kept = await objects();
  const late = () => at(25);
  await push({ removesExpired: false, now: late });
  expect(await objects()).toEqual(kept);
  const shelf = shelfOn(destination, "binlog");
  const log = { debug() {}, info() {}, warn: (text: string) => warnings.push(text) };
  const expiry = { shelf, removesExpired: true, expireDays: 7, now: late, log, signal };
  await expireHostBinlogs({ ...expiry, forebears: () => Promise.reject(new Error("not asked")) }, { copies: [] });
  // The newest tells where the archive goes on.
  expect(await objects()).toEqual([`db7/binlog/${nameOf(3)}`]);
  expect(await recorded()).toEqual([`db7/binlog/${nameOf(3)}`]);
  expect([failures, warnings]).toEqual([[], []]);
});

test("backupBinlogs() does not copy again what it has expired", async () => {
  await push();
  await push({ now: () => at(30) });
  expect(await objects()).toEqual([`db7/binlog/${nameOf(3)}`]);
  await push({ now: () => at(30) });
  expect(await objects()).toEqual([`db7/binlog/${nameOf(3)}`]);
});

test("backupBinlogs() copies again what is gone from the destination while the server has it", async () => {
  await push();
  await destination.remove(toKey(`db7/binlog/${nameOf(2)}`), { signal });
  await push({ compress: compress({ program: "gzip", level: undefined, threads: undefined }) });
  expect(await objects()).toEqual(
    [1, 2, 3].map((number) => `db7/binlog/${nameOf(number)}${number === 2 ? ".gz" : ""}`),
  );
  expect(await recorded()).toHaveLength(3);
});

test("backupBinlogs() goes on where a failure ended the run before, and takes nothing half", async () => {
  const server = serverWith(1, 2, 3);
  const failing: LogServer = {
    ...server,
    openSource(log, onProgress) {
      if (log.name !== nameOf(2)) return server.openSource(log, onProgress);
      return { name: log.name, open: () => Promise.reject(new BackupError("UNREACHABLE", "Cannot connect")) };
    },
  };
  await expect(push({ server: failing })).rejects.toMatchObject({ code: "UNREACHABLE" });
  expect(await recorded()).toEqual([`db7/binlog/${nameOf(1)}`]);
  await push();
  expect(await recorded()).toHaveLength(3);
});

test("backupBinlogs() takes the place of what a killed run left half", async () => {
  const key = toKey(`db7/binlog/${nameOf(1)}`);
  await push({ server: serverWith() });
  await new Manifests(destination).begin(key, { signal });
  await destination.put(key, chunks("half"), { signal });
  await push({ now: () => new Date(Date.now() + 60_000), expireDays: 99_999 });
  expect(await recorded()).toEqual([1, 2, 3].map((number) => `db7/binlog/${nameOf(number)}`));
  expect(warnings).toEqual([]);
});

test("backupBinlogs() keeps second copies on this host for as many days", async () => {
  const root = mkdtempSync(join(tmpdir(), "kept-binlogs-"));
  try {
    const local = keptBinlogs(root, "db7");
    await push({ local });
    expect(readdirSync(join(root, "db7", "binlog"))).toEqual([1, 2, 3].map(nameOf));
    const copy = fullCopy(at(10, 1, 30), { finishedAt: at(10, 1, 31), binlog: { file: nameOf(1), offset: 500 } });
    await push({
      local,
      now: () => at(17, 2, 30),
      mysqlCopies: () => Promise.resolve({ copies: [copy], doubtful: false }),
    });
    expect(readdirSync(join(root, "db7", "binlog"))).toEqual([nameOf(3)]);
    expect(await objects()).toHaveLength(3);
  } finally {
    rmSync(root, { recursive: true });
  }
});

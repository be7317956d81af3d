import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { Destination } from "../../../src/destination/destination.ts";
import { openLocal } from "../../../src/destination/local.ts";
import type { MysqlCopy } from "../../../src/domain/copy.ts";
import type { Key } from "../../../src/domain/key.ts";
import { planRestore } from "../../../src/domain/restore-plan.ts";
import { openRestorer } from "../../../src/engine/open.ts";
import { listCopies } from "../../../src/job/list.ts";
import { RestoreCache } from "../../../src/job/restore-cache.ts";
import { type RestoredFacts, type RestoreTarget, restoreMysql } from "../../../src/job/restore-mysql.ts";
import type { Shelf } from "../../../src/job/shelf.ts";
import { openVerifyDirectory } from "../../../src/job/verify-directory.ts";
import { type Level, type VerifiedMysql, verifyMysql } from "../../../src/job/verify-mysql.ts";
import { explainDecoding, openDecoding } from "../../../src/modifier/decode.ts";
import { at } from "../../support/copies.ts";
import { type Streamed, shelve, streamCopy } from "../../support/mysql-copies.ts";
import { checksums } from "../../support/servers/load.ts";
import { hasMariadb, type Mariadb, startMariadb } from "../../support/servers/mariadb.ts";
import { shelfOn } from "../../support/shelves.ts";

const { signal } = new AbortController();
const BINARIES = { xtrabackup: undefined, xbstream: undefined };
const MEMORY = 128 * 1024 ** 2;
const CONFIG = new Map([
  ["/etc/mysql/my.cnf", "[mysqld]\nuser=mysql\n"],
  ["/../../evil.cnf", "x"],
]);

/** The same server, and its tables at three moments. */
type Taken = { readonly streams: readonly Streamed[]; readonly sums: readonly ReadonlyMap<string, string>[] };

let taken: Taken;
let scratch: string;
let destination: Destination;
let shelf: Shelf<"mysql">;

function statusOf(server: Mariadb, name: string): Promise<string> {
  return server.sql(`select variable_value from information_schema.global_status where variable_name = '${name}'`);
}

const dirtyPages = (server: Mariadb) => statusOf(server, "Innodb_buffer_pool_pages_dirty");
const lastCheckpoint = (server: Mariadb) => statusOf(server, "Innodb_lsn_last_checkpoint");

async function fill(server: Mariadb, round: number): Promise<void> {
  const rows = `select seq + ${round * 100_000}, md5(seq * ${round + 1}), repeat(char(65 + seq mod 26), 300) from seq_1_to_3000`;
  const before = await lastCheckpoint(server);
  await server.sql(`
    create database if not exists shop; use shop;
    create table if not exists orders (id int primary key, hash char(32), note varchar(400)) engine=innodb;
    create table round_${round} (id int primary key, v text) engine=innodb;
    insert into orders ${rows}; insert into round_${round} values (1, 'round ${round}');
    update orders set note = 'seen in ${round}' where id mod 7 = ${round};
    set global innodb_max_dirty_pages_pct_lwm = 0, innodb_max_dirty_pages_pct = 0;`);
  // A copy ends at the last checkpoint; without one after each change all of them would end at the same place.
  await vi.waitUntil(async () => (await dirtyPages(server)) === "0" && (await lastCheckpoint(server)) !== before, {
    timeout: 20_000,
  });
}

/** Start a server on a restored directory and read its tables. */
async function booted(datadir: string): Promise<ReadonlyMap<string, string>> {
  const server = await startMariadb({ datadir });
  try {
    return await checksums(server);
  } finally {
    await server.stop();
  }
}

function ordinary(sums: ReadonlyMap<string, string> | undefined): Record<string, string> {
  return Object.fromEntries([...(sums ?? [])].filter(([table]) => table.includes("shop")));
}

beforeAll(async () => {
  if (!hasMariadb()) return;
  const server = await startMariadb();
  try {
    const streams: Streamed[] = [];
    const sums: ReadonlyMap<string, string>[] = [];
    for (const round of [0, 1, 2]) {
      await fill(server, round);
      sums.push(await checksums(server));
      streams.push(streamCopy(server, { fromLsn: streams.at(-1)?.toLsn }));
    }
    taken = { streams, sums };
  } finally {
    await server.stop();
  }
}, 120_000);

beforeEach(async () => {
  scratch = mkdtempSync(join(tmpdir(), "restore-mysql-"));
  chmodSync(scratch, 0o755);
  destination = await openLocal({ kind: "local", directory: join(scratch, "copies") });
  shelf = shelfOn(destination, "mysql");
});
afterEach(async () => {
  await destination[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true, force: true });
});
afterAll(() => {
  taken = { streams: [], sums: [] };
});

type Shelving = { readonly isOld?: boolean; readonly upTo?: number };

/** Record the full copy and the increments on it. */
async function chain({ isOld = false, upTo = 2 }: Shelving = {}): Promise<MysqlCopy[]> {
  const copies: MysqlCopy[] = [];
  for (const [index, streamed] of taken.streams.slice(0, upTo + 1).entries()) {
    const parent = copies.at(-1)?.key;
    copies.push(
      await shelve(shelf, streamed, {
        takenAt: at(1, index),
        isOld,
        config: CONFIG,
        ...(parent !== undefined && { parent }),
      }),
    );
  }
  return copies;
}

const openPart = async (copy: MysqlCopy) => {
  const decoding = await openDecoding(
    { name: copy.key, suffixes: copy.suffixes, head: new Uint8Array() },
    { gpg: undefined, signal },
  );
  return {
    decoders: decoding.decoders,
    explain: (error: unknown) => explainDecoding(error, copy.key, decoding.decoders),
    destination,
    stored: copy,
    [Symbol.asyncDispose]: () => decoding[Symbol.asyncDispose](),
  };
};

async function candidates() {
  const { listed } = await listCopies(destination, { host: "db7", media: "mysql", signal });
  return listed.flatMap(({ copy, ...rest }) => (copy.media === "mysql" ? [{ ...rest, copy }] : []));
}

const warnings: string[] = [];
const log = { debug() {}, info() {}, warn: (text: string) => void warnings.push(text) };

const TOOLS = {
  openPart,
  openRestorer: (copy: MysqlCopy) => openRestorer(copy, { binaries: BINARIES, signal }),
  memoryBytes: MEMORY,
  idleSeconds: 0,
  signal,
} as const;

async function restore(copy: MysqlCopy, to: Partial<RestoreTarget> = {}, cache?: RestoreCache): Promise<RestoredFacts> {
  const plan = planRestore(copy, await candidates());
  return restoreMysql({ ...TOOLS, plan, cache }, { target: join(scratch, "target"), withConfig: true, ...to });
}

async function verify(copy: MysqlCopy, level: Level, dst?: string): Promise<VerifiedMysql> {
  return verifyMysql(copy, {
    ...TOOLS,
    shelf,
    candidates: await candidates(),
    level,
    listTar: { file: "tar", args: ["-t", "-f", "-"] },
    openDirectory: () => openVerifyDirectory(dst),
    boot: async () => [],
  });
}

function objectOf(key: Key): string {
  return join(scratch, "copies", key);
}

/** What is in the scratch directory besides the copies. */
function leftovers(): string[] {
  return readdirSync(scratch).filter((name) => name !== "copies");
}

function digestOf(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

async function recordOf(key: Key) {
  return (await shelf.status.load({ signal })).status.copies.find((copy) => copy.key === key)?.verified;
}

describe.skipIf(!hasMariadb())("restoreMysql()", () => {
  test.each([0, 1, 2])("restoreMysql() brings back each moment of a chain: %i increments", async (index) => {
    const copies = await chain();
    const facts = await restore(copies[index]!);
    const target = join(scratch, "target");
    expect(statSync(target).mode & 0o777).toBe(0o750);
    expect(readFileSync(join(target, "_config/etc/mysql/my.cnf"), "utf8")).toBe(CONFIG.get("/etc/mysql/my.cnf"));
    expect(statSync(join(target, "_config")).mode & 0o777).toBe(0o700);
    expect(facts).toMatchObject({
      hasConfig: true,
      galera: undefined,
      warnings: [expect.stringContaining("evil.cnf")],
    });
    expect(leftovers()).toEqual(["target"]);
    rmSync(join(target, "_config"), { recursive: true });
    expect(ordinary(await booted(target))).toEqual(ordinary(taken.sums[index]));
  });

  test("restoreMysql() restores copies of the predecessor on their recorded parent", async () => {
    const [, increment] = await chain({ isOld: true, upTo: 1 });
    await shelve(shelf, taken.streams[0]!, { takenAt: at(2), isOld: true });
    await restore(increment!, { withConfig: false });
    expect(ordinary(await booted(join(scratch, "target")))).toEqual(ordinary(taken.sums[1]));
  });

  test("restoreMysql() fills an empty directory, and refuses one that is not", async () => {
    const [full] = await chain({ upTo: 0 });
    const target = join(scratch, "target");
    mkdirSync(join(target, "lost+found"), { recursive: true });
    await restore(full!, { withConfig: false });
    expect(existsSync(join(target, "ibdata1"))).toBe(true);
    await expect(restore(full!)).rejects.toMatchObject({ code: "USAGE" });
  });

  test.each([
    ["cut by one byte", (bytes: Buffer) => bytes.subarray(0, -1)],
    ["cut in half", (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
    ["of one flipped bit", (bytes: Buffer) => flip(bytes, Math.floor(bytes.length / 3))],
    ["with a flipped last byte", (bytes: Buffer) => flip(bytes, bytes.length - 1)],
    ["empty", () => Buffer.alloc(0)],
    ["another one", () => execFileSync("zstd", ["-q", "-c"], { input: taken.streams[2]!.raw, maxBuffer: 1024 ** 3 })],
  ])("restoreMysql() leaves nothing of a chain whose middle is %s", async (_what, damage) => {
    const [, middle, last] = await chain();
    writeFileSync(objectOf(middle!.key), damage(readFileSync(objectOf(middle!.key))));
    await expect(restore(last!)).rejects.toMatchObject({ code: "DATA_DAMAGED", key: middle!.key });
    expect(leftovers()).toEqual([]);
  });

  test("restoreMysql() finds damage of a copy that was recorded without a digest", async () => {
    const [full] = await chain({ isOld: true, upTo: 0 });
    const raw = taken.streams[0]!.raw;
    const boundary = raw.lastIndexOf(Buffer.from("XBSTCK01"), raw.length - 200);
    for (const bytes of [raw.subarray(0, boundary), raw.subarray(0, raw.length / 2), flip(raw, raw.length / 2)]) {
      writeFileSync(objectOf(full!.key), execFileSync("zstd", ["-q", "-c"], { input: bytes, maxBuffer: 1024 ** 3 }));
      await expect(restore(full!)).rejects.toMatchObject({ code: "DATA_DAMAGED", key: full!.key });
      expect(leftovers()).toEqual([]);
    }
  });

  test("restoreMysql() takes no half of a stream for a whole, also when a digest of that half was recorded", async () => {
    const whole = taken.streams[0]!;
    const info = whole.raw.lastIndexOf(Buffer.from("P\x0f\0\0\0xtrabackup_info", "latin1"));
    const half = { ...whole, raw: whole.raw.subarray(0, info - 9) };
    const copy = await shelve(shelf, half, { takenAt: at(1) });
    await expect(restore(copy)).rejects.toMatchObject({
      code: "DATA_DAMAGED",
      message: expect.stringContaining("it ends before its last file") as string,
    });
    expect(leftovers()).toEqual([]);
  });

  test("restoreMysql() refuses increments of the predecessor that were swapped", async () => {
    const [, first, second] = await chain({ isOld: true });
    const [one, two] = [readFileSync(objectOf(first!.key)), readFileSync(objectOf(second!.key))];
    writeFileSync(objectOf(first!.key), two);
    writeFileSync(objectOf(second!.key), one);
    await expect(restore(second!)).rejects.toMatchObject({ code: "DATA_DAMAGED", key: first!.key });
    expect(leftovers()).toEqual([]);
  });

  test("restoreMysql() names the parent whose object is gone, before it fetches anything", async () => {
    const [full, , last] = await chain();
    rmSync(objectOf(full!.key));
    await expect(restore(last!)).rejects.toMatchObject({ code: "NOT_FOUND", key: full!.key });
  });

  test("restoreMysql() ends when it is told to, and leaves nothing", async () => {
    const [full] = await chain({ upTo: 0 });
    const controller = new AbortController();
    const plan = planRestore(full!, await candidates());
    const onProgress = () => controller.abort(new Error("enough"));
    const options = { ...TOOLS, plan, cache: undefined, signal: controller.signal, onProgress };
    await expect(restoreMysql(options, { target: join(scratch, "target"), withConfig: true })).rejects.toThrow(
      "enough",
    );
    expect(leftovers()).toEqual([]);
  });
});

function flip(bytes: Buffer, index: number): Buffer {
  const changed = Buffer.from(bytes);
  const at = Math.floor(index);
  changed[at] = (changed[at] ?? 0) ^ 0x10;
  return changed;
}

describe.skipIf(!hasMariadb())("RestoreCache", () => {
  let cache: RestoreCache;
  let directory: string;

  beforeEach(async () => {
    directory = join(scratch, "cache");
    mkdirSync(directory);
    cache = await RestoreCache.at(directory, { log, signal });
    warnings.length = 0;
  });

  test("RestoreCache gives back what was prepared, and a base to other increments", async () => {
    const [full, first, second] = await chain();
    await restore(first!, { target: join(scratch, "one"), withConfig: false }, cache);
    expect(
      readdirSync(directory)
        .map((name) => name.replace(/\.[0-9a-f]{16}$/, ""))
        .sort(),
    ).toEqual([`mysql-2026-05-01_00_00_02.xbstream.zst.base`, `mysql-2026-05-01_01_00_02.xbstream.zst.prepared`]);
    rmSync(objectOf(full!.key));
    const withoutFull = (await candidates()).map((each) => ({ ...each, doubt: undefined }));
    const plan = planRestore(second!, withoutFull);
    await restoreMysql({ ...TOOLS, plan, cache }, { target: join(scratch, "two"), withConfig: false });
    expect(ordinary(await booted(join(scratch, "two")))).toEqual(ordinary(taken.sums[2]));
    const again = planRestore(first!, withoutFull);
    await restoreMysql({ ...TOOLS, plan: again, cache }, { target: join(scratch, "three"), withConfig: false });
    expect(ordinary(await booted(join(scratch, "three")))).toEqual(ordinary(taken.sums[1]));
    expect(warnings).toEqual([]);
  });

  test("RestoreCache keeps nothing of a restore that failed", async () => {
    const [, first] = await chain({ upTo: 1 });
    truncateSync(objectOf(first!.key), 1000);
    await expect(
      restoreMysql(
        {
          ...TOOLS,
          plan: planRestore(
            first!,
            (await candidates()).map((each) => ({ ...each, doubt: undefined })),
          ),
          cache,
        },
        { target: join(scratch, "target"), withConfig: false },
      ),
    ).rejects.toMatchObject({ code: "DATA_DAMAGED" });
    expect(readdirSync(directory)).toEqual([]);
  });

  test("RestoreCache passes over an entry that is incomplete, and replaces it", async () => {
    const [full] = await chain({ upTo: 0 });
    await restore(full!, { target: join(scratch, "one"), withConfig: false }, cache);
    const [entry = ""] = readdirSync(directory);
    truncateSync(join(directory, entry, "data", "ibdata1"), 100);
    await restore(full!, { target: join(scratch, "two"), withConfig: false }, cache);
    expect(warnings).toEqual([expect.stringContaining("is not as it was made")]);
    expect(digestOf(join(directory, entry, "data", "ibdata1"))).toBe(digestOf(join(scratch, "two", "ibdata1")));
  });

  test("RestoreCache wants a directory that is there", async () => {
    await expect(RestoreCache.at(join(scratch, "nowhere"), { log, signal })).rejects.toMatchObject({ code: "USAGE" });
  });
});

describe.skipIf(!hasMariadb())("verifyMysql()", () => {
  test.each(["checksum", "prepare"] as const)("verifyMysql() records that a copy is good: %s", async (level) => {
    const copies = await chain();
    expect(await verify(copies[2]!, level)).toMatchObject({ error: undefined, culprit: undefined });
    expect(await recordOf(copies[2]!.key)).toMatchObject({ ok: true, level });
    expect(await recordOf(copies[0]!.key)).toBeUndefined();
    expect(leftovers()).toEqual([]);
  });

  test("verifyMysql() blames a damaged parent, and marks what needs it", async () => {
    const [full, first, second] = await chain();
    writeFileSync(objectOf(first!.key), flip(readFileSync(objectOf(first!.key)), 5000));
    const found = await verify(second!, "prepare");
    expect(found).toMatchObject({ culprit: first!.key, error: { code: "DATA_DAMAGED" } });
    expect(await recordOf(full!.key)).toBeUndefined();
    expect(await recordOf(first!.key)).toMatchObject({ ok: false });
    expect(await recordOf(second!.key)).toMatchObject({ ok: false });
  });

  test("verifyMysql() at checksum reads the copy itself only, and finds what is wrong with it", async () => {
    const [full, first] = await chain({ upTo: 1, isOld: true });
    const raw = taken.streams[0]!.raw.subarray(0, -100);
    writeFileSync(objectOf(full!.key), execFileSync("zstd", ["-q", "-c"], { input: raw, maxBuffer: 1024 ** 3 }));
    expect(await verify(first!, "checksum")).toMatchObject({ error: undefined });
    expect(await verify(full!, "checksum")).toMatchObject({ culprit: full!.key, error: { code: "DATA_DAMAGED" } });
  });

  test("verifyMysql() does not let a reading hide what a deeper verify found", async () => {
    const [full] = await chain({ upTo: 0 });
    const verified = { at: at(3), ok: false, level: "boot" };
    await shelf.status.update((now) => ({ copies: now.copies.map((copy) => ({ ...copy, verified })) }), { signal });
    expect((await verify(full!, "checksum")).error).toBeUndefined();
    expect(await recordOf(full!.key)).toMatchObject({ ok: false, level: "boot" });
  });

  test("verifyMysql() says nothing about a copy that no tool here can prepare", async () => {
    const [full] = await chain({ upTo: 0 });
    const old = { serverVersion: "10.3.39-MariaDB", toolVersion: "10.3.39" };
    await shelf.status.update((now) => ({ copies: now.copies.map((copy) => ({ ...copy, ...old })) }), { signal });
    expect((await verify(full!, "prepare")).error).toMatchObject({ code: "CONFIG_INVALID" });
    expect(await recordOf(full!.key)).toBeUndefined();
  });

  test("verifyMysql() removes what it made in --dst, and nothing else", async () => {
    const [full] = await chain({ upTo: 0 });
    mkdirSync(join(scratch, "given"));
    expect((await verify(full!, "prepare", join(scratch, "given"))).error).toBeUndefined();
    expect((await verify(full!, "prepare", join(scratch, "made", "below"))).error).toBeUndefined();
    expect(leftovers()).toEqual(["given"]);
    expect(readdirSync(join(scratch, "given"))).toEqual([]);
    writeFileSync(join(scratch, "given", "mine"), "");
    expect((await verify(full!, "prepare", join(scratch, "given"))).error).toMatchObject({ code: "USAGE" });
    expect(readdirSync(join(scratch, "given"))).toEqual(["mine"]);
  });
});

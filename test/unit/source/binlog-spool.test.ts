import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BinlogSpool, readStreamState } from "../../../src/source/binlog-spool.ts";
import { format, query } from "../../support/binlog-events.ts";

const MAGIC = Buffer.from([0xfe, 0x62, 0x69, 0x6e]);
const FIRST = format();
const SECOND = query(4 + FIRST.length);
const THIRD = query(4 + FIRST.length + SECOND.length);
const WHOLE = Buffer.concat([MAGIC, FIRST, SECOND, THIRD]);

let root: string;
let spool: BinlogSpool;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "spool-"));
  spool = new BinlogSpool(join(root, "a", "spool"), 1000);
  await spool.prepare();
});
afterEach(async () => {
  await spool[Symbol.asyncDispose]();
  rmSync(root, { recursive: true });
});

function path(name: string): string {
  return join(spool.directory, name);
}

test("a spool is for nobody else, and holds what was appended", async () => {
  expect(statSync(spool.directory).mode & 0o777).toBe(0o700);
  await spool.begin("binlog.000001");
  await spool.append([FIRST, SECOND]);
  await spool.append([THIRD]);
  await spool.sync();
  expect(readFileSync(path("binlog.000001")).equals(WHOLE)).toBe(true);
  expect(statSync(path("binlog.000001")).mode & 0o777).toBe(0o600);
  expect(spool.position).toEqual({ name: "binlog.000001", bytes: WHOLE.length });
});

test("tail() finds the last whole event, whatever lies behind it; resume() takes that away", async () => {
  await spool.begin("binlog.000001");
  await spool.append([FIRST, SECOND, THIRD]);
  for (const bytes of [WHOLE.length - 1, WHOLE.length - THIRD.length + 3]) {
    truncateSync(path("binlog.000001"), bytes);
    const tail = await spool.tail();
    expect(tail).toMatchObject({ name: "binlog.000001", bytes: WHOLE.length - THIRD.length, isClosed: false });
    expect(tail?.first?.equals(FIRST)).toBe(true);
    expect(tail?.last?.equals(SECOND)).toBe(true);
  }
  appendFileSync(path("binlog.000001"), "\0 of a crash".repeat(100));
  const tail = await spool.tail();
  if (tail === undefined) throw new Error("there is a log");
  await spool.resume(tail);
  await spool.append([THIRD]);
  expect(readFileSync(path("binlog.000001")).equals(WHOLE)).toBe(true);
});

test("tail() takes a log without events for one that begins", async () => {
  expect(await spool.tail()).toBeUndefined();
  await spool.begin("binlog.000007");
  expect(await spool.tail()).toMatchObject({ name: "binlog.000007", bytes: 4, first: undefined, last: undefined });
});

test("append() refuses more than may wait, as long as something can be archived, and goes on afterwards", async () => {
  const large = query(4 + FIRST.length, "x".repeat(60));
  await spool.begin("binlog.000009");
  await spool.append([FIRST, large]);
  const behind = 4 + FIRST.length + large.length;
  const next = query(behind, "y".repeat(60));
  await spool.append([next]);
  // Nothing would be gained by waiting.
  expect(spool.position?.bytes).toBeGreaterThan(1000);
  await spool.append([query(behind + next.length)]);
  await spool.begin("binlog.000010");
  await expect(spool.append([FIRST])).rejects.toMatchObject({ code: "NO_SPACE" });
  expect(spool.position).toEqual({ name: "binlog.000010", bytes: 4 });
  await spool.remove(["binlog.000009"]);
  await spool.append([FIRST]);
  expect((await spool.logs()).map(({ name }) => name)).toEqual(["binlog.000010"]);
});

test("logs() are in the order of their numbers, and nothing else is one", async () => {
  for (const name of ["binlog.999999", "binlog.1000000"]) await spool.begin(name);
  await spool.saveServer({ uuid: "u", serverId: 1, version: "8.4.0" });
  expect((await spool.closed()).map(({ name }) => name)).toEqual(["binlog.999999"]);
  expect(await spool.server()).toEqual({ uuid: "u", serverId: 1, version: "8.4.0" });
});

test("setAside() keeps what it puts away", async () => {
  const now = new Date("2026-11-21T12:00:00Z");
  await spool.begin("binlog.000001");
  await spool.begin("binlog.000002");
  const aside = await spool.setAside({ isAll: false, now });
  expect(readdirSync(aside)).toEqual(["binlog.000002"]);
  expect((await spool.logs()).map(({ name }) => name)).toEqual(["binlog.000001"]);
});

test("dropNewest() leaves what is complete", async () => {
  for (const number of [1, 2]) await spool.begin(`binlog.00000${number}`);
  await spool.dropNewest();
  expect((await spool.logs()).map(({ name }) => name)).toEqual(["binlog.000001"]);
  expect(spool.position).toBeUndefined();
  await spool.begin("binlog.000002");
  expect(await spool.tail()).toMatchObject({ name: "binlog.000002", isBegun: false });
});

test("readStreamState() reads what was saved, and nothing where no stream ever ran", async () => {
  expect(await readStreamState(spool.directory)).toBeUndefined();
  const state = { pid: 1, state: "waiting", log: undefined, bytes: 0 } as const;
  await spool.saveState({ ...state, lastEventAt: undefined, heardAt: undefined, failure: "no" });
  expect(await readStreamState(spool.directory)).toMatchObject({ pid: 1, state: "waiting", failure: "no" });
});

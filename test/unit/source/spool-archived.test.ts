import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { BinlogCopy } from "../../../src/domain/copy.ts";
import { scanBinlog } from "../../../src/mysql/binlog-events.ts";
import { BinlogSpool } from "../../../src/source/binlog-spool.ts";
import { heldOf, sweepAside } from "../../../src/source/spool-archived.ts";
import { format, query } from "../../support/binlog-events.ts";
import { at, binlogCopy } from "../../support/copies.ts";

const FIRST = format();
const SECOND = query(4 + FIRST.length);
const BYTES = Buffer.concat([Buffer.from([0xfe, 0x62, 0x69, 0x6e]), FIRST, SECOND]);
const LOG = { name: "binlog.000004", bytes: BYTES.length };

let root: string;
let spool: BinlogSpool;
let archived: BinlogCopy;

/** A spool with two logs, and what an archive records of the first. */
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "spool-"));
  spool = new BinlogSpool(root, 10_000);
  await spool.saveServer({ uuid: "u", serverId: 1, version: "8.4.0" });
  for (const name of [LOG.name, "binlog.000005"]) {
    await spool.begin(name);
    await spool.append([FIRST, SECOND]);
  }
  const { bytes, gtid, log } = await scanBinlog(once(), LOG.name);
  archived = binlogCopy(4, at(1), { name: LOG.name, rawBytes: bytes, gtid, log });
});
afterEach(async () => {
  await spool[Symbol.asyncDispose]();
  rmSync(root, { recursive: true });
});

async function* once(): AsyncGenerator<Uint8Array, void> {
  yield BYTES;
}

function changed(facts: Partial<NonNullable<BinlogCopy["log"]>>, more: Partial<BinlogCopy> = {}): BinlogCopy {
  if (archived.log === undefined) throw new Error("it was read");
  return { ...archived, ...more, log: { ...archived.log, ...facts } };
}

test("heldOf() names a log only where name, size and beginning are the same", async () => {
  expect(await heldOf(spool, [LOG], [archived])).toEqual({ whole: [LOG.name], longer: [] });
  expect(await heldOf(spool, [LOG], [changed({}, { rawBytes: LOG.bytes + 1 })])).toEqual({
    whole: [],
    longer: [LOG.name],
  });
  for (const other of [changed({ head: "other" }), changed({}, { rawBytes: LOG.bytes - 1 })]) {
    expect(await heldOf(spool, [LOG], [other])).toEqual({ whole: [], longer: [] });
  }
});

test("sweepAside() removes what is archived, and the directory when nothing is left in it", async () => {
  const directory = await spool.setAside({ isAll: true, now: new Date() });
  expect(await sweepAside(spool, [archived])).toEqual([join(directory, LOG.name)]);
  expect(readdirSync(directory).sort()).toEqual(["binlog.000005", "server.json"]);
  expect(await sweepAside(spool, [{ ...archived, name: "binlog.000005" }])).toEqual([join(directory, "binlog.000005")]);
  expect(existsSync(directory)).toBe(false);
});

test("sweepAside() keeps what is nowhere else: what ends otherwise there, or is damaged", async () => {
  const directory = await spool.setAside({ isAll: true, now: new Date() });
  const verified = { at: at(2), ok: false, level: "checksum" } as const;
  const others = [
    changed({ lastAt: at(9) }),
    changed({ transactions: 9 }),
    changed({ endOffset: 9 }),
    changed({ head: "other" }),
    changed({}, { gtid: "0-1-9" }),
    changed({}, { rawBytes: LOG.bytes + 1 }),
    changed({}, { verified }),
  ];
  expect(await sweepAside(spool, others)).toEqual([]);
  expect(readdirSync(directory).length).toBe(3);
});

test("what is put aside says whose it is, as a spool of its own", async () => {
  await spool.setAside({ isAll: true, now: new Date() });
  const [aside] = await spool.aside();
  expect(await aside?.server()).toEqual({ uuid: "u", serverId: 1, version: "8.4.0" });
  expect((await aside?.logs())?.map(({ name }) => name)).toEqual([LOG.name, "binlog.000005"]);
});

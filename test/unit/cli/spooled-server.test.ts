import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { spooledServer } from "../../../src/cli/spooled-server.ts";
import { BackupError } from "../../../src/domain/errors.ts";
import type { LogServer } from "../../../src/job/backup-binlogs.ts";
import { BinlogSpool } from "../../../src/source/binlog-spool.ts";
import { format, query } from "../../support/binlog-events.ts";
import { collect } from "../../support/streams.ts";

const { signal } = new AbortController();
const FIRST = format();
const BYTES = 4 + FIRST.length + query(4 + FIRST.length).length;

let root: string;
let spool: BinlogSpool;

/** A spool with three logs, the last of which grows. */
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "spool-"));
  spool = new BinlogSpool(root, 10_000);
  await spool.saveServer({ uuid: "u", serverId: 1, version: "8.4.0" });
  for (const number of [4, 5, 6]) {
    await spool.begin(`binlog.00000${number}`);
    await spool.append([FIRST, query(4 + FIRST.length)]);
  }
});
afterEach(async () => {
  await spool[Symbol.asyncDispose]();
  rmSync(root, { recursive: true });
});

/** A server that has these logs, and is asked for no bytes of them. */
function serverWith(sizes: Readonly<Record<number, number>>, uuid = "u"): LogServer {
  const logs = Object.entries(sizes).map(([number, bytes]) => ({ name: `binlog.00000${number}`, bytes }));
  const refused = () => Promise.reject(new Error("the server was asked"));
  return {
    list: () => Promise.resolve({ uuid, serverId: 1, version: "8.4.0", logs }),
    holdsTransactions: () => Promise.resolve(true),
    rotate: refused,
    headOf: refused,
    openSource: ({ name }) => ({ name, open: refused }),
  };
}

async function namesOf(server: LogServer): Promise<string[] | undefined> {
  return (await server.list())?.logs.map(({ name }) => name.slice(-1));
}

test("list() adds what the server has purged, and nothing that it has", async () => {
  expect(await namesOf(spooledServer(serverWith({ 5: BYTES, 6: 10 }), spool))).toEqual(["4", "5", "6"]);
  expect(await namesOf(spooledServer(serverWith({ 3: 10, 4: BYTES }), spool))).toEqual(["3", "4"]);
});

test("list() adds nothing of another server", async () => {
  expect(await namesOf(spooledServer(serverWith({ 6: 10 }, "v"), spool))).toEqual(["6"]);
});

test("list() says what the spool holds when the server cannot be reached, and nothing is asked of it then", async () => {
  const down = new BackupError("UNREACHABLE", "Cannot connect");
  const server = spooledServer({ ...serverWith({}), list: () => Promise.reject(down) }, spool);
  expect(await namesOf(server)).toEqual(["4", "5", "6"]);
  expect(await server.holdsTransactions({ name: "binlog.000006", bytes: BYTES })).toBe(false);
  await spool.remove(["binlog.000004", "binlog.000005"]);
  await expect(server.list()).rejects.toBe(down);
});

test("openSource() and headOf() read the spool where it has the log as large as the server says", async () => {
  const server = spooledServer(serverWith({ 4: BYTES, 5: BYTES + 1, 6: 10 }), spool);
  await server.list();
  const log = { name: "binlog.000004", bytes: BYTES };
  await using capture = await server.openSource(log, () => {}).open({ signal });
  expect((await collect(capture.content)).length).toBe(BYTES);
  expect(await server.headOf(log)).toMatchObject({ flavour: "mysql", createdAt: new Date(1_000_000) });
  const other = { name: "binlog.000005", bytes: BYTES + 1 };
  await expect(server.openSource(other, () => {}).open({ signal })).rejects.toThrow("the server was asked");
  // How old the open one is decides whether it is closed.
  expect(await server.headOf({ name: "binlog.000006", bytes: 10 })).toMatchObject({ createdAt: new Date(1_000_000) });
});

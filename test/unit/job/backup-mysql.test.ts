import { describe, expect, test } from "vitest";
import type { MysqlCopy } from "../../../src/domain/copy.ts";
import { BackupError } from "../../../src/domain/errors.ts";
import { type Status, withVerification } from "../../../src/domain/status.ts";
import { recordFindings } from "../../../src/job/record-findings.ts";
import { MysqlWorld } from "../../support/mysql-world.ts";

const { signal } = new AbortController();
const RETENTION = { hourly: 2, daily: 2, weekly: 1, monthly: 1, yearly: 1 };
const OPTIONS = { retention: RETENTION };

/** A world in which a day and some hours of cron went by. */
async function livedIn(hours: number): Promise<MysqlWorld> {
  const world = new MysqlWorld();
  expect(await world.run("daily", OPTIONS)).toBe(true);
  for (let hour = 0; hour < hours; hour++) {
    world.pass(1);
    expect(await world.run("hourly", OPTIONS)).toBe(true);
  }
  return world;
}

describe("backupMysql()", () => {
  test("backupMysql() records what the predecessor needs, and all that restoring needs", async () => {
    const world = await livedIn(1);
    const [full, increment] = await world.copies();
    expect(full).toMatchObject({
      kind: "full",
      key: "db7/daily/mysql/mysql-2026-05-01_00_00_07.xbstream",
      lsn: 1000n,
      suffixes: [],
      vendor: "mariadb",
      serverVersion: "10.11.14-MariaDB-log",
      datadirId: "64:2:1",
      tool: "mariadb-backup",
      format: "xbstream",
      startedAt: new Date(2026, 4, 1, 0, 0, 7),
      config: new Map([["/etc/mysql/my.cnf", "[mysqld]\n"]]),
    });
    expect(full?.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(full?.rawBytes).toBe(full?.bytes);
    expect(increment).toMatchObject({ kind: "incremental", parent: full?.key, lsn: 1010n, fromLsn: 1000n });
  });

  test("backupMysql() expires increments of its own run type, and no parent of one that stays", async () => {
    const world = await livedIn(3);
    expect((await world.copies()).map(({ interval }) => interval)).toEqual(["daily", "hourly", "hourly"]);
    const policy = { retention: { ...RETENTION, daily: 1 } };
    for (let day = 0; day < 2; day++) {
      world.pass(24);
      expect(await world.run("daily", policy)).toBe(true);
    }
    // The first full copy stays for the increments on it, the second is needed by none.
    expect((await world.copies()).map(({ interval, startedAt }) => `${interval} ${startedAt.getDate()}`)).toEqual([
      "daily 1",
      "hourly 1",
      "hourly 1",
      "daily 3",
    ]);
  });

  test("backupMysql() lets a full copy wait for the increments on it, though the policy would let all go", async () => {
    const world = await livedIn(2);
    world.pass(24);
    expect(await world.run("daily", { retention: { ...RETENTION, hourly: 0, daily: 1 } })).toBe(true);
    expect(await world.copies()).toHaveLength(4);
    world.pass(1);
    expect(await world.run("hourly", { retention: { ...RETENTION, hourly: 0, daily: 1 } })).toBe(true);
    world.pass(24);
    expect(await world.run("daily", { retention: { ...RETENTION, hourly: 0, daily: 1 } })).toBe(true);
    const left = (await world.copies()).map(({ interval, startedAt }) => `${interval} ${startedAt.getDate()}`);
    expect(left).toEqual(["daily 2", "hourly 2", "daily 3"]);
  });

  test("backupMysql() takes a full copy after a lost status, deletes nothing, and says so", async () => {
    const world = await livedIn(2);
    await world.tearStatus();
    world.pass(1);
    expect(await world.run("hourly", OPTIONS)).toBe(false);
    expect(world.failures).toMatchObject([{ code: "DATA_DAMAGED" }]);
    expect((await world.copies()).map(({ kind }) => kind)).toEqual(["full", "incremental", "incremental", "full"]);
    world.pass(1);
    expect(await world.run("hourly", OPTIONS)).toBe(true);
    expect((await world.copies()).at(-1)).toMatchObject({ kind: "incremental" });
  });

  test("backupMysql() takes no increment on a copy that a verify found damaged", async () => {
    const world = await livedIn(0);
    const [full] = await world.copies();
    const verified = { at: world.now, ok: false, level: "boot" };
    await world.shelf.status.update((now) => withVerification(now, full!.key, verified), { signal });
    world.pass(1);
    expect(await world.run("hourly", OPTIONS)).toBe(true);
    expect((await world.copies()).at(-1)).toMatchObject({ kind: "full", interval: "hourly" });
  });

  test("backupMysql() takes no increment on a copy that a verify found damaged before the status was lost", async () => {
    const world = await livedIn(0);
    const [full] = await world.copies();
    const verified = { at: world.now, ok: false, level: "boot" };
    const change = (now: Status<MysqlCopy>) => withVerification(now, full!.key, verified);
    await recordFindings(world.shelf, { keys: [full!.key], change, signal });
    await world.tearStatus();
    world.pass(1);
    expect(await world.run("hourly", OPTIONS)).toBe(false);
    expect((await world.copies()).map(({ kind }) => kind)).toEqual(["full", "full"]);
    world.pass(1);
    expect(await world.run("hourly", OPTIONS)).toBe(true);
    expect((await world.copies()).map(({ kind }) => kind)).toEqual(["full", "full", "incremental"]);
    expect((await world.copies())[0]?.verified).toEqual(verified);
  });

  test("backupMysql() takes a full copy when asked to", async () => {
    const world = await livedIn(1);
    world.pass(1);
    expect(await world.run("hourly", { ...OPTIONS, isForced: true })).toBe(true);
    expect((await world.copies()).at(-1)).toMatchObject({ kind: "full", interval: "hourly" });
  });

  test("backupMysql() leaves nothing of a tool that failed in the middle", async () => {
    const world = await livedIn(1);
    const [objects, copies] = [await world.objects(), await world.copies()];
    world.pass(1);
    expect(await world.run("hourly", { ...OPTIONS, fault: "content" })).toBe(false);
    expect(await world.objects()).toEqual(objects);
    expect(await world.copies()).toEqual(copies);
  });

  test("backupMysql() keeps a copy whose server cannot be released, and tells that besides any other failure", async () => {
    const world = await livedIn(0);
    world.pass(1);
    expect(await world.run("hourly", { ...OPTIONS, fault: "release" })).toBe(false);
    expect(world.failures.map(String)).toEqual(["Error: the node cannot be taken back"]);
    expect(await world.copies()).toHaveLength(2);
    expect(await world.run("hourly", { ...OPTIONS, fault: "content" })).toBe(false);
    expect(world.failures.map(String)).toEqual(["Error: the node cannot be taken back", "Error: the tool failed"]);
  });

  test("backupMysql() takes a full copy instead when the tool refuses an increment", async () => {
    const world = await livedIn(1);
    world.pass(1);
    expect(await world.run("hourly", { ...OPTIONS, fault: "increment", isRefused: () => true })).toBe(true);
    expect((await world.copies()).map(({ kind }) => kind)).toEqual(["full", "incremental", "full"]);
    world.opened = 0;
    expect(await world.run("hourly", { ...OPTIONS, fault: "content", isRefused: () => true })).toBe(false);
    expect(world.opened).toBe(2);
  });

  test("backupMysql() tries a bounded number of times when the cluster ends the tool", async () => {
    const world = new MysqlWorld();
    const isTransient = () => true;
    expect(await world.run("daily", { ...OPTIONS, fault: "content", isTransient, pauseMs: 1 })).toBe(false);
    expect(world.opened).toBe(3);
    world.opened = 0;
    expect(await world.run("daily", { ...OPTIONS, fault: "open" })).toBe(false);
    expect(world.opened).toBe(1);
    expect(await world.run("daily", { ...OPTIONS, fault: "once", isTransient, pauseMs: 1 })).toBe(true);
    expect(await world.copies()).toHaveLength(1);
  });

  test("backupMysql() stores the copy when the server's config files cannot be read, and reports that", async () => {
    const world = new MysqlWorld();
    const serverConfig = () => Promise.reject(new BackupError("NOT_PERMITTED", 'Cannot read "/etc/my.cnf"'));
    expect(await world.run("daily", { ...OPTIONS, serverConfig })).toBe(false);
    expect(world.failures).toMatchObject([{ code: "NOT_PERMITTED" }]);
    expect(await world.copies()).toMatchObject([{ kind: "full", config: new Map() }]);
  });
});

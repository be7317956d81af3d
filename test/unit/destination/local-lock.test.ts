import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { breakLock, LocalLock, seeLock } from "../../../src/destination/local-lock.ts";
import { newLockText } from "../../../src/destination/lock-record.ts";

const { signal } = new AbortController();
let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lock-"));
  path = join(folder, "lock-status");
});

afterEach(() => rm(folder, { recursive: true }));

async function age(seconds: number): Promise<void> {
  const at = new Date(Date.now() - seconds * 1000);
  await utimes(path, at, at);
}

test("acquire() lets one holder in at a time", async () => {
  let holders = 0;
  let most = 0;
  const work = async () => {
    await using _lock = await LocalLock.acquire(path, { signal });
    most = Math.max(most, ++holders);
    await readdir(folder);
    holders -= 1;
  };
  await Promise.all(Array.from({ length: 12 }, work));
  expect(most).toBe(1);
  expect(await readdir(folder)).toEqual([]);
});

test("acquire() gives up with LOCKED, naming the holder, while a running process has it", async () => {
  await using lock = await LocalLock.acquire(path, { signal });
  await expect(LocalLock.acquire(path, { signal, patienceMilliseconds: 30 })).rejects.toMatchObject({
    code: "LOCKED",
    retryable: true,
    message: expect.stringContaining(`process ${process.pid} of this machine`),
  });
  await lock.confirm();
});

test("acquire() throws signal.reason when aborted while it waits", async () => {
  const controller = new AbortController();
  const reason = new Error("time limit");
  await using lock = await LocalLock.acquire(path, { signal });
  setTimeout(() => controller.abort(reason), 20);
  await expect(LocalLock.acquire(path, controller)).rejects.toBe(reason);
  await lock.confirm();
});

test.each(["", "{", "not JSON"])(
  "acquire() takes over a lock of unknown content %j after a minute only",
  async (text) => {
    await writeFile(path, text);
    await age(50);
    await expect(LocalLock.acquire(path, { signal, patienceMilliseconds: 30 })).rejects.toMatchObject({
      code: "LOCKED",
    });
    await age(70);
    await using lock = await LocalLock.acquire(path, { signal });
    await lock.confirm();
  },
);

test("confirm() tells a holder that was suspended that its lock was taken over, and disposing leaves the new one", async () => {
  const suspended = await LocalLock.acquire(path, { signal });
  await age(61);
  await using next = await LocalLock.acquire(path, { signal });
  await expect(suspended.confirm()).rejects.toMatchObject({ code: "LOCKED", retryable: true });
  await suspended[Symbol.asyncDispose]();
  await next.confirm();
});

test("a lock has its text from the moment it is there, so that one of a killed process is never in doubt", async () => {
  const seen = new Set<string>();
  const done = new AbortController();
  const watching = (async () => {
    while (!done.signal.aborted) seen.add((await seeLock(path))?.text ?? "none");
  })();
  for (let round = 0; round < 500; round++) {
    await using _lock = await LocalLock.acquire(path, { signal });
  }
  done.abort();
  await watching;
  expect(seen.size).toBeGreaterThan(10);
  expect([...seen]).not.toContain("");
  expect(await readdir(folder)).toEqual([]);
});

test("breakLock() lets only one of several breakers have a lock", async () => {
  await writeFile(path, "stale");
  const seen = (await seeLock(path))!;
  const broken = await Promise.all(Array.from({ length: 5 }, () => breakLock(path, seen)));
  expect(broken.filter(Boolean)).toHaveLength(1);
  expect(await readdir(folder)).toEqual([]);
});

test("breakLock() puts back a lock that was taken after the judgement", async () => {
  await writeFile(path, "");
  const seen = (await seeLock(path))!;
  await rm(path);
  const text = newLockText();
  await writeFile(join(folder, "other"), ""); // So that the new lock cannot get the inode of the old one.
  await writeFile(path, text);
  expect(await breakLock(path, seen)).toBe(false);
  expect(await readFile(path, "utf8")).toBe(text);
  expect((await readdir(folder)).sort()).toEqual(["lock-status", "other"]);
});

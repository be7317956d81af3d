import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ourselves } from "../../../src/lib/holder.ts";
import { acquireLock } from "../../../src/lib/lock.ts";

const signal = new AbortController().signal;
const onLost = (error: Error) => {
  throw error;
};
let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "lock-test-"));
  path = join(directory, "run.lock");
});
afterEach(() => rmSync(directory, { recursive: true }));

function lock(waitSeconds: number): Promise<AsyncDisposable> {
  return acquireLock(path, { waitSeconds, signal, onLost });
}

/** A lock as a process would leave it that was killed. */
function abandon(owner: object): void {
  mkdirSync(`${path}.lock`);
  const { ino, birthtimeNs } = statSync(`${path}.lock`, { bigint: true });
  writeFileSync(
    path,
    JSON.stringify({ ...ourselves(), ...owner, lockId: `${ino}-${birthtimeNs}`, since: "2026-01-01" }),
  );
}

test("acquireLock() leaves nothing behind when released", async () => {
  await (await lock(0))[Symbol.asyncDispose]();
  expect(existsSync(path)).toBe(false);
  expect(existsSync(`${path}.lock`)).toBe(false);
});

test("acquireLock() throws LOCKED naming the holder after the wait", async () => {
  await using _held = await lock(0);
  await expect(lock(1)).rejects.toMatchObject({
    code: "LOCKED",
    message: expect.stringContaining(`process ${process.pid},`) as string,
  });
});

test("acquireLock() waits for the holder to finish", async () => {
  const held = await lock(0);
  const second = lock(10);
  await sleep(300);
  await held[Symbol.asyncDispose]();
  await (await second)[Symbol.asyncDispose]();
});

test("acquireLock() takes over at once from a holder that was killed", async () => {
  const library = new URL("../../../src/lib/lock.ts", import.meta.url).pathname;
  const script = `import { acquireLock } from ${JSON.stringify(library)};
    await acquireLock(${JSON.stringify(path)}, { waitSeconds: 0, signal: new AbortController().signal, onLost() {} });
    console.log("held"); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  child.kill("SIGKILL");
  await new Promise((resolve) => child.once("exit", resolve));
  const started = Date.now();
  await (await lock(5))[Symbol.asyncDispose]();
  expect(Date.now() - started).toBeLessThan(1500);
});

test("acquireLock() takes over in seconds from one that was killed before it had signed", async () => {
  mkdirSync(`${path}.lock`);
  const started = Date.now();
  await (await lock(5))[Symbol.asyncDispose]();
  expect(Date.now() - started).toBeGreaterThan(1500);
  expect(Date.now() - started).toBeLessThan(4000);
  expect(existsSync(`${path}.lock`)).toBe(false);
});

test("acquireLock() leaves a lock alone that is refreshed although nobody signed it", async () => {
  mkdirSync(`${path}.lock`);
  await sleep(2100);
  utimesSync(`${path}.lock`, new Date(), new Date());
  await expect(lock(2.5)).rejects.toMatchObject({ code: "LOCKED" });
});

test("acquireLock() waits for nobody who was killed, at whatever moment", async () => {
  const library = new URL("../../../src/lib/lock.ts", import.meta.url).pathname;
  const script = `import { acquireLock } from ${JSON.stringify(library)};
    const options = { waitSeconds: 9, signal: new AbortController().signal, onLost() {} };
    for (let turn = 0; ; turn++) {
      const held = await acquireLock(${JSON.stringify(path)}, options);
      if (turn === 0) console.log("begun");
      await held[Symbol.asyncDispose]();
    }`;
  for (let round = 0; round < 8; round++) {
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await new Promise((resolve) => child.stdout.once("data", resolve));
    await sleep(Math.random() * 20);
    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("exit", resolve));
    await (await lock(3))[Symbol.asyncDispose]();
  }
});

test("acquireLock() takes over when the pid belongs to another process now", async () => {
  abandon({ startTime: "1" });
  await (await lock(0))[Symbol.asyncDispose]();
});

test("acquireLock() takes over after a reboot", async () => {
  abandon({ bootId: "another" });
  await (await lock(0))[Symbol.asyncDispose]();
});

test("acquireLock() does not break the lock of a living process", async () => {
  abandon({});
  await expect(lock(1)).rejects.toMatchObject({ code: "LOCKED" });
});

test("acquireLock() does not break a lock that is not the dead holder's", async () => {
  abandon({ pid: 2 ** 22 - 1 });
  const text = readFileSync(path, "utf8");
  rmSync(`${path}.lock`, { recursive: true });
  mkdirSync(`${path}.lock`);
  writeFileSync(path, text);
  await expect(lock(1)).rejects.toMatchObject({ code: "LOCKED" });
});

test("acquireLock() takes over a lock that nobody refreshed", async () => {
  mkdirSync(`${path}.lock`);
  const longAgo = new Date(Date.now() - 60_000);
  utimesSync(`${path}.lock`, longAgo, longAgo);
  await (await lock(0))[Symbol.asyncDispose]();
});

test("acquireLock() lives with the empty lock file of the predecessor", async () => {
  writeFileSync(path, "");
  await (await lock(0))[Symbol.asyncDispose]();
});

test("acquireLock() stops waiting when aborted", async () => {
  await using _held = await lock(0);
  const controller = new AbortController();
  const waiting = acquireLock(path, { waitSeconds: 60, signal: controller.signal, onLost });
  setTimeout(() => controller.abort(new Error("enough")), 100);
  await expect(waiting).rejects.toThrow("enough");
});

test("acquireLock() lets only one of many waiters in when the holder was killed", async () => {
  abandon({ startTime: "1" });
  let inside = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      await using _held = await lock(30);
      most = Math.max(most, ++inside);
      await sleep(20);
      inside--;
    }),
  );
  expect(most).toBe(1);
});

test("acquireLock() names a directory that is missing", async () => {
  const wrong = acquireLock(join(directory, "none", "run.lock"), { waitSeconds: 0, signal, onLost });
  await expect(wrong).rejects.toMatchObject({
    code: "FAILED",
    hint: "Run as root, or name another file with --lock-file.",
  });
});

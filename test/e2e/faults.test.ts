import { execFileSync } from "node:child_process";
import { randomBytes, randomInt } from "node:crypto";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { childOf } from "../support/children.ts";
import { Sandbox } from "../support/cli.ts";
import { filesBelow, leftoversIn, processesMentioning, temporaryDirectories } from "../support/leftovers.ts";
import { copiesOf, restored } from "../support/listed.ts";

const MOMENTS = 50;

let sandbox: Sandbox;
let source: string;

beforeEach(async () => {
  sandbox = new Sandbox();
  source = sandbox.directory("source");
  writeFileSync(join(source, "noise"), randomBytes(30_000_000));
  writeFileSync(join(source, "text"), "text\n".repeat(1_000_000));
  configure({});
  expect(await sandbox.run(["backup", "daily"])).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
});
afterEach(() => sandbox[Symbol.dispose]());

function configure(more: Readonly<Record<string, Readonly<Record<string, string | number>>>>): void {
  sandbox.configure({
    source: { backup_dirs: source },
    destination: { backup_destination: "local" },
    local: { backup_dir: sandbox.copies },
    compression: { program: "zstd", threads: 1 },
    retention: { daily_copies: 100 },
    ...more,
  });
}

/** Nothing incomplete is listed, earlier copies restore, the next run succeeds and cleans up. */
async function expectRecovery(before: number): Promise<number> {
  expect(processesMentioning(source)).toEqual([]);
  expect(await copiesOf(sandbox)).toHaveLength(before);
  const next = await sandbox.run(["backup", "daily"]);
  expect(next).toMatchObject({ exitCode: 0, stderr: "" });
  const copies = await copiesOf(sandbox);
  expect([before + 1, before + 2]).toContain(copies.length);
  expect(leftoversIn(sandbox.copies)).toEqual([]);
  expect(filesBelow(sandbox.root).filter((path) => path.startsWith("run.lock"))).toEqual([]);
  expect(temporaryDirectories(sandbox.temporary)).toEqual([]);
  for (const copy of [copies[0], copies.at(-1)]) expect(await restored(sandbox, copy?.key ?? "", source)).toEqual([]);
  return copies.length;
}

describe("a backup whose program dies", () => {
  test.each([
    ["tar", "-c"],
    ["zstd", "-19"],
  ])("stores nothing when %s is killed", async (name, word) => {
    configure({ compression: { program: "zstd", threads: 1, level: 19 } });
    let run = 0;
    const running = sandbox.run(["backup", "daily"], { onStart: (started) => (run = started) });
    const pid = await childOf(run, name, word);
    process.kill(pid, "SIGKILL");
    const result = await running;
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toContain(`twindb-backup: Cannot run "${name}": it was killed by SIGKILL`);
    expect(result.stderr.trim().split("\n")).toHaveLength(1);
    expect(leftoversIn(sandbox.copies)).toEqual([]);
    configure({});
    await expectRecovery(1);
  });
});

test("backup stores nothing when the GPG key cannot be used", async () => {
  const home = sandbox.directory("gnupg");
  execFileSync("chmod", ["700", home]);
  configure({ gpg: { recipient: "nobody@example.org", homedir: home } });
  const result = await sandbox.run(["backup", "daily"]);
  expect(result.exitCode).toBe(78);
  expect(result.stderr).toContain("nobody@example.org");
  expect(result.stderr.trim().split("\n")).toHaveLength(1);
  configure({});
  await expectRecovery(1);
});

test("backup goes on with the other directories when one fails", async () => {
  const other = sandbox.directory("other");
  configure({ source: { backup_dirs: `${sandbox.path("missing")} ${other}` } });
  const result = await sandbox.run(["backup", "daily"]);
  expect(result.exitCode).not.toBe(0);
  expect(result.stderr.trim().split("\n")).toHaveLength(1);
  expect(result.stderr).toContain(sandbox.path("missing"));
  const directories = (await copiesOf(sandbox)).map((copy) => copy.directory);
  expect(new Set(directories)).toEqual(new Set([source, other]));
});

test("backup stores nothing when the destination is full", async () => {
  const mount = sandbox.directory("small");
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", mount]);
  try {
    configure({ local: { backup_dir: mount } });
    const result = await sandbox.run(["backup", "daily"]);
    expect(result.exitCode).toBe(1);
    expect(result.stderr.trim().split("\n")).toHaveLength(1);
    expect(result.stderr).toMatch(/no space/i);
    expect(filesBelow(mount).filter((path) => path.includes(".tar") || path.includes(".partial"))).toEqual([]);
    execFileSync("mount", ["-o", "remount,size=200m", mount]);
    expect(await sandbox.run(["backup", "daily"])).toMatchObject({ exitCode: 0, stderr: "" });
    expect(leftoversIn(mount)).toEqual([]);
  } finally {
    execFileSync("umount", [mount]);
  }
});

test("backup keeps the copy on the destination and fails when the kept one does not fit", async () => {
  const mount = sandbox.directory("small");
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", mount]);
  try {
    configure({ destination: { backup_destination: "local", keep_local_path: mount } });
    const result = await sandbox.run(["backup", "daily"]);
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toContain("Cannot keep a second copy on this host");
    expect(filesBelow(mount)).toEqual([]);
    const copies = await copiesOf(sandbox);
    expect(copies).toHaveLength(2);
    expect(await restored(sandbox, copies[1]?.key ?? "", source)).toEqual([]);
  } finally {
    execFileSync("umount", [mount]);
  }
});

describe.each(["SIGTERM", "SIGKILL"] as const)("a backup that gets %s", (signal) => {
  test(`leaves nothing half done at ${MOMENTS} random moments`, async () => {
    let complete = 1;
    for (let moment = 0; moment < MOMENTS; moment++) {
      let pid = 0;
      const running = sandbox.run(["backup", "daily"], { onStart: (started) => (pid = started) });
      await sleep(randomInt(600));
      try {
        process.kill(pid, signal);
      } catch {
        // It was faster.
      }
      const result = await running;
      const stored = (await copiesOf(sandbox)).length;
      expect(stored - complete).toBeGreaterThanOrEqual(0);
      // A run killed between manifest and status leaves a whole copy, which the next run takes up beside its own.
      expect(stored - complete).toBeLessThanOrEqual(2);
      if (result.exitCode === 0) expect(stored).toBeGreaterThan(complete);
      // Before the program has told the system that it handles SIGTERM, it is ended by it.
      else if (signal === "SIGTERM") expect([143, null]).toContain(result.exitCode);
      complete = stored;
      await expect.poll(() => processesMentioning(source), { timeout: 5000 }).toEqual([]);
      if (signal === "SIGTERM") expect(leftoversIn(sandbox.copies)).toEqual([]);
      if (moment % 10 === 9) complete = await expectRecovery(complete);
    }
    expect((await sandbox.run(["verify", "file", "all"])).exitCode).toBe(0);
  });
});

test("backup heals at the next run whatever system call it is killed at", async () => {
  for (const call of ["rename", "link", "fsync"]) {
    for (let index = 1; index <= 12; index++) {
      const wrapper = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        `trace=${call}`,
        "-e",
        `inject=${call}:signal=SIGKILL:when=${index}`,
      ];
      const before = (await copiesOf(sandbox)).length;
      const result = await sandbox.run(["backup", "daily"], { wrapper });
      const after = (await copiesOf(sandbox)).length;
      if (result.exitCode === 0) expect([before + 1, before + 2]).toContain(after);
      else expect([before, before + 1, before + 2]).toContain(after);
    }
  }
  await expectRecovery((await copiesOf(sandbox)).length);
});

test("restore leaves nothing behind when it is killed, and works the next time", async () => {
  const [copy] = await copiesOf(sandbox);
  const target = sandbox.path("target");
  for (let moment = 0; moment < 10; moment++) {
    let pid = 0;
    const running = sandbox.run(["restore", "file", copy?.key ?? "", "--dst", target], {
      onStart: (started) => (pid = started),
    });
    await sleep(randomInt(150, 400));
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It was faster.
    }
    await running;
    execFileSync("rm", ["-rf", target]);
  }
  mkdirSync(target);
  expect(await restored(sandbox, copy?.key ?? "", source)).toEqual([]);
  expect(await sandbox.run(["restore", "file", copy?.key ?? "", "--dst", target])).toMatchObject({ exitCode: 0 });
  expect(readdirSync(sandbox.root).filter((name) => name.startsWith(".twindb-restore"))).toEqual([]);
});

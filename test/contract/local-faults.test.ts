import { spawnSync } from "node:child_process";
import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type LocalDestination, openLocal } from "../../src/destination/local.ts";
import { toKey } from "../../src/domain/key.ts";
import { hasStrace, type SystemCall, type Use, useFaulty, useLocal } from "../support/faulty-process.ts";
import { chunks, collect, keysOf, noise } from "../support/streams.ts";

const OLD = toKey("h/daily/files/old");
const NEW = toKey("h/daily/files/new");
const STATUS = toKey("h/status");
const BYTES = 3_000_000;

/** A missing tool skips on a laptop, and fails where everything is required. */
const isRequired = (process.env["REQUIRE"] ?? "") !== "";
const canMount = process.getuid?.() === 0 && spawnSync("mount", ["--version"]).status === 0;
const canTrace = hasStrace();

const { signal } = new AbortController();
let scratch: string;
let directory: string;
let destination: LocalDestination;

async function open(): Promise<void> {
  destination = await openLocal({ kind: "local", directory });
}

async function fill(): Promise<void> {
  await open();
  await destination.put(OLD, chunks("old"), { signal });
  await destination.replaceSmall(STATUS, Buffer.from("before"), { signal, expected: undefined });
}

function partial(): Promise<string[]> {
  return readdir(join(directory, "h/.partial"));
}

async function text(key: typeof OLD): Promise<string> {
  return (await collect(destination.get(key, { signal }))).toString();
}

async function expectOnlyTheOld(): Promise<void> {
  expect(await keysOf(destination.list("", { signal }))).toEqual([OLD, STATUS]);
  expect([await text(OLD), await text(STATUS)]).toEqual(["old", "before"]);
}

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), "faults-"));
  directory = join(scratch, "root");
});

afterEach(() => rm(scratch, { recursive: true }));

describe.skipIf(!canTrace && !isRequired)("system calls of LocalDestination that fail", () => {
  beforeEach(fill);

  async function faulty(verb: "put" | "replace" | "race", call: SystemCall, fault: string) {
    const twin = join(scratch, "twin");
    await cp(directory, twin, { recursive: true });
    const use = (root: string): Use => [verb, root, verb === "replace" ? STATUS : NEW, BYTES];
    return useFaulty(use(directory), use(twin), { call, fault });
  }

  test.each([
    ["fsync of the file", { name: "fsync", on: /\.partial\/[0-9a-f-]+>/ }, ["EIO", "FAILED"]],
    ["close of the file", { name: "close", on: /\.partial\/[0-9a-f-]+>/ }, ["EDQUOT", "NO_SPACE"]],
    ["fsync of the object's folder", { name: "fsync", on: /daily\/files>/ }, ["EIO", "FAILED"]],
    ["fsync of the folder for unfinished objects", { name: "fsync", on: /\.partial>/ }, ["EIO", "FAILED"]],
    ["a write", { name: "write", on: /\.partial\/[0-9a-f-]+>/ }, ["ENOSPC", "NO_SPACE"]],
    ["link", { name: "link", on: /new/ }, ["EIO", "FAILED"]],
  ] as const)("put() fails and leaves nothing when %s fails", async (_, call, [error, code]) => {
    const outcome = await faulty("put", call, `error=${error}`);
    expect(outcome).toMatchObject({ code, message: expect.stringMatching(`^Cannot store "${NEW}": .*${directory}`) });
    await expectOnlyTheOld();
    expect(await partial()).toEqual([]);
  });

  test.each([
    ["fsync", /\.partial\/[0-9a-f-]+>/],
    ["close", /\.partial\/[0-9a-f-]+>/],
    ["rename", /status/],
  ] as const)("replaceSmall() keeps the old content when %s fails", async (name, on) => {
    const outcome = await faulty("replace", { name, on }, "error=EIO");
    expect(outcome).toMatchObject({ code: "FAILED" });
    await expectOnlyTheOld();
    expect(await partial()).toEqual([]);
  });

  test("put() publishes where there are no hard links", async () => {
    expect(await faulty("put", { name: "link", on: /new/ }, "error=EPERM")).toMatchObject({ ok: { bytes: BYTES } });
    expect(noise(BYTES).equals(await collect(destination.get(NEW, { signal })))).toBe(true);
    expect(await partial()).toEqual([]);
  });

  test("put() lets exactly one of several win where there are no hard links", async () => {
    const use: Use = ["race", directory, NEW, BYTES];
    const wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=link:error=EPERM"];
    expect(useLocal(use, wrapper).ok).toEqual(["fulfilled", "rejected", "rejected"]);
    expect(await partial()).toEqual([]);
  });

  test.each([
    ["open", { name: "openat", on: /\.partial\/[0-9a-f-]+"/ }],
    ["write", { name: "write", on: /\.partial\/[0-9a-f-]+>/ }],
    ["fsync", { name: "fsync", on: /\.partial\/[0-9a-f-]+>/ }],
    ["link", { name: "link", on: /new/ }],
    ["fsync of the folder", { name: "fsync", on: /daily\/files>/ }],
    ["unlink", { name: "unlink", on: /\.partial/ }],
    ["fsync of the other folder", { name: "fsync", on: /\.partial>/ }],
  ] as const)("put() that is killed at %s leaves a whole object or none, and what sweep() removes", async (_, call) => {
    expect(await faulty("put", call, "signal=SIGKILL")).toEqual({ signal: "SIGKILL" });
    const listed = await keysOf(destination.list("h/daily", { signal }));
    expect([[OLD], [NEW, OLD]]).toContainEqual(listed);
    if (listed.includes(NEW)) expect(noise(BYTES).equals(await collect(destination.get(NEW, { signal })))).toBe(true);
    const left = await partial();
    expect(await destination.sweep("h", { signal })).toBe(left.length);
    expect(await partial()).toEqual([]);
    expect(await keysOf(destination.list("h/daily", { signal }))).toEqual(listed);
    expect([await text(OLD), await text(STATUS)]).toEqual(["old", "before"]);
  });

  test.each([
    ["write of the lock", { name: "write", on: /\.partial\/[0-9a-f]{12}-[0-9a-f-]+>/ }, 0],
    ["link of the lock", { name: "link", on: /lock-/ }, 0],
    ["write of the content", { name: "write", on: /\.partial\/[0-9a-f]{12}-[0-9a-f-]+>.*, \d{5,}\)/ }, 1],
    ["rename", { name: "rename", on: /status/ }, 1],
    ["unlink of the lock", { name: "unlink", on: /lock-/ }, 1],
  ] as const)(
    "replaceSmall() that is killed at %s leaves whole content, and the next one goes on",
    async (_, call, locks) => {
      expect(await faulty("replace", call, "signal=SIGKILL")).toEqual({ signal: "SIGKILL" });
      expect((await partial()).filter((name) => name.startsWith("lock-"))).toHaveLength(locks);
      const found = await destination.readSmall(STATUS, { signal });
      expect([6, BYTES]).toContain(found?.content.length);
      const expected = found?.version;
      await destination.replaceSmall(STATUS, Buffer.from("after"), { signal, expected });
      expect(await text(STATUS)).toBe("after");
      await destination.sweep("h", { signal });
      expect(await partial()).toEqual([]);
    },
  );

  test("put() fails and leaves nothing when files may not be so large", async () => {
    const outcome = useLocal(["put", directory, NEW, BYTES], ["prlimit", "--fsize=2000000"]);
    expect(outcome).toMatchObject({ code: "NO_SPACE", hint: expect.stringContaining("ulimit -f") });
    await expectOnlyTheOld();
    expect(await partial()).toEqual([]);
  });
});

describe.skipIf(!canMount && !isRequired)("a file system of LocalDestination that is full or read-only", () => {
  function mount(...args: readonly string[]): void {
    const { status, stderr } = spawnSync("mount", [...args, directory], { encoding: "utf8" });
    if (status !== 0) throw new Error(`mount ${args.join(" ")}: ${stderr}`);
  }

  beforeEach(async () => {
    await open();
    mount("-t", "tmpfs", "-o", "size=2m", "tmpfs");
    await fill();
  });

  afterEach(() => {
    spawnSync("umount", [directory]);
  });

  test("put() that fills the disk fails with NO_SPACE and leaves the old objects and nothing else", async () => {
    const storing = destination.put(NEW, chunks(noise(1_000_000), noise(BYTES)), { signal });
    await expect(storing).rejects.toMatchObject({
      code: "NO_SPACE",
      message: `Cannot store "${NEW}": no space is left in "${directory}"`,
      hint: `Free space in "${directory}" or keep fewer copies.`,
      retryable: false,
    });
    await expectOnlyTheOld();
    expect(await partial()).toEqual([]);
    await destination.put(NEW, chunks(noise(1_000_000)), { signal });
  });

  test("replaceSmall() on a full disk fails with NO_SPACE and keeps the old content", async () => {
    const version = (await destination.readSmall(STATUS, { signal }))?.version;
    const replacing = destination.replaceSmall(STATUS, noise(BYTES), { signal, expected: version });
    await expect(replacing).rejects.toMatchObject({ code: "NO_SPACE" });
    await expectOnlyTheOld();
    expect(await partial()).toEqual([]);
  });

  test("replaceSmall() that cannot even write its lock leaves none", async () => {
    const version = (await destination.readSmall(STATUS, { signal }))?.version;
    spawnSync("dd", ["if=/dev/zero", `of=${join(directory, "filler")}`, "bs=4k"]);
    const replacing = destination.replaceSmall(STATUS, Buffer.from("x"), { signal, expected: version });
    await expect(replacing).rejects.toMatchObject({ code: "NO_SPACE" });
    expect(await partial()).toEqual([]);
    expect(await text(STATUS)).toBe("before");
  });

  test("every writing call on a read-only file system fails with NOT_PERMITTED, and reading goes on", async () => {
    mount("-o", "remount,ro");
    const denied = { code: "NOT_PERMITTED", message: expect.stringContaining("read-only") };
    await expect(destination.put(NEW, chunks("x"), { signal })).rejects.toMatchObject(denied);
    await expect(destination.remove(OLD, { signal })).rejects.toMatchObject(denied);
    const expected = (await destination.readSmall(STATUS, { signal }))?.version;
    const replacing = destination.replaceSmall(STATUS, Buffer.from("x"), { signal, expected });
    await expect(replacing).rejects.toMatchObject(denied);
    await open();
    await expectOnlyTheOld();
  });
});

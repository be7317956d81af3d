import { spawnSync } from "node:child_process";
import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AlreadyExistsError, ObjectNotFoundError, SMALL_LIMIT_BYTES } from "../../../src/destination/destination.ts";
import { type LocalDestination, openLocal } from "../../../src/destination/local.ts";
import { openDestination } from "../../../src/destination/open.ts";
import { temporaryName } from "../../../src/destination/temporary-name.ts";
import { toKey } from "../../../src/domain/key.ts";
import { chunks, collect, keysOf, noise } from "../../support/streams.ts";

const KEY = toKey("h/daily/files/_etc-1.tar");
const STATUS = toKey("h/status");
const NOBODY = 65534;

const { signal } = new AbortController();
let scratch: string;
let root: string;
let outside: string;
let destination: LocalDestination;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), "local-"));
  root = join(scratch, "a", "root");
  outside = join(scratch, "outside");
  await mkdir(outside);
  destination = await openLocal({ kind: "local", directory: root });
});

afterEach(() => rm(scratch, { recursive: true }));

function put(text = "x") {
  return destination.put(KEY, chunks(text), { signal });
}

function replace() {
  return destination.replaceSmall(STATUS, Buffer.from("x"), { signal, expected: undefined });
}

function listed(prefix = "") {
  return keysOf(destination.list(prefix, { signal }));
}

async function mode(path: string): Promise<string> {
  return ((await lstat(path)).mode & 0o7777).toString(8);
}

async function* failing(): AsyncGenerator<Uint8Array, void> {
  yield noise(10);
  throw new Error("killed");
}

/** Files below the scratch directory that this process has open. */
async function openFiles(): Promise<string[]> {
  const links = (await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ""));
  return (await Promise.all(links)).filter((path) => path.startsWith(scratch));
}

describe("openLocal()", () => {
  test("openLocal() makes what is missing, for this user only", async () => {
    expect([await mode(join(scratch, "a")), await mode(root)]).toEqual(["700", "700"]);
    expect(destination.url).toBe(`file://${root}`);
  });

  test("openLocal() accepts a root that is a symbolic link", async () => {
    await symlink(root, join(scratch, "link"));
    destination = await openLocal({ kind: "local", directory: join(scratch, "link") });
    await put();
    expect(await readFile(join(root, KEY), "utf8")).toBe("x");
  });

  test("openLocal() refuses a relative path, a file, and a link that leads nowhere", async () => {
    await writeFile(join(scratch, "file"), "");
    await symlink(join(scratch, "nowhere"), join(scratch, "dangling"));
    await expect(openLocal({ kind: "local", directory: "backups" })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    for (const name of ["file", "file/below", "dangling"]) {
      const opening = openLocal({ kind: "local", directory: join(scratch, name) });
      await expect(opening).rejects.toMatchObject({ code: "FAILED", message: expect.stringMatching(/^Cannot open "/) });
    }
  });

  test("openDestination() opens a local one", async () => {
    await put();
    const same = await openDestination({ kind: "local", directory: root });
    expect((await collect(same.get(KEY, { signal }))).toString()).toBe("x");
  });
});

describe("what LocalDestination leaves on disk", () => {
  test("put() stores a file that only its owner can read, at the path of its key", async () => {
    await put("hello");
    expect(await readFile(join(root, KEY), "utf8")).toBe("hello");
    expect(await mode(join(root, KEY))).toBe("600");
    expect(await mode(join(root, "h/daily"))).toBe("700");
    expect((await lstat(join(root, KEY))).nlink).toBe(1);
    expect(await readdir(join(root, "h/.partial"))).toEqual([]);
  });

  test("replaceSmall() leaves neither lock nor temporary file", async () => {
    await replace();
    expect(await mode(join(root, STATUS))).toBe("600");
    expect(await readdir(join(root, "h/.partial"))).toEqual([]);
  });

  test("put() on a taken key does not start its content", async () => {
    await put();
    let isStarted = false;
    async function* content() {
      isStarted = true;
      yield noise(1);
    }
    await expect(destination.put(KEY, content(), { signal })).rejects.toBeInstanceOf(AlreadyExistsError);
    expect(isStarted).toBe(false);
  });

  test("replaceSmall() changes nothing when its lock is taken over meanwhile", async () => {
    await replace();
    const expected = (await destination.readSmall(STATUS, { signal }))?.version;
    const replacing = destination.replaceSmall(STATUS, Buffer.alloc(60_000_000), { signal, expected });
    const folder = join(root, "h/.partial");
    const takeOver = async () => {
      for (;;) {
        const names = await readdir(folder);
        const [lock] = names.filter((name) => name.startsWith("lock-"));
        if (lock !== undefined && names.length > 1) return writeFile(join(folder, lock), "of another");
      }
    };
    await Promise.all([takeOver(), expect(replacing).rejects.toMatchObject({ code: "LOCKED" })]);
    expect((await destination.readSmall(STATUS, { signal }))?.version).toBe(expected);
    expect(await readdir(folder)).toHaveLength(1);
  });

  test("sweep() never removes what this very process is at work on, however old", async () => {
    await put();
    const path = join(root, "h/.partial", temporaryName());
    await writeFile(path, "");
    await utimes(path, 0, 0);
    expect(await destination.sweep("h", { signal })).toBe(0);
  });

  test("no call leaves a file open", async () => {
    await put();
    await replace();
    await expect(put()).rejects.toBeInstanceOf(AlreadyExistsError);
    await expect(destination.put(toKey("h/x"), failing(), { signal })).rejects.toThrow("killed");
    for await (const _ of destination.get(KEY, { signal })) break;
    await destination.readSmall(KEY, { signal });
    await destination.sweep("h", { signal });
    await destination.remove(KEY, { signal });
    expect(await openFiles()).toEqual([]);
  });

  test("every call refuses a key among the unfinished objects", async () => {
    const key = toKey("h/.partial/x");
    await put();
    await writeFile(join(root, key), "x");
    const refused = { code: "DATA_DAMAGED" };
    await expect(destination.put(key, chunks("x"), { signal })).rejects.toMatchObject(refused);
    await expect(collect(destination.get(key, { signal }))).rejects.toMatchObject(refused);
    await expect(destination.readSmall(key, { signal })).rejects.toMatchObject(refused);
    await expect(destination.remove(key, { signal })).rejects.toMatchObject(refused);
    expect(await listed()).toEqual([KEY]);
    expect(await destination.sweep("h", { signal })).toBe(0);
  });
});

describe("symbolic links and other surprises below the root", () => {
  test.each(["h", "h/daily", "h/.partial"])("put() refuses to write through a link at %s", async (place) => {
    await put();
    await rm(join(root, place), { recursive: true });
    await symlink(outside, join(root, place));
    await expect(put()).rejects.toMatchObject({
      code: "NOT_PERMITTED",
      message: `Cannot use "${join(root, place)}": it is a symbolic link`,
    });
    expect(await readdir(outside)).toEqual([]);
  });

  test("sweep() and replaceSmall() refuse a link in place of the folder for unfinished objects", async () => {
    await mkdir(join(root, "h"));
    await symlink(outside, join(root, "h/.partial"));
    await writeFile(join(outside, temporaryName()), "");
    await expect(destination.sweep("h", { signal })).rejects.toMatchObject({ code: "NOT_PERMITTED" });
    await expect(replace()).rejects.toMatchObject({ code: "NOT_PERMITTED" });
    expect(await readdir(outside)).toHaveLength(1);
  });

  test.skipIf(process.getuid?.() !== 0)("put() refuses a folder for unfinished objects of another user", async () => {
    await mkdir(join(root, "h/.partial"), { recursive: true });
    await chown(join(root, "h/.partial"), NOBODY, NOBODY);
    await expect(put()).rejects.toMatchObject({ code: "NOT_PERMITTED" });
    await chown(join(root, "h"), NOBODY, NOBODY); // As a file server does that maps root to nobody.
    await put();
  });

  test("get() and readSmall() do not follow a link, and remove() removes the link only", async () => {
    await put();
    await rm(join(root, KEY));
    await writeFile(join(outside, "secret"), "secret");
    await symlink(join(outside, "secret"), join(root, KEY));
    await expect(collect(destination.get(KEY, { signal }))).rejects.toMatchObject({ code: "NOT_PERMITTED" });
    await expect(destination.readSmall(KEY, { signal })).rejects.toMatchObject({ code: "NOT_PERMITTED" });
    await destination.remove(KEY, { signal });
    expect(await readFile(join(outside, "secret"), "utf8")).toBe("secret");
  });

  test("get() and remove() do not go through a linked folder", async () => {
    await writeFile(join(outside, "x"), "secret");
    await symlink(outside, join(root, "h"));
    const key = toKey("h/x");
    await expect(collect(destination.get(key, { signal }))).rejects.toMatchObject({ code: "NOT_PERMITTED" });
    await expect(destination.remove(key, { signal })).rejects.toMatchObject({ code: "NOT_PERMITTED" });
    expect(await readdir(outside)).toEqual(["x"]);
  });

  test("get() takes a named pipe and a folder for no object", async () => {
    await put();
    spawnSync("mkfifo", [join(root, "h/pipe")]);
    for (const key of ["h/pipe", "h/daily"]) {
      await expect(collect(destination.get(toKey(key), { signal }))).rejects.toBeInstanceOf(ObjectNotFoundError);
    }
  });

  test("list() shows regular files only, of names that can be keys", async () => {
    await put();
    await mkdir(join(root, "h/empty"));
    await symlink(join(root, KEY), join(root, "h/link"));
    await symlink(join(root, "h"), join(root, "h/loop"));
    await writeFile(join(root, "h/line\nbreak"), "");
    await writeFile(Buffer.concat([Buffer.from(join(root, "h/")), Buffer.from([0xff, 0xfe])]), "");
    spawnSync("mkfifo", [join(root, "h/pipe")]);
    expect(await listed()).toEqual([KEY]);
  });

  test("list() does not leave the root by its prefix", async () => {
    await writeFile(join(outside, "x"), "");
    for (const prefix of ["../", "../../outside/", "h/../../", "/"]) expect(await listed(prefix)).toEqual([]);
  });

  test("sweep() accepts nothing but one component", async () => {
    for (const host of ["", "..", "."]) {
      await expect(destination.sweep(host, { signal })).rejects.toMatchObject({ code: "DATA_DAMAGED" });
    }
  });

  test.skipIf(process.getuid?.() !== 0)("list() throws when a folder cannot be read", async () => {
    await put();
    await chmod(scratch, 0o755);
    await chmod(join(scratch, "a"), 0o755);
    await chmod(root, 0o755);
    process.seteuid?.(NOBODY);
    try {
      await expect(listed()).rejects.toMatchObject({
        code: "NOT_PERMITTED",
        message: expect.stringMatching(/^Cannot list/),
      });
    } finally {
      process.seteuid?.(0);
    }
  });
});

describe("get()", () => {
  test("get() throws when the file becomes shorter while it is read", async () => {
    await destination.put(KEY, chunks(noise(5_000_000)), { signal });
    const reading = async () => {
      for await (const _ of destination.get(KEY, { signal })) await truncate(join(root, KEY), 3_000_000);
    };
    await expect(reading()).rejects.toMatchObject({ code: "DATA_DAMAGED" });
  });

  test("readSmall() refuses what is too large to be held in memory", async () => {
    await put();
    await truncate(join(root, KEY), SMALL_LIMIT_BYTES + 1);
    await expect(destination.readSmall(KEY, { signal })).rejects.toMatchObject({ code: "DATA_DAMAGED" });
  });
});

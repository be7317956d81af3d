import { randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { toKey } from "../../../src/domain/key.ts";
import type { Finished } from "../../../src/lib/command.ts";
import { applyAll, suffixesOf } from "../../../src/modifier/chain.ts";
import { compress } from "../../../src/modifier/compress.ts";
import { keepLocal } from "../../../src/modifier/keep-local.ts";
import { listLocal, removeLocal, sweepKeepLocal } from "../../../src/modifier/kept-copies.ts";
import type { Modifier } from "../../../src/modifier/modifier.ts";
import { collect } from "../../contract/modifier.ts";

const signal = new AbortController().signal;
const CONTENT = randomBytes(3_000_000);
const KEY = toKey("db7/daily/files/_etc 'x'-2026-11-21_02_36_45.tar.gz");
const gzip = compress({ program: "gzip", threads: undefined, level: 1 }) as Modifier;

let scratch: string;
let root: string;
let path: string;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "tb-keep-"));
  root = join(scratch, "keep");
  path = join(root, KEY);
});

afterEach(() => rmSync(scratch, { recursive: true, force: true }));

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}

function leftovers(): string[] {
  return existsSync(root)
    ? readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".partial"))
    : [];
}

describe("keepLocal()", () => {
  test("keepLocal() keeps what passes, after the compression", async () => {
    const finished: Finished[] = [];
    await using tap = await keepLocal(root, KEY);
    const options = { signal, onTap: (end: Finished) => finished.push(end) };
    const stored = await collect(applyAll(once(CONTENT), [gzip, tap], options));
    expect(existsSync(path)).toBe(false);
    expect(await tap.publish()).toBe(path);
    expect(readFileSync(path).equals(stored)).toBe(true);
    expect(finished).toEqual([{ warning: false, exitCode: 0, stderr: "" }]);
    expect(leftovers()).toEqual([]);
  });

  test("keepLocal() lets nobody else read, whatever the umask is", async () => {
    const umask = process.umask(0);
    try {
      await using tap = await keepLocal(root, KEY);
      await collect(applyAll(once(CONTENT), [tap], { signal }));
      await tap.publish();
    } finally {
      process.umask(umask);
    }
    expect(statSync(path).mode & 0o777).toBe(0o600);
    for (const directory of [root, join(root, "db7"), join(root, "db7/daily/files")]) {
      expect(statSync(directory).mode & 0o777).toBe(0o700);
    }
  });

  test("keepLocal() leaves the mode of a directory that exists as it is", async () => {
    mkdirSync(root);
    chmodSync(root, 0o755);
    await using _tap = await keepLocal(root, KEY);
    expect(statSync(root).mode & 0o777).toBe(0o755);
  });

  test("keepLocal() that is not published leaves nothing", async () => {
    {
      await using tap = await keepLocal(root, KEY);
      await collect(applyAll(once(CONTENT), [tap], { signal }));
      expect(leftovers().length).toBe(1);
    }
    expect(readdirSync(join(root, "db7/daily/files"))).toEqual([]);
  });

  test("publish() replaces an older file of the name", async () => {
    mkdirSync(join(root, "db7/daily/files"), { recursive: true });
    writeFileSync(path, "older");
    await using tap = await keepLocal(root, KEY);
    await collect(applyAll(once(CONTENT), [tap], { signal }));
    expect(readFileSync(path, "utf8")).toBe("older");
    await tap.publish();
    expect(readFileSync(path).equals(CONTENT)).toBe(true);
  });

  test("publish() refuses a file nothing was written to", async () => {
    await using tap = await keepLocal(root, KEY);
    await expect(tap.publish()).rejects.toThrow(`Cannot keep "${path}" on this host: nothing was written to it`);
    expect(existsSync(path)).toBe(false);
  });

  test("keepLocal() whose file cannot be written passes all bytes on and says so", async () => {
    const finished: Finished[] = [];
    await using tap = await keepLocal(root, KEY);
    const args = ["--fsize=100000", "sh", "-c", 'trap "" XFSZ; exec "$@"', "sh", "tee", ...tap.command.args];
    const limited = { ...tap, command: { ...tap.command, file: "prlimit", args } };
    const options = { signal, onTap: (end: Finished) => finished.push(end) };
    const passed = await collect(applyAll(once(CONTENT), [limited], options));
    expect(passed.equals(CONTENT)).toBe(true);
    expect(finished).toMatchObject([{ warning: true, exitCode: 1 }]);
    expect(finished[0]?.stderr).toContain("File too large");
  });

  test("keepLocal() keeps a copy with the longest name there is", async () => {
    const key = toKey(`db7/daily/files/${"ä".repeat(127)}x`);
    await using tap = await keepLocal(root, key);
    await collect(applyAll(once(CONTENT), [tap], { signal }));
    expect(await tap.publish()).toBe(join(root, key));
  });

  test("keepLocal() names the file it cannot make", async () => {
    writeFileSync(root, "not a directory");
    await expect(keepLocal(root, KEY)).rejects.toThrow(`Cannot keep "${path}" on this host: `);
  });

  test("suffixesOf() skips taps", async () => {
    await using tap = await keepLocal(root, KEY);
    expect(suffixesOf([gzip, tap])).toEqual([".gz"]);
  });
});

describe("kept copies", () => {
  const files = () => join(root, "db7/daily/files");

  test("listLocal() lists complete files of one run type by name", async () => {
    expect(await listLocal(root, { host: "db7", interval: "daily", media: "files" })).toEqual([]);
    mkdirSync(join(files(), "a directory"), { recursive: true });
    writeFileSync(join(files(), "b.tar.gz"), "12345");
    writeFileSync(join(files(), "a.tar.gz"), "1");
    writeFileSync(join(files(), `.c.tar.gz.${process.pid}-0123456789ab.partial`), "1");
    symlinkSync("/etc/passwd", join(files(), "link"));
    expect(await listLocal(root, { host: "db7", interval: "daily", media: "files" })).toEqual([
      { name: "a.tar.gz", bytes: 1 },
      { name: "b.tar.gz", bytes: 5 },
    ]);
    expect(await listLocal(root, { host: "db7", interval: "hourly", media: "files" })).toEqual([]);
  });

  test("listLocal() does not leave the root", async () => {
    await expect(listLocal(root, { host: "../x", interval: "daily", media: "files" })).rejects.toMatchObject({
      code: "DATA_DAMAGED",
    });
  });

  test("removeLocal() removes one copy, and no error when it is gone", async () => {
    mkdirSync(files(), { recursive: true });
    writeFileSync(path, "1");
    await removeLocal(root, KEY);
    await removeLocal(root, KEY);
    expect(existsSync(path)).toBe(false);
  });

  test("sweepKeepLocal() removes what dead runs left, and nothing else", async () => {
    mkdirSync(files(), { recursive: true });
    const dead = `.x.gz.${2 ** 22 + 1}-0123456789ab.partial`;
    const old = `.y.gz.${process.pid}-0123456789ab.partial`;
    const live = `.z.gz.${process.pid}-0123456789ab.partial`;
    const foreign = [".mine.partial", "x.partial", "copy.tar.gz"];
    for (const name of [dead, old, live, ...foreign]) writeFileSync(join(files(), name), "1");
    const longAgo = Date.now() / 1000 - 2 * 24 * 60 * 60;
    for (const name of [old, ...foreign]) utimesSync(join(files(), name), longAgo, longAgo);
    expect(await sweepKeepLocal(root, "db7")).toBe(2);
    expect(readdirSync(files()).toSorted()).toEqual([live, ...foreign].toSorted());
    expect(await sweepKeepLocal(root, "nobody")).toBe(0);
  });
});

import { createHash } from "node:crypto";
import { lstat, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { MysqlCopy } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import { nameOf } from "../domain/names.ts";
import { text } from "../lib/command.ts";
import type { Log } from "../lib/log.ts";
import { isLeftover, ownedName } from "../lib/owned-name.ts";

/** How far a cached directory was prepared: a full copy that increments can be applied to, or all of a chain, ready to start. */
export type CacheState = "base" | "prepared";

/** Start of the name of an entry that is being made. */
const PREFIX = ".twindb-cache-";
/** Names of an entry: the data, and what it has to hold. */
const DATA = "data";
const LISTING = "files.json";

type Options = { readonly log: Log; readonly signal: AbortSignal };

/** Copy all of a directory into another that is there; files are shared where the file system can. */
async function copyTree(from: string, to: string, signal: AbortSignal): Promise<void> {
  await text({ file: "cp", args: ["-a", "--reflink=auto", "--", `${from}/.`, to] }, { signal });
}

/** Size and time of every file below a directory: what a complete, untouched entry still shows. */
async function listingOf(directory: string): Promise<string> {
  const lines: string[] = [];
  for (const path of (await readdir(directory, { recursive: true })).sort()) {
    const stats = await lstat(join(directory, path), { bigint: true });
    if (!stats.isDirectory()) lines.push(`${path} ${stats.size} ${stats.mtimeNs}`);
  }
  return JSON.stringify(lines);
}

/** One place of the cache: an entry that is there, or one that may be made. Disposing it takes back what was not published. */
export class CachePoint implements AsyncDisposable {
  readonly #path: string;
  readonly #options: Options;
  #temporary: string | undefined;

  constructor(path: string, options: Options) {
    this.#path = path;
    this.#options = options;
  }

  /** Fill an empty directory from the entry. @returns whether there was one; one that is damaged counts as none. */
  async copyInto(directory: string): Promise<boolean> {
    const { log, signal } = this.#options;
    const listing = await readFile(join(this.#path, LISTING), "utf8").catch(() => undefined);
    const found = await listingOf(join(this.#path, DATA)).catch(() => undefined);
    if (listing === undefined && found === undefined) return false;
    if (listing !== found) {
      log.warn(`the cached "${this.#path}" is not as it was made, so it is not used`);
      return false;
    }
    await copyTree(join(this.#path, DATA), directory, signal);
    log.info(`taken from the cache: "${this.#path}"`);
    return true;
  }

  /** Copy a directory aside. It becomes an entry with `publish()` only. */
  async keep(directory: string): Promise<void> {
    const temporary = join(this.#path, "..", ownedName(PREFIX));
    this.#temporary = temporary;
    await this.#unlessImpossible(async () => {
      await mkdir(join(temporary, DATA), { recursive: true, mode: 0o700 });
      await copyTree(directory, join(temporary, DATA), this.#options.signal);
      await writeFile(join(temporary, LISTING), await listingOf(join(temporary, DATA)));
    });
  }

  /** Make what was kept an entry, in place of a damaged one. */
  async publish(): Promise<void> {
    const temporary = this.#temporary;
    if (temporary === undefined) return;
    await this.#unlessImpossible(async () => {
      await rm(this.#path, { recursive: true, force: true });
      await rename(temporary, this.#path);
    });
    this.#temporary = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#temporary !== undefined) await rm(this.#temporary, { recursive: true, force: true });
    this.#temporary = undefined;
  }

  /** A cache that is full, or may not be written to, keeps no restore from succeeding. */
  async #unlessImpossible(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#options.signal.throwIfAborted();
      await this[Symbol.asyncDispose]();
      this.#options.log.warn(`nothing is kept in the cache: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

/** A directory of prepared data directories, which saves fetching and preparing them again. */
export class RestoreCache {
  readonly #directory: string;
  readonly #options: Options;

  private constructor(directory: string, options: Options) {
    this.#directory = directory;
    this.#options = options;
  }

  /** Use a directory that is there. @throws {BackupError} USAGE when it is not. */
  static async at(path: string, options: Options): Promise<RestoreCache> {
    const directory = resolve(path);
    const stats = await stat(directory).catch(() => undefined);
    if (stats?.isDirectory() !== true) {
      throw new BackupError("USAGE", `Cannot use the cache "${directory}": there is no such directory`, {
        hint: "Make it first, on a disk with room for several data directories.",
      });
    }
    for (const name of (await readdir(directory)).filter((each) => isLeftover(each, PREFIX)))
      await rm(join(directory, name), { recursive: true, force: true });
    return new RestoreCache(directory, options);
  }

  /**
   * The place of a chain of copies in a state. Its name says the copy and the state; its digest covers the keys and stored bytes of the
   * whole chain, so that no other chain has the same.
   */
  open(chain: readonly MysqlCopy[], state: CacheState): CachePoint {
    const identity = chain.map(({ key, sha256, bytes }) => `${key} ${sha256 ?? ""} ${bytes ?? ""}\n`).join("");
    const digest = createHash("sha256").update(identity).digest("hex").slice(0, 16);
    const last = chain.at(-1);
    const name = last === undefined ? "nothing" : nameOf(last.key);
    return new CachePoint(join(this.#directory, `${name}.${state}.${digest}`), this.#options);
  }
}

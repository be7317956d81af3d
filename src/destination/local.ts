import { createHash } from "node:crypto";
import { statfs, unlink } from "node:fs/promises";
import { basename, dirname, isAbsolute, join } from "node:path";
import { BackupError } from "../domain/errors.ts";
import { type Key, toKey } from "../domain/key.ts";
import { type ByteStream, type Digest, Measured } from "../lib/bytes.ts";
import { Unbatched } from "../lib/unbatched.ts";
import { abortable } from "./abortable.ts";
import {
  AlreadyExistsError,
  type CallOptions,
  type Capabilities,
  ConflictError,
  type Destination,
  type Entry,
  type ListOptions,
  ObjectNotFoundError,
  SMALL_LIMIT_BYTES,
  type Small,
  type Version,
} from "./destination.ts";
import { type Doing, during, isSystemError } from "./file-error.ts";
import { listFiles } from "./local-list.ts";
import { LocalLock } from "./local-lock.ts";
import { type OpenFile, openFile, readChunks } from "./local-read.ts";
import { LocalRoot, syncDirectory } from "./local-root.ts";
import { sweepFolder } from "./local-sweep.ts";
import { isThere, TakenError, Temporary } from "./local-temporary.ts";
import type { LocalOptions } from "./options.ts";
import { lockName, partialFolderOf, refusePartial } from "./temporary-name.ts";

/** Where the parts of one object lie. */
type Place = {
  /** Path of the object. */
  readonly target: string;
  /** Folder for what is not finished. */
  readonly partial: string;
  readonly lock: string;
};

type Publication = { readonly key: Key; readonly signal: AbortSignal };

/** Open a directory of this host as a destination, and make it when it is missing. */
export async function openLocal({ directory }: LocalOptions): Promise<LocalDestination> {
  if (!isAbsolute(directory)) {
    throw new BackupError("CONFIG_INVALID", `Cannot use "${directory}" as a destination: it is not an absolute path`, {
      hint: "Set backup_dir in [local] to a path that starts with a slash.",
    });
  }
  const doing = { verb: "open", object: directory, path: directory };
  return new LocalDestination(await during(doing, () => LocalRoot.open(directory)));
}

/** Objects as files below a directory of this host. */
export class LocalDestination implements Destination {
  readonly url: string;
  readonly #root: LocalRoot;

  constructor(root: LocalRoot) {
    this.#root = root;
    this.url = `file://${root.path}`;
  }

  async capabilities({ signal }: CallOptions): Promise<Capabilities> {
    signal.throwIfAborted();
    return { conditionalReplace: "locked", digest: "near", transport: "file", freeBytes: await this.#freeBytes() };
  }

  async put(key: Key, content: ByteStream, { signal }: CallOptions): Promise<Digest> {
    signal.throwIfAborted();
    const doing = this.#doing("store", key);
    const place = await during(doing, () => this.#prepare(key));
    if (await during(doing, () => isThere(place.target))) throw new AlreadyExistsError(key, this.url);
    await using temporary = await during(doing, () => Temporary.create(place.partial));
    const measured = new Measured(abortable(content, signal), key);
    await this.#fill(temporary, measured, doing);
    signal.throwIfAborted();
    await during(doing, () => this.#publish(temporary, place, { key, signal }));
    return measured.digest();
  }

  async *get(key: Key, { signal }: CallOptions): AsyncGenerator<Uint8Array, void> {
    signal.throwIfAborted();
    const doing = this.#doing("read", key);
    const file = await during(doing, () => this.#open(key));
    if (file === undefined) throw new ObjectNotFoundError(key, this.url);
    for await (const chunk of readChunks(file, doing)) {
      signal.throwIfAborted();
      yield chunk;
      signal.throwIfAborted();
    }
  }

  list(prefix: string, { signal, skip }: ListOptions): AsyncIterableIterator<Entry, void> {
    return new Unbatched(this.#batches(prefix, skip), signal);
  }

  async *#batches(prefix: string, skip: ListOptions["skip"]): AsyncGenerator<readonly Entry[], void> {
    const batches = listFiles(this.#root.path, { prefix, skip });
    const doing = { verb: "list", object: join(this.#root.path, prefix), path: this.#root.path };
    for (;;) {
      const batch = await during(doing, () => batches.next());
      if (batch.done === true) return;
      yield batch.value;
    }
  }

  async remove(key: Key, { signal }: CallOptions): Promise<void> {
    signal.throwIfAborted();
    refusePartial(key);
    await during(this.#doing("remove", key), async () => {
      try {
        const folder = await this.#root.find(dirname(key));
        await unlink(join(folder, basename(key)));
        await syncDirectory(folder);
      } catch (error) {
        if (!isSystemError(error, "ENOENT", "ENOTDIR", "EISDIR")) throw error;
      }
    });
  }

  async readSmall(key: Key, { signal }: CallOptions): Promise<Small | undefined> {
    signal.throwIfAborted();
    const doing = this.#doing("read", key);
    const file = await during(doing, () => this.#open(key));
    if (file === undefined) return undefined;
    await using _handle = file.handle;
    if (file.bytes > SMALL_LIMIT_BYTES) throw tooLarge(key, file.bytes);
    const content = await during(doing, () => file.handle.readFile());
    signal.throwIfAborted();
    return { content, version: versionOf(content) };
  }

  async replaceSmall(
    key: Key,
    content: Uint8Array,
    { signal, expected }: CallOptions & { readonly expected: Version | undefined },
  ): Promise<Version> {
    signal.throwIfAborted();
    const doing = this.#doing("replace", key);
    const { target, partial, lock: path } = await during(doing, () => this.#prepare(key));
    await using lock = await during(doing, () => LocalLock.acquire(path, { signal }));
    const found = await this.readSmall(key, { signal });
    if (found?.version !== expected) throw new ConflictError(key, this.url);
    await using temporary = await during(doing, () => Temporary.create(partial));
    await during(doing, async () => {
      await temporary.write(content);
      await temporary.finish();
      signal.throwIfAborted();
      await lock.confirm();
      await temporary.replace(target);
    });
    return versionOf(content);
  }

  async sweep(host: string, { signal }: CallOptions): Promise<number> {
    signal.throwIfAborted();
    const folder = partialFolderOf(toKey(`${host}/x`));
    return during(this.#doing("sweep", host), async () => {
      try {
        const path = await this.#root.find(folder);
        await this.#root.checkOwner(path);
        return await sweepFolder(path, signal);
      } catch (error) {
        if (isSystemError(error, "ENOENT", "ENOTDIR")) return 0;
        throw error;
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Every call closes what it opens.
  }

  #doing(verb: string, object: string): Doing {
    return { verb, object, path: this.#root.path };
  }

  async #freeBytes(): Promise<number | undefined> {
    try {
      const { bavail, bsize } = await statfs(this.#root.path);
      return bavail * bsize;
    } catch {
      // The root is made when the first object is stored.
      return undefined;
    }
  }

  /** Make the folders an object needs. */
  async #prepare(key: Key): Promise<Place> {
    const partial = await this.#root.make(partialFolderOf(key));
    await this.#root.checkOwner(partial);
    const folder = await this.#root.make(dirname(key));
    return { target: join(folder, basename(key)), partial, lock: join(partial, lockName(key)) };
  }

  /** Write all content and make it durable. A chunk is hashed while it is written. Errors of the content pass as they are. */
  async #fill(temporary: Temporary, measured: Measured, doing: Doing): Promise<void> {
    for await (const chunk of measured.content) {
      const written = during(doing, () => temporary.write(chunk));
      measured.update(chunk);
      await written;
    }
    measured.finish();
    await during(doing, () => temporary.finish());
  }

  async #publish(temporary: Temporary, { target, lock }: Place, { key, signal }: Publication): Promise<void> {
    const moveInto = async (): Promise<void> => {
      await using _held = await LocalLock.acquire(lock, { signal });
      await temporary.moveIfFree(target);
    };
    try {
      await temporary.publish(target, moveInto);
    } catch (error) {
      throw error instanceof TakenError ? new AlreadyExistsError(key, this.url, error) : error;
    }
  }

  /** @returns `undefined` when there is no such object. */
  async #open(key: Key): Promise<OpenFile | undefined> {
    refusePartial(key);
    try {
      const folder = await this.#root.find(dirname(key));
      return await openFile(join(folder, basename(key)));
    } catch (error) {
      if (isSystemError(error, "ENOENT", "ENOTDIR")) return undefined;
      throw error;
    }
  }
}

function versionOf(content: Uint8Array): Version {
  return createHash("sha256").update(content).digest("hex");
}

function tooLarge(key: Key, bytes: number): BackupError {
  return new BackupError(
    "DATA_DAMAGED",
    `Cannot read "${key}": it has ${bytes} bytes, at most ${SMALL_LIMIT_BYTES} can be`,
    { hint: "Find out who wrote it; move it away to go on without it." },
  );
}

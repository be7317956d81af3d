import { BackupError } from "../domain/errors.ts";
import type { Key } from "../domain/key.ts";
import type { ByteStream, Digest } from "../lib/bytes.ts";
import {
  AlreadyExistsError,
  type CallOptions,
  type Capabilities,
  type Destination,
  type Entry,
  ObjectNotFoundError,
  type Small,
  type Version,
} from "./destination.ts";
import type { SshOptions } from "./options.ts";
import { FarConnection, type SshTuning } from "./ssh-connection.ts";
import { type Deed, explain } from "./ssh-explain.ts";
import { type Far, farPlace } from "./ssh-far.ts";
import { listEntries } from "./ssh-listing.ts";
import { readSmall, removeObject, replaceSmall } from "./ssh-small.ts";
import { sweepHost } from "./ssh-sweep.ts";
import { isInside, openDirectories, parentOf, publish, removeFile, syncDirectory, syncFile } from "./ssh-tree.ts";
import { partialFolderOf, temporaryName } from "./temporary-name.ts";

/** How long a failed call may spend on removing what it left. */
const CLEANUP_MS = 10_000;

/**
 * A directory on a host that is reached by SSH. Nothing is connected before the first call.
 * @throws {BackupError} CONFIG_INVALID when host, user or directory cannot be used.
 */
export async function openSsh(options: SshOptions, tuning: SshTuning = {}): Promise<Destination> {
  const { kind: _, directory, ...target } = options;
  const { keepAliveSeconds } = tuning;
  const place = farPlace({ ...target, ...(keepAliveSeconds !== undefined && { keepAliveSeconds }) }, directory);
  return new SshDestination(new FarConnection(place, tuning));
}

class SshDestination implements Destination {
  readonly url: string;
  readonly #connection: FarConnection;

  constructor(connection: FarConnection) {
    this.#connection = connection;
    this.url = connection.place.url;
  }

  async capabilities({ signal }: CallOptions): Promise<Capabilities> {
    const { name, digest } = await this.#connection.transport(signal);
    return { conditionalReplace: "locked", digest, transport: name, freeBytes: undefined };
  }

  put(key: Key, content: ByteStream, options: CallOptions): Promise<Digest> {
    return this.#withTemporary({ verb: "store", object: key }, options, async (far, temporary) => {
      await prepare(far, key, options);
      const transport = await this.#connection.transport(options.signal);
      const digest = await transport.upload(temporary, content, options);
      // Hours may have passed, and this connection may have been lost beside the one that carried the content.
      const later = await this.#connection.far(options.signal);
      await settle(later, { ...options, key, temporary, bytes: digest.bytes });
      return digest;
    });
  }

  async *get(key: Key, options: CallOptions): AsyncGenerator<Uint8Array, void> {
    options.signal.throwIfAborted();
    const far = await this.#connection.far(options.signal);
    try {
      const bytes = await sizeOf(far, key, options);
      if (bytes === undefined) throw new ObjectNotFoundError(key, this.url);
      const transport = await this.#connection.transportFor(bytes, options.signal);
      for await (const chunk of transport.download(far.path(key), { ...options, bytes })) {
        yield chunk;
        options.signal.throwIfAborted();
      }
    } catch (error) {
      options.signal.throwIfAborted();
      throw await explain(far, error, { verb: "read", object: key });
    }
  }

  async *list(prefix: string, options: CallOptions): AsyncGenerator<Entry, void> {
    for (const entry of await this.#call({ verb: "list", object: prefix }, options, (far) =>
      listEntries(far, prefix, options),
    )) {
      options.signal.throwIfAborted();
      yield entry;
    }
    options.signal.throwIfAborted();
  }

  remove(key: Key, options: CallOptions): Promise<void> {
    return this.#call({ verb: "remove", object: key }, options, async (far) => {
      if (await isInside(far, parentOf(key), options)) await removeObject(far, key, options);
    });
  }

  readSmall(key: Key, options: CallOptions): Promise<Small | undefined> {
    return this.#call({ verb: "read", object: key }, options, async (far) =>
      (await isInside(far, parentOf(key), options)) ? readSmall(far, key, options) : undefined,
    );
  }

  replaceSmall(
    key: Key,
    content: Uint8Array,
    options: CallOptions & { readonly expected: Version | undefined },
  ): Promise<Version> {
    return this.#withTemporary({ verb: "replace", object: key }, options, (far, temporary) =>
      replaceSmall(far, key, { ...options, content, temporary }),
    );
  }

  sweep(host: string, options: CallOptions): Promise<number> {
    return this.#call({ verb: "clean up", object: host }, options, (far) => sweepHost(far, host, options));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }

  async #call<T>(deed: Deed, { signal }: CallOptions, body: (far: Far) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const far = await this.#connection.far(signal);
    try {
      return await body(far);
    } catch (error) {
      signal.throwIfAborted();
      throw await explain(far, error, deed);
    }
  }

  /** A call with a temporary file of its own, which is removed when the call fails. */
  #withTemporary<T>(
    deed: Deed & { readonly object: Key },
    options: CallOptions,
    body: (far: Far, temporary: string) => Promise<T>,
  ): Promise<T> {
    return this.#call(deed, options, async (far) => {
      const temporary = far.path(`${partialFolderOf(deed.object)}/${temporaryName()}`);
      try {
        return await body(far, temporary);
      } catch (error) {
        const told = await explain(far, error, deed);
        await this.#discard(temporary);
        throw told;
      }
    });
  }

  async #discard(path: string): Promise<void> {
    const signal = AbortSignal.timeout(CLEANUP_MS);
    try {
      await removeFile(await this.#connection.far(signal), path, { signal });
    } catch {
      // The far side is gone or broken; what is left there is unfinished by its name, and sweep() takes it.
    }
  }
}

/** Make the directories for a new object, and refuse a key that is taken before any content moves. */
async function prepare(far: Far, key: Key, options: CallOptions): Promise<void> {
  await openDirectories(far, [partialFolderOf(key), parentOf(key)], options);
  if ((await far.sftp.lstat(far.path(key), options)) !== undefined) throw new AlreadyExistsError(key, far.place.url);
}

type Upload = CallOptions & { readonly key: Key; readonly temporary: string; readonly bytes: number };

/** Give an uploaded file its name, durably, once it is seen to be whole. */
async function settle(far: Far, { key, temporary, bytes, signal }: Upload): Promise<void> {
  const options = { signal };
  const stored = await far.sftp.stat(temporary, options);
  if (stored.bytes !== bytes) {
    throw new BackupError("FAILED", `Cannot trust "${temporary}": it has ${stored.bytes} bytes, ${bytes} were sent`, {
      hint: "Look for a full or broken disk on the far host.",
    });
  }
  await syncFile(far, temporary, options);
  const end = await publish(far, { from: temporary, to: far.path(key) }, options);
  if (end === "taken") throw new AlreadyExistsError(key, far.place.url);
  await syncDirectory(far, far.path(parentOf(key)), options);
}

/** The size of an object; `undefined` when there is none. */
async function sizeOf(far: Far, key: Key, options: CallOptions): Promise<number | undefined> {
  if (!(await isInside(far, parentOf(key), options))) return undefined;
  const found = await far.sftp.lstat(far.path(key), options);
  return found?.kind === "file" ? found.bytes : undefined;
}

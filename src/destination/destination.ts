import { BackupError } from "../domain/errors.ts";
import type { Key } from "../domain/key.ts";
import type { ByteStream, Digest } from "../lib/bytes.ts";

/** Every call ends with `signal.reason` when the signal is aborted. */
export type CallOptions = { readonly signal: AbortSignal };

/** About how long the content is, where that is known: it may be shorter, or longer. */
export type PutOptions = CallOptions & { readonly expectedBytes?: number | undefined };

/** For how long a URL is to work. */
export type ShareOptions = CallOptions & { readonly expiresSeconds: number };

/** `skip` tells of a folder, given as `a/b/`, that the caller has no use for what is in it. */
export type ListOptions = CallOptions & { readonly skip?: ((folder: string) => boolean) | undefined };

/** One stored object. */
export type Entry = { readonly key: Key; readonly bytes: number; readonly modifiedAt: Date };

/** Opaque; equal exactly when the stored bytes are the same generation. */
export type Version = string;

/** A small object held whole in memory, with the version it was read at. */
export type Small = { readonly content: Uint8Array; readonly version: Version };

/** What this store was found to do; measured when opened, shown by `check`. */
export type Capabilities = {
  /**
   * `native`: the store compares and swaps; `locked`: through a lock object that all our writers honour; `checked`: the store
   * does neither, and what was written is read before and after: two machines that write at the same moment go unnoticed.
   */
  readonly conditionalReplace: "native" | "locked" | "checked";
  /** Who computed the digest that `put()` returns, and whether the far side confirmed it. */
  readonly digest: "near" | "far" | "both";
  /** How content travels, such as `file`, `ssh program`, `sftp`. */
  readonly transport: string;
  /** Room left for the user that stores; `undefined` where the store does not tell. */
  readonly freeBytes: number | undefined;
};

/** Largest object `readSmall()` accepts, in bytes. */
export const SMALL_LIMIT_BYTES = 64 * 1024 * 1024;

/**
 * A place that stores objects under keys.
 *
 * Guarantees of every implementation: an object is complete or invisible; what a resolved call stored
 * survives a crash of the host that stored it; nothing outside the destination's root is read or
 * written; no method retries (see `retrying()`); errors are `BackupError`s whose `retryable` is set
 * where trying again can help.
 */
export interface Destination extends AsyncDisposable {
  /** For people: where this is. Holds no secret. */
  readonly url: string;

  /** What the store can do. Connects when it has to. */
  capabilities(options: CallOptions): Promise<Capabilities>;

  /**
   * Store a new object, all or nothing. When `content` throws, or the call is aborted, nothing is left
   * and the error of `content` is thrown as it is.
   * @returns length and SHA-256 of what was stored.
   * @throws {AlreadyExistsError} when `key` is taken; the object there is untouched.
   */
  put(key: Key, content: ByteStream, options: PutOptions): Promise<Digest>;

  /**
   * The bytes of an object. Ends only when all of them were delivered.
   * @throws {ObjectNotFoundError} on the first pull when there is none.
   */
  get(key: Key, options: CallOptions): ByteStream;

  /**
   * Objects whose key starts with `prefix` as a string (`""`: all), in ascending order of the key's
   * UTF-16 code units. Unfinished objects and lock objects never appear. An unknown prefix lists as empty; a listing
   * that cannot be completed throws. What lies in folders for which `skip` says so may be left out; a store that has no use for
   * that lists it all the same.
   */
  list(prefix: string, options: ListOptions): AsyncIterable<Entry>;

  /** Remove an object; removing one that is not there is no error. */
  remove(key: Key, options: CallOptions): Promise<void>;

  /** A small object and its version, or `undefined` when there is none. @throws {BackupError} DATA_DAMAGED above `SMALL_LIMIT_BYTES`. */
  readSmall(key: Key, options: CallOptions): Promise<Small | undefined>;

  /**
   * Replace a small object atomically, if it still has the `expected` version; `undefined` expects none.
   * @throws {ConflictError} when it has another; nothing is changed.
   */
  replaceSmall(
    key: Key,
    content: Uint8Array,
    options: CallOptions & { readonly expected: Version | undefined },
  ): Promise<Version>;

  /**
   * Remove what interrupted runs of this machine left below `host`: temporary objects, stale lock objects.
   * Leftovers of other machines go after a day.
   * @returns how many were removed.
   */
  sweep(host: string, options: CallOptions): Promise<number>;

  /**
   * A URL by which anybody can read an object until it expires; makes nothing public. Absent where the store has no such.
   * @throws {ObjectNotFoundError} when there is no such object.
   */
  share?(key: Key, options: ShareOptions): Promise<string>;
}

/** There is no object under a key. */
export class ObjectNotFoundError extends BackupError {
  override readonly name: string = "ObjectNotFoundError";
  readonly key: Key;

  constructor(key: Key, where: string, cause?: unknown) {
    super("NOT_FOUND", `Cannot read "${key}": there is no such object on ${where}`, {
      hint: 'Run "twindb-backup ls" to see what is there.',
      cause,
    });
    this.key = key;
  }
}

/** An object exists already under the key of a new one. */
export class AlreadyExistsError extends BackupError {
  override readonly name: string = "AlreadyExistsError";

  constructor(key: Key, where: string, cause?: unknown) {
    super("ALREADY_EXISTS", `Cannot store "${key}": an object of this name is already on ${where}`, { cause });
  }
}

/** Somebody else changed an object between our reading and our writing it. */
export class ConflictError extends BackupError {
  override readonly name: string = "ConflictError";

  constructor(key: Key, where: string, cause?: unknown) {
    super("CONFLICT", `Cannot replace "${key}" on ${where}: another writer changed it meanwhile`, { cause });
  }
}

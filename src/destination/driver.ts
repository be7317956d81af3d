/**
 * What a store of objects has to bring, so that the shared layer (`driven.ts`) makes a destination of it.
 *
 * A driver moves bytes and tells what went wrong; it decides nothing. Names that are taken, the barrier before an object is
 * published, cleaning up, retries, order and memory are the shared layer's. A driver is a plain object: one that a user
 * brings needs nothing of ours.
 *
 * Every call ends with `signal.reason` soon after its signal is aborted. A failure is an `Error` with a `code`
 * (`DriverErrorCode`), and `retryable: true` where the same call may succeed when tried again; then also
 * `retryAfterMilliseconds` where the store says how long to wait, and `hint` where there is something to do for people.
 * `NOT_FOUND` is always about the object: a store, bucket or container that is missing is `CONFIG_INVALID`.
 */
export interface Driver {
  /** What kind of store this is, such as `s3`. */
  readonly kind: string;

  /** For people: where this is, all that tells it from other places included. Holds no secret. */
  readonly url: string;

  readonly limits: DriverLimits;

  /**
   * Objects whose name starts with `prefix` as a string, in any order; nothing unfinished. Ends only when it has told all of
   * them. `skip` as in `Destination.list()`.
   */
  list(
    prefix: string,
    options: DriverCall & { readonly skip?: (folder: string) => boolean },
  ): AsyncIterable<StoredObject>;

  /** What is under a name now, also directly after it was stored; `undefined` when there is nothing. */
  stat(key: string, options: DriverCall): Promise<StoredObject | undefined>;

  /**
   * Exactly `bytes` bytes (more than 0) from `offset` on. May throw where it likes, but never ends short.
   * @throws `CHANGED` when the object has another version by now, `NOT_FOUND` when it is gone.
   */
  read(key: string, range: DriverRange, options: DriverCall): AsyncIterable<Uint8Array>;

  /** Begin an object. Nothing of it is visible before its commit. */
  start(
    key: string,
    options: DriverCall & { readonly nonce: string; readonly expectedBytes: number | undefined },
  ): Promise<Upload>;

  /**
   * Store a small object at once, if what is there has the `expected` version; `undefined` expects nothing to be there.
   * @returns its version. @throws `CONFLICT` when something else is there.
   */
  write(
    key: string,
    bytes: Uint8Array,
    options: DriverCall & { readonly nonce: string; readonly expected: string | undefined },
  ): Promise<string>;

  /** Remove an object; removing one that is not there is no error. */
  remove(key: string, options: DriverCall): Promise<void>;

  /** Uploads that were begun and neither committed nor aborted, where the store keeps such. */
  unfinished?(prefix: string, options: DriverCall): AsyncIterable<UnfinishedUpload>;

  /** Throw away one of `unfinished()`; no error when it is gone. */
  discard?(upload: UnfinishedUpload, options: DriverCall): Promise<void>;

  /** A URL by which anybody can read the object until it expires. Makes nothing public. */
  share?(key: string, options: DriverCall & { readonly expiresSeconds: number }): Promise<string>;

  /** The store's clock, for `check`. */
  now?(options: DriverCall): Promise<Date>;

  /** Free connections. The next call opens them again. */
  close(): Promise<void>;
}

/** A write-only handle of one object that is being made. After `commit()` or `abort()` it is not used any more. */
export interface Upload {
  /**
   * Send one part. Parts count from 1; up to `parallelParts` are under way at once, in any order. All but the last have at
   * least `leastPartBytes`, in multiples of 256 KiB where `mostPartBytes` has room for it; later ones may be longer. After a retryable failure it is called again with the same number
   * and bytes. `bytes` is the caller's again when this has settled.
   */
  part(number: number, bytes: Uint8Array, options: DriverCall): Promise<void>;

  /**
   * Publish the parts 1 to `parts` as one object, unless its name is taken. Called when no part is under way; again after
   * a retryable failure. @throws `ALREADY_EXISTS` when the name is taken.
   */
  commit(whole: WholeObject, options: DriverCall): Promise<void>;

  /** Throw it away, also after a failed commit. No part is under way. */
  abort(options: DriverCall): Promise<void>;
}

export type DriverCall = { readonly signal: AbortSignal };

/** One stored object. `version` is another one whenever its bytes were written again. */
export type StoredObject = {
  readonly key: string;
  readonly bytes: number;
  readonly modifiedAt: Date;
  readonly version: string;
  /**
   * What `start()` or `write()` was given as `nonce`, kept as metadata called `twindb-nonce`: 32 hex digits that tell our own
   * object from another's after an answer was lost. Asked of `stat()` only. Without it the content is read back and compared.
   */
  readonly nonce?: string | undefined;
};

export type DriverRange = { readonly offset: number; readonly bytes: number; readonly version: string };

/** What was sent: number of parts (at least 1), bytes in all, lower-case hex SHA-256. */
export type WholeObject = { readonly parts: number; readonly bytes: number; readonly sha256: string };

export type UnfinishedUpload = { readonly key: string; readonly id: string; readonly startedAt: Date };

/** What the store takes, in bytes. */
export type DriverLimits = {
  readonly leastPartBytes: number;
  readonly mostPartBytes: number;
  readonly mostParts: number;
  readonly mostObjectBytes: number;
  /** How many parts to have under way at once; 1 also means that they come in order. */
  readonly parallelParts: number;
  /** How many ranges to have under way at once on reading; as many as parts where it is not said. */
  readonly parallelReads?: number | undefined;
  /** Whether `write()` and `commit()` honour their conditions even when two writers come at once. */
  readonly isConditional: boolean;
};

/** What kind of failure an error of a driver is. Anything else counts as `FAILED`. */
export type DriverErrorCode =
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "CONFLICT"
  | "CHANGED"
  | "NOT_PERMITTED"
  | "UNREACHABLE"
  | "NO_SPACE"
  | "CONFIG_INVALID"
  | "FAILED";

/** What a driver is given when it is made. */
export type DriverContext = {
  /** The keys of its section of the config, as written. */
  readonly settings: Readonly<Record<string, string>>;
  /** Texts that must not be printed are hidden by whoever prints. */
  readonly log: { readonly debug: (message: string) => void; readonly warn: (message: string) => void };
  /** Count something, such as bytes sent or calls tried again. */
  readonly count: (name: string, amount: number) => void;
};

/** The default export of a driver's module. */
export type DriverFactory = (context: DriverContext) => Driver | Promise<Driver>;

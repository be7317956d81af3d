import { setTimeout as sleep } from "node:timers/promises";
import { type CallOptions, ConflictError, type Destination, type Small } from "../destination/destination.ts";
import type { Copy, CopyOf, Media } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import { type Key, toKey } from "../domain/key.ts";
import { type StoredObject, unrecorded } from "../domain/reconcile.ts";
import { type Status, statusOf } from "../domain/status.ts";
import { formatStatus, isUnversioned, parseStatus } from "./codec.ts";
import { damaged, NewerFormatError } from "./damage.ts";
import { Manifests } from "./manifests.ts";
import { adoptAll, ofMedia, recover, sized } from "./recover.ts";
import { replaceText } from "./replace.ts";

/** A status, and how far it can be trusted. */
export type Loaded<C extends Copy> = {
  readonly status: Status<C>;
  /** Where it comes from: the file, the generation before it, manifests and objects, or there was never one. */
  readonly origin: "current" | "previous" | "rebuilt" | "new";
  /** The file was damaged or lost: take a full copy, delete nothing, exit non-zero. */
  readonly doubtful: boolean;
  /** One line each, for people. */
  readonly warnings: readonly string[];
};

/** What `adopt()` took up, and what it could not. */
export type Adopted<C extends Copy> = Loaded<C> & {
  readonly adopted: readonly Key[];
  /** Everything under the host, as `reconcile()` needs it. */
  readonly objects: readonly StoredObject[];
};

/** Whose status of what. */
export type StatusOptions<M extends Media> = { readonly host: string; readonly media: M };

const FILES: Readonly<Record<Media, string>> = { mysql: "status", binlog: "binlog-status", files: "files-status" };

/** Where the status of one media of a host lies. */
export function statusKey(host: string, media: Media): Key {
  return toKey(`${host}/${FILES[media]}`);
}

const TRIES = 15;
const MAX_PAUSE_MS = 500;

type Reading<C extends Copy> = { readonly small: Small | undefined; readonly loaded: Loaded<C> };

/** What one host claims to have of one media on a destination, kept as one small object beside its copies. */
export class StatusStore<M extends Media> {
  readonly #destination: Destination;
  readonly #host: string;
  readonly #media: M;
  readonly #key: Key;
  readonly #manifests: Manifests;

  constructor(destination: Destination, { host, media }: StatusOptions<M>) {
    this.#destination = destination;
    this.#host = host;
    this.#media = media;
    this.#key = statusKey(host, media);
    this.#manifests = new Manifests(destination);
  }

  /**
   * Read the status. It is never taken for empty: where the file is damaged, or is missing although there are copies, it is built
   * from the generation before it and from what lies on the destination, and is `doubtful`.
   * Files copies of the predecessor, which kept no status of them, are all taken up when there is no status of files yet.
   * @throws {NewerFormatError} when a newer version of this program keeps it.
   */
  async load(options: CallOptions): Promise<Loaded<CopyOf<M>>> {
    return (await this.#read(options)).loaded;
  }

  /**
   * Change the status. `change` is pure; it is called again on what another writer left when that was faster, and must do no harm
   * when what it adds or removes is so already. The bytes before are kept as `….previous`; those that could not be read as `….damaged`;
   * a file of the oldest form for good as `….v0`.
   * @returns the status as it is now, as doubtful as the one it was changed from.
   */
  async update(
    change: (status: Status<CopyOf<M>>) => Status<CopyOf<M>>,
    options: CallOptions,
  ): Promise<Loaded<CopyOf<M>>> {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const { small, loaded } = await this.#read(options);
      const status = statusOf<CopyOf<M>>(change(loaded.status).copies);
      try {
        await this.#save(status, { small, loaded }, options);
        return { ...loaded, status };
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
      }
      await this.#pause(attempt, options);
    }
    throw new BackupError(
      "CONFLICT",
      `Cannot change "${this.#key}": other writers changed it ${TRIES} times meanwhile`,
      {
        hint: "Make sure that no two hosts share a name, then run again.",
        retryable: true,
      },
    );
  }

  /**
   * Build the status anew from the last readable one, the manifests and the objects, and save it. What cannot be built is named in
   * the warnings: MySQL copies of the predecessor without a record.
   */
  async rebuild(options: CallOptions): Promise<Loaded<CopyOf<M>>> {
    const { small } = await this.#read(options);
    const current = small && this.#parse(small.content, this.#key);
    const known = current instanceof BackupError ? undefined : current;
    const rebuilt = await this.#recover({ known: known ?? (await this.#previous(options)), ...options });
    const before = new Set(known?.copies.map(({ key }) => key));
    await this.update(
      (now) => statusOf([...now.copies.filter(({ key }) => !before.has(key)), ...rebuilt.status.copies]),
      options,
    );
    return { ...rebuilt, origin: "rebuilt", doubtful: false };
  }

  /**
   * Take up what lies there and is not recorded: copies with a manifest, whose run ended before it could record them, and
   * files copies of the predecessor, which have none. What is marked as unfinished is left to `Manifests.sweep()`.
   * See `unrecorded()` for how they are told apart.
   * @returns the status after it; as doubtful as before, although the saved one will load as current.
   */
  async adopt(options: CallOptions): Promise<Adopted<CopyOf<M>>> {
    const before = await this.load(options);
    const objects = await this.#objects(options);
    const { described, foreign } = unrecorded(before.status, this.#media, objects);
    const manifests = await this.#manifests.readAll(described, options);
    const byKey = new Map(objects.map((object) => [object.key, object]));
    const found = ofMedia(manifests.copies, this.#media).map((copy) => {
      const object = byKey.get(copy.key);
      return object ? sized(copy, object) : copy;
    });
    // A binlog of the predecessor without record may be cut short: it recorded none of a run that failed.
    if (this.#media === "files") found.push(...adoptAll(this.#media, foreign));

    const add = (now: Status<CopyOf<M>>): Status<CopyOf<M>> => statusOf([...found, ...now.copies]);
    const { status } = found.length === 0 ? before : await this.update(add, options);
    const taken = new Set(found.map(({ key }) => key));
    const warnings = [
      ...before.warnings,
      ...manifests.damaged.map(({ problem }) => problem.message),
      ...foreign.filter(({ key }) => !taken.has(key)).map(({ key }) => `"${key}" has no record and is not managed`),
    ];
    return { ...before, status, warnings, objects, adopted: [...taken] };
  }

  #objects({ signal }: CallOptions): Promise<StoredObject[]> {
    return Array.fromAsync(this.#destination.list(`${this.#host}/`, { signal }));
  }

  /** The status, or why these bytes are none. */
  #parse(content: Uint8Array, key: Key): Status<CopyOf<M>> | BackupError {
    try {
      const status = parseStatus(this.#media, content, key);
      if (status.copies.every((copy) => copy.host === this.#host)) return status;
      return damaged(key, "it lists copies of another host");
    } catch (error) {
      if (error instanceof NewerFormatError || !(error instanceof BackupError)) throw error;
      return error;
    }
  }

  async #previous({ signal }: CallOptions): Promise<Status<CopyOf<M>> | undefined> {
    const key = toKey(`${this.#key}.previous`);
    const small = await this.#destination.readSmall(key, { signal });
    const status = small && this.#parse(small.content, key);
    return status instanceof BackupError ? undefined : status;
  }

  async #read({ signal }: CallOptions): Promise<Reading<CopyOf<M>>> {
    const small = await this.#destination.readSmall(this.#key, { signal });
    const status = small && this.#parse(small.content, this.#key);
    if (status === undefined) return { small, loaded: await this.#replacement(undefined, { signal }) };
    if (status instanceof BackupError) return { small, loaded: await this.#replacement(status, { signal }) };
    return { small, loaded: { status, origin: "current", doubtful: false, warnings: [] } };
  }

  /** What stands in for a file that is damaged, or missing when there is no `problem`. */
  async #replacement(problem: BackupError | undefined, options: CallOptions): Promise<Loaded<CopyOf<M>>> {
    const known = await this.#previous(options);
    const recovered = await this.#recover({ known, ...options });
    if (problem === undefined && known === undefined && !recovered.wasManaged) {
      return { status: recovered.status, origin: "new", doubtful: false, warnings: [] };
    }
    const reason = problem?.message ?? `Cannot read "${this.#key}": it is missing although there are copies`;
    const origin = known === undefined ? "rebuilt" : "previous";
    return { ...recovered, origin, doubtful: true, warnings: [reason, ...recovered.warnings] };
  }

  async #recover(options: CallOptions & { readonly known: Status<CopyOf<M>> | undefined }) {
    const { known, signal } = options;
    const { copies, damaged } = await this.#manifests.all(this.#host, { media: this.#media, signal });
    const objects = await this.#objects({ signal });
    const manifests = ofMedia(copies, this.#media);
    const { foreign } = unrecorded({ copies: [] }, this.#media, objects);
    // The predecessor keeps no status of files, so its files copies alone say nothing.
    const wasManaged = copies.length + damaged.length > 0 || (this.#media !== "files" && foreign.length > 0);
    return { ...recover(this.#media, { known, manifests, damaged, objects }), wasManaged };
  }

  async #save(status: Status<CopyOf<M>>, before: Reading<CopyOf<M>>, { signal }: CallOptions): Promise<void> {
    const content = formatStatus(this.#media, status);
    const again = this.#parse(content, this.#key);
    if (again instanceof BackupError) throw new TypeError("a status must be readable", { cause: again });
    const { small, loaded } = before;
    if (small !== undefined) {
      if (Buffer.from(small.content).equals(content)) return;
      await this.#keep(small, loaded.origin === "current", { signal });
    }
    await this.#destination.replaceSmall(this.#key, content, { expected: small?.version, signal });
  }

  /** Keep the bytes that are about to be replaced. Damaged ones never take the place of a good generation. */
  async #keep({ content }: Small, isReadable: boolean, { signal }: CallOptions): Promise<void> {
    const suffixes = isReadable ? ["previous"] : ["damaged"];
    if (isReadable && isUnversioned(content)) suffixes.push("v0");
    for (const suffix of suffixes) {
      await replaceText(this.#destination, toKey(`${this.#key}.${suffix}`), { content, signal });
    }
  }

  async #pause(attempt: number, { signal }: CallOptions): Promise<void> {
    const milliseconds = Math.random() * Math.min(MAX_PAUSE_MS, 10 * 2 ** attempt);
    // The reason is thrown below, instead of the timer's own error.
    await sleep(milliseconds, undefined, { signal }).catch(() => undefined);
    signal.throwIfAborted();
  }
}

import { AlreadyExistsError, type CallOptions, type Destination } from "../destination/destination.ts";
import type { Copy, Media } from "../domain/copy.ts";
import { BackupError, isNotPermitted } from "../domain/errors.ts";
import type { Key } from "../domain/key.ts";
import { manifestKey, manifestPrefix, parseManifestKey } from "../domain/manifest.ts";
import { parseCopyKey } from "../domain/names.ts";
import { unrecorded } from "../domain/reconcile.ts";
import type { Status } from "../domain/status.ts";
import { formatManifest, parseManifest } from "./manifest-codec.ts";
import { replaceText } from "./replace.ts";

/** A manifest that cannot be read; its copy is neither listed nor removed. */
export type DamagedManifest = { readonly key: Key; readonly problem: BackupError };

/** What the manifests of a host say. */
export type AllManifests = { readonly copies: readonly Copy[]; readonly damaged: readonly DamagedManifest[] };

/** Which leftovers to sweep: of one media, not recorded in its status, marked before an instant such as the start of this run. */
export type SweepOptions = CallOptions & {
  readonly media: Media;
  readonly status: Status<Copy>;
  readonly before: Date;
};

const READERS = 8;

/** @returns whether the store permitted it. */
async function unlessRefused(removal: Promise<void>): Promise<boolean> {
  try {
    await removal;
    return true;
  } catch (error) {
    if (isNotPermitted(error)) return false;
    throw error;
  }
}

/**
 * What is remembered of each copy beside it, so that a lost status can be rebuilt.
 *
 * To store: `begin` → data → `write` → status. To expire: status → `remove` → data → `forget`. Between `begin` and `write`, and
 * between `remove` and `forget`, a mark says that the object under the key is no copy; what a run leaves that is cut off there
 * `sweep()` takes away. An object without mark and manifest is not ours and never swept.
 */
export class Manifests {
  readonly #destination: Destination;

  constructor(destination: Destination) {
    this.#destination = destination;
  }

  /**
   * Mark the object that will be stored under `key` as no copy yet. Take the mark away with `forget()` when the store
   * then says that the key is taken: what lies there is not ours.
   * @throws {AlreadyExistsError} when `key` is taken.
   * @throws {BackupError} CONFIG_INVALID when the name is too long for a manifest.
   */
  async begin(key: Key, options: CallOptions): Promise<void> {
    manifestKey(key);
    for await (const entry of this.#destination.list(key, options)) {
      if (entry.key === key) throw new AlreadyExistsError(key, this.#destination.url);
    }
    await this.#mark(key, options);
  }

  async #mark(key: Key, options: CallOptions): Promise<void> {
    const mark = Buffer.from(`${JSON.stringify({ key, state: "unfinished" })}\n`, "utf8");
    await replaceText(this.#destination, manifestKey(key, "unfinished"), { content: mark, ...options });
  }

  /** Describe a copy that is stored in full, in place of an earlier description; takes the mark away. */
  async write(copy: Copy, options: CallOptions): Promise<void> {
    const path = manifestKey(copy.key);
    const content = formatManifest(copy);
    parseManifest(content, copy.key, path);
    await replaceText(this.#destination, path, { content, ...options });
    await this.forget(copy.key, options);
  }

  /**
   * Describe a copy anew whose record was changed, in place of the description that was there. Marks stay: whether the copy is one is not
   * ours to say.
   */
  async amend(copy: Copy, { signal }: CallOptions): Promise<void> {
    const content = formatManifest(copy);
    const path = manifestKey(copy.key);
    parseManifest(content, copy.key, path);
    await replaceText(this.#destination, path, { content, signal });
  }

  /** The description of the copy under `key`; `undefined` when there is none. @throws {BackupError} DATA_DAMAGED */
  async read(key: Key, { signal }: CallOptions): Promise<Copy | undefined> {
    const path = manifestKey(key);
    const small = await this.#destination.readSmall(path, { signal });
    return small && parseManifest(small.content, key, path);
  }

  /** All descriptions of a host's copies, or of one media; those that cannot be read are told apart, not thrown. */
  async all(host: string, options: CallOptions & { readonly media?: Media }): Promise<AllManifests> {
    const { media, signal } = options;
    const keys: Key[] = [];
    for await (const { key: path } of this.#destination.list(manifestPrefix(host), { signal })) {
      const found = parseManifestKey(path);
      if (found?.state !== "complete") continue;
      if (media === undefined || parseCopyKey(found.key)?.media === media) keys.push(found.key);
    }
    return this.readAll(keys, { signal });
  }

  /** The descriptions of these copies; one that is gone meanwhile is left out. */
  async readAll(keys: readonly Key[], options: CallOptions): Promise<AllManifests> {
    const copies: Copy[] = [];
    const damaged: DamagedManifest[] = [];
    for (let start = 0; start < keys.length; start += READERS) {
      const batch = keys.slice(start, start + READERS);
      for (const found of await Promise.all(batch.map(async (key) => this.#tryRead(key, options)))) {
        if (found === undefined) continue;
        if ("problem" in found) damaged.push(found);
        else copies.push(found);
      }
    }
    return { copies, damaged };
  }

  async #tryRead(key: Key, options: CallOptions): Promise<Copy | DamagedManifest | undefined> {
    try {
      return await this.read(key, options);
    } catch (error) {
      if (error instanceof BackupError && error.code === "DATA_DAMAGED") return { key, problem: error };
      throw error;
    }
  }

  /** Forget the description of a copy that goes, and mark its object as no copy any more. */
  async remove(key: Key, options: CallOptions): Promise<void> {
    await this.#mark(key, options);
    await this.#destination.remove(manifestKey(key), options);
  }

  /**
   * Take the mark away: the copy is described, or its data is gone. Where nothing may be removed the mark stays and does no harm: beside a
   * manifest it is stale, and without an object it names nothing.
   */
  async forget(key: Key, { signal }: CallOptions): Promise<void> {
    await unlessRefused(this.#destination.remove(manifestKey(key, "unfinished"), { signal }));
  }

  /**
   * Remove what runs left that were cut off: objects with a mark but neither manifest nor record, and stale marks. Run
   * `StatusStore.adopt()` first.
   * Only for who holds the lock of this host, for the marks of a running store look the same.
   * @returns the keys of the objects that were removed.
   */
  async sweep(host: string, options: SweepOptions): Promise<Key[]> {
    const { media, status, before, signal } = options;
    const entries = await Array.fromAsync(this.#destination.list(manifestPrefix(host), { signal }));
    const { unfinished, stale } = unrecorded(status, media, entries);
    for (const key of stale) await this.forget(key, { signal });
    const swept: Key[] = [];
    for (const { key, since } of unfinished) {
      if (since >= before) continue;
      // One that is locked is hidden by its mark, until a later run may remove it.
      if (!(await unlessRefused(this.#destination.remove(key, { signal })))) continue;
      await this.forget(key, { signal });
      swept.push(key);
    }
    return swept;
  }
}

import type { RetryPolicy } from "./attempts.ts";
import type { AzBlob, AzClient } from "./az-client.ts";
import { type AzConnection, parseConnectionString } from "./az-connection.ts";
import { type AzAction, type AzPlace, azError } from "./az-errors.ts";
import { AzFailure } from "./az-failure.ts";
import {
  escapedKey,
  escapedPrefix,
  keyUnder,
  readVersion,
  type Spellings,
  spellingsOf,
  versionOf,
} from "./az-names.ts";
import { AzUpload } from "./az-upload.ts";
import type { Destination } from "./destination.ts";
import { driven } from "./driven.ts";
import type { Driver, DriverCall, DriverLimits, DriverRange, StoredObject, Upload } from "./driver.ts";
import type { AzOptions } from "./options.ts";

const MIB = 1024 * 1024;

/** More than this at a time would cost memory and win nothing. */
const MOST_CHUNK_BYTES = 64 * MIB;

/** https://learn.microsoft.com/azure/storage/blobs/scalability-targets; blocks could have 4,000 MiB, but are held in memory here. */
const MOST_BLOCKS = 50_000;
const MOST_BLOCK_BYTES = 1024 * MIB;

/** What tests set otherwise. */
export type AzTuning = {
  /** How long the other side may be silent. */
  readonly silenceMilliseconds?: number;
  /** Blobs on one page of a listing. */
  readonly pageBlobs?: number;
  readonly policy?: RetryPolicy;
};

type Writing = DriverCall & { readonly nonce: string; readonly expected: string | undefined };

/** A container of Azure Blob Storage as a destination. @throws {BackupError} CONFIG_INVALID when the connection string is none. */
export async function openAz(options: AzOptions, tuning: AzTuning = {}): Promise<Destination> {
  const { policy } = tuning;
  const url = urlOf(parseConnectionString(options.connectionString), options);
  return driven(() => azDriver(options, tuning), { url, ...(policy && { policy }) });
}

/** Make the driver of a container. Loads the library; connects with the first call. */
async function azDriver(options: AzOptions, tuning: AzTuning = {}): Promise<Driver> {
  const connection = parseConnectionString(options.connectionString);
  const { AzClient } = await import("./az-client.ts");
  const { silenceMilliseconds = 60_000 } = tuning;
  return new AzDriver(new AzClient({ connection, container: options.container, silenceMilliseconds }), {
    url: urlOf(connection, options),
    spellings: spellingsOf(options.remotePath),
    place: placeOf(connection, options),
    limits: limitsOf(options.chunkBytes),
    pageBlobs: tuning.pageBlobs ?? 5000,
  });
}

/** The predecessor's upload chunk is the least part here: parts grow where a copy needs more than 50,000 of them. */
function limitsOf(chunkBytes: number): DriverLimits {
  return {
    leastPartBytes: Math.min(Math.max(chunkBytes, MIB), MOST_CHUNK_BYTES),
    mostPartBytes: MOST_BLOCK_BYTES,
    mostParts: MOST_BLOCKS,
    mostObjectBytes: MOST_BLOCKS * MOST_BLOCK_BYTES,
    parallelParts: 8,
    isConditional: true,
  };
}

function placeOf({ endpoint, account, login }: AzConnection, { container }: AzOptions): AzPlace {
  const { host } = new URL(endpoint);
  return { host, account: account ?? host.split(".")[0] ?? host, container, login: login.kind };
}

function urlOf({ endpoint }: AzConnection, { container, remotePath }: AzOptions): string {
  const path = spellingsOf(remotePath)[0].replace(/\/$/, "");
  return [endpoint, container, path].filter(Boolean).join("/");
}

type AzStore = {
  readonly url: string;
  readonly spellings: Spellings;
  readonly place: AzPlace;
  readonly limits: DriverLimits;
  readonly pageBlobs: number;
};

/** A container of Azure Blob Storage. New objects get the tidy name; old ones are found under each spelling of theirs. */
class AzDriver implements Driver {
  readonly kind = "az";
  readonly url: string;
  readonly limits: DriverLimits;
  readonly #client: AzClient;
  readonly #store: AzStore;

  constructor(client: AzClient, store: AzStore) {
    this.#client = client;
    this.#store = store;
    this.url = store.url;
    this.limits = store.limits;
  }

  /** The spelling that comes first wins a key that has several. */
  async *list(prefix: string, options: DriverCall): AsyncGenerator<StoredObject, void> {
    const told = new Set<string>();
    try {
      for (const place of this.#store.spellings.keys()) {
        for await (const page of this.#pages(place, prefix, options)) {
          yield* page.filter(({ key }) => !told.has(key) && told.add(key));
        }
      }
    } catch (error) {
      throw this.#explained(error, "list");
    }
  }

  async stat(key: string, options: DriverCall): Promise<StoredObject | undefined> {
    return (await this.#during("look at", () => this.#find(key, options)))?.object;
  }

  async *read(
    key: string,
    { version, offset, bytes }: DriverRange,
    options: DriverCall,
  ): AsyncGenerator<Uint8Array, void> {
    const { place, etag } = readVersion(version) ?? { place: 0, etag: version };
    try {
      yield* this.#client.read(this.#name(place, key), { offset, bytes, etag }, options);
    } catch (error) {
      throw this.#explained(error, "read");
    }
  }

  async start(key: string, { nonce }: DriverCall & { readonly nonce: string }): Promise<Upload> {
    const upload = new AzUpload({
      client: this.#client,
      name: this.#name(0, key),
      nonce,
      isTaken: async (options) => (await this.#findOld(key, options)) !== undefined,
    });
    const storing = (work: () => Promise<void>) => this.#during("store", work);
    return {
      part: (number, bytes, options) => storing(() => upload.part(number, bytes, options)),
      commit: (whole, options) => storing(() => upload.commit(whole, options)),
      abort: (options) => storing(() => upload.abort(options)),
    };
  }

  /** Replaces an object where it was found: a status of the predecessor stays where that reads it. */
  write(key: string, bytes: Uint8Array, { expected, nonce, signal }: Writing): Promise<string> {
    return this.#during("replace", async () => {
      const old = expected === undefined ? { place: 0, etag: undefined } : readVersion(expected);
      const isOther = old === undefined || (expected === undefined && (await this.#findOld(key, { signal })));
      if (isOther) throw new AzFailure({ code: "ConditionNotMet" });
      const etag = await this.#client.write(this.#name(old.place, key), bytes, { signal, nonce, etag: old.etag });
      return versionOf(old.place, etag);
    });
  }

  /** All spellings of it, or it would come back under another one. */
  remove(key: string, { signal }: DriverCall): Promise<void> {
    return this.#during("remove", async () => {
      const names = this.#store.spellings.map((_, place) => this.#name(place, key));
      await Promise.all(names.map((name) => this.#client.remove(name, { signal, etag: undefined })));
    });
  }

  share(key: string, { signal, expiresSeconds }: DriverCall & { readonly expiresSeconds: number }): Promise<string> {
    return this.#during("share", async () => {
      const found = await this.#find(key, { signal });
      if (found === undefined) throw new AzFailure({ status: 404, code: "BlobNotFound" });
      const url = this.#client.sign(found.name, new Date(found.saidAt.getTime() + expiresSeconds * 1000));
      if (url === undefined) throw new AzFailure({ code: "NO_ACCOUNT_KEY" });
      return url;
    });
  }

  now(options: DriverCall): Promise<Date> {
    return this.#during("ask", () => this.#client.now(options));
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  /** What lies under one spelling. */
  async *#pages(place: number, prefix: string, options: DriverCall): AsyncGenerator<StoredObject[], void> {
    const spelling = this.#store.spellings[place] ?? "";
    const start = `${spelling}${escapedPrefix(prefix)}`;
    for await (const page of this.#client.list(start, this.#store.pageBlobs, options)) {
      yield page.flatMap((blob) => {
        const key = keyUnder(spelling, blob.name);
        return key?.startsWith(prefix) ? [stored(key, place, blob)] : [];
      });
    }
  }

  async #find(key: string, options: DriverCall) {
    return (await this.#at(0, key, options)) ?? (await this.#findOld(key, options));
  }

  /** An object under a spelling other than the tidy one. */
  async #findOld(key: string, options: DriverCall) {
    const places = this.#store.spellings.map((_, place) => place).slice(1);
    const found = await Promise.all(places.map((place) => this.#at(place, key, options)));
    return found.find((one) => one !== undefined);
  }

  async #at(place: number, key: string, options: DriverCall) {
    const head = await this.#client.head(this.#name(place, key), options);
    if (head === undefined) return undefined;
    const { name, saidAt, nonce } = head;
    return { name, saidAt, object: { ...stored(key, place, head), nonce } };
  }

  #name(place: number, key: string): string {
    return `${this.#store.spellings[place] ?? this.#store.spellings[0]}${escapedKey(key)}`;
  }

  async #during<T>(action: AzAction, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.#explained(error, action);
    }
  }

  #explained(error: unknown, action: AzAction): unknown {
    return azError(error, { action, place: this.#store.place, now: new Date() });
  }
}

function stored(key: string, place: number, { bytes, modifiedAt, etag }: AzBlob): StoredObject {
  return { key, bytes, modifiedAt, version: versionOf(place, etag) };
}

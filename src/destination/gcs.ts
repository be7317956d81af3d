import { createHash, randomUUID } from "node:crypto";
import { BackupError } from "../domain/errors.ts";
import type { Destination } from "./destination.ts";
import { driven } from "./driven.ts";
import type { Driver, DriverCall, DriverLimits, StoredObject, UnfinishedUpload } from "./driver.ts";
import { NONCE } from "./gcs-answer.ts";
import { GcsClient, type GcsPlace } from "./gcs-client.ts";
import { ANONYMOUS, type Credentials, openCredentials } from "./gcs-credentials.ts";
import { openHttp } from "./gcs-http.ts";
import { findParts, listObjects, listRemains } from "./gcs-list.ts";
import { findObject } from "./gcs-object.ts";
import { asOne, missingPart, type PartSet } from "./gcs-parts.ts";
import { GcsReader } from "./gcs-read.ts";
import { startUpload } from "./gcs-upload.ts";
import type { GcsOptions } from "./options.ts";

const GOOGLE = "https://storage.googleapis.com";

/** https://cloud.google.com/storage/quotas; the size of a chunk is ours: one answer is waited for after each. */
const LIMITS = {
  leastPartBytes: 16 * 1024 * 1024,
  mostPartBytes: 1024 ** 3,
  mostParts: 2 ** 31,
  mostObjectBytes: 5 * 1024 ** 4,
  parallelParts: 1,
  parallelReads: 4,
  isConditional: true,
} as const;

/** Longest life of a signed URL. */
const MOST_SHARE_SECONDS = 7 * 24 * 3600;

/** How many parts of a copy of the predecessor are removed at once. */
const PARALLEL_REMOVALS = 8;

/** How patient to be, and how large chunks are, for tests. */
type GcsTuning = { readonly stallMilliseconds?: number; readonly chunkBytes?: number };

/** Open a bucket of Google Cloud Storage. Nothing is sent, and no library loaded, before the first call. */
export async function openGcs(options: GcsOptions, tuning?: GcsTuning): Promise<Destination> {
  return driven(() => gcsDriver(options, tuning), { url: urlOf(options) });
}

/**
 * What a bucket of Google Cloud Storage does.
 * @throws {BackupError} CONFIG_INVALID when the endpoint, the key or the credentials file cannot be used.
 */
export async function gcsDriver(
  options: Omit<GcsOptions, "kind">,
  { stallMilliseconds = 60_000, chunkBytes = LIMITS.leastPartBytes }: GcsTuning = {},
): Promise<Driver> {
  const place = placeOf(options);
  const credentials = await credentialsOf(options, place);
  return new GcsDriver(new GcsClient(place, credentials, openHttp(stallMilliseconds)), chunkBytes);
}

function placeOf({ bucket, endpoint, prefix, encryptionKey }: Omit<GcsOptions, "kind">): GcsPlace {
  const server = (endpoint ?? GOOGLE).replace(/\/+$/, "");
  if (!URL.canParse(server) || !/^https?:$/.test(new URL(server).protocol)) {
    throw new BackupError("CONFIG_INVALID", `Cannot use "${endpoint}" as endpoint of [gcs]: it is no URL`, {
      hint: "Set endpoint to a URL such as https://storage.googleapis.com, or remove the line.",
    });
  }
  if (encryptionKey !== undefined && !isKey(encryptionKey.reveal())) {
    throw new BackupError("CONFIG_INVALID", "Cannot use gc_encryption_key of [gcs]: it is not 32 bytes in base64", {
      hint: 'Make a key with "openssl rand -base64 32", and keep it where it survives this host.',
    });
  }
  return {
    url: urlOf({ bucket, prefix, endpoint }),
    bucket,
    folder: prefix === "" ? "" : `${prefix}/`,
    endpoint: server,
    encryptionKey,
  };
}

/** Where it is, for people. An endpoint may hold a password. */
function urlOf({ bucket, prefix, endpoint }: Pick<GcsOptions, "bucket" | "prefix" | "endpoint">): string {
  const below = `gs://${bucket}${prefix === "" ? "" : `/${prefix}`}`;
  return endpoint === undefined || !URL.canParse(endpoint) ? below : `${below} at ${new URL(endpoint).host}`;
}

function isKey(text: string): boolean {
  const bytes = Buffer.from(text, "base64");
  return bytes.length === 32 && bytes.toString("base64") === text;
}

async function credentialsOf({ credentialsFile }: Omit<GcsOptions, "kind">, place: GcsPlace): Promise<Credentials> {
  const isOpen = place.endpoint.startsWith("http:") && process.env["GOOGLE_APPLICATION_CREDENTIALS"] === undefined;
  if (credentialsFile === undefined && isOpen) return ANONYMOUS;
  return openCredentials({ file: credentialsFile, endpoint: place.endpoint });
}

class GcsDriver implements Driver {
  readonly kind = "gcs";
  readonly limits: DriverLimits;
  readonly url: string;
  readonly #client: GcsClient;
  readonly #reader: GcsReader;

  constructor(client: GcsClient, leastPartBytes: number) {
    this.url = client.place.url;
    this.limits = { ...LIMITS, leastPartBytes };
    this.#client = client;
    this.#reader = new GcsReader(client);
  }

  list(prefix: string, options: Parameters<Driver["list"]>[1]): AsyncIterable<StoredObject> {
    return listObjects(this.#client, prefix, options);
  }

  async stat(key: string, { signal }: DriverCall): Promise<StoredObject | undefined> {
    const found = await findObject(this.#client, key, { verb: "look up", signal });
    if (found !== undefined) {
      const { bytes, modifiedAt, version, nonce } = found;
      return { key, bytes, modifiedAt, version, nonce };
    }
    const set = await findParts(this.#client, key, { verb: "look up", signal });
    return missingPart(set) === undefined ? asOne(set) : undefined;
  }

  read(...[key, range, options]: Parameters<Driver["read"]>): AsyncIterable<Uint8Array> {
    return this.#reader.read(key, range, options);
  }

  start(...[key, options]: Parameters<Driver["start"]>): ReturnType<Driver["start"]> {
    return startUpload(this.#client, key, options);
  }

  async write(...[key, bytes, { nonce, expected, signal }]: Parameters<Driver["write"]>): Promise<string> {
    const doing = { verb: "store", object: key } as const;
    const { body, contentType } = multipart({ name: this.#client.nameOf(key), metadata: { [NONCE]: nonce } }, bytes);
    const { status, text } = await this.#client.text({
      method: "POST",
      url: this.#client.uploadUrl({ uploadType: "multipart", ifGenerationMatch: expected ?? "0" }),
      headers: { ...this.#client.encryptionHeaders(), "content-type": contentType },
      body,
      expect: [200, 412],
      doing,
      signal,
    });
    if (status === 412)
      throw new BackupError("CONFLICT", `Cannot store "${key}" on ${this.url}: it was changed meanwhile`);
    return this.#client.found(this.#client.parsed(text, doing), doing).generation;
  }

  async remove(key: string, { signal }: DriverCall): Promise<void> {
    await this.#removeOne(key, { signal, key });
    await this.#removeParts(key, await findParts(this.#client, key, { verb: "remove", signal }), signal);
  }

  unfinished(prefix: string, options: DriverCall): AsyncIterable<UnfinishedUpload> {
    return listRemains(this.#client, prefix, options);
  }

  async discard({ key }: UnfinishedUpload, { signal }: DriverCall): Promise<void> {
    const set = await findParts(this.#client, key, { verb: "remove", signal });
    // A set that has its first part is a copy, by now.
    if (missingPart(set) === 0) await this.#removeParts(key, set, signal);
  }

  async share(...[key, { expiresSeconds, signal }]: Parameters<NonNullable<Driver["share"]>>): Promise<string> {
    const cannot = `Cannot share "${key}" on ${this.url}`;
    if (expiresSeconds > MOST_SHARE_SECONDS) {
      throw new BackupError("USAGE", `${cannot}: a URL of Google Cloud Storage works for 7 days at most`);
    }
    if (this.#client.place.encryptionKey !== undefined) {
      throw new BackupError("CONFIG_INVALID", `${cannot}: nobody can read it without gc_encryption_key`, {
        hint: "Restore the copy, and hand on what is in it.",
      });
    }
    if ((await findObject(this.#client, key, { verb: "share", signal })) === undefined) {
      const { parts } = await findParts(this.#client, key, { verb: "share", signal });
      const what = parts.length > 0 ? `it consists of ${parts.length} objects` : "there is no such object";
      throw new BackupError(parts.length > 0 ? "FAILED" : "NOT_FOUND", `${cannot}: ${what}`);
    }
    return this.#client.sign(key, { expiresAt: new Date(Date.now() + expiresSeconds * 1000), signal });
  }

  async now({ signal }: DriverCall): Promise<Date> {
    const url = this.#client.url(undefined, { maxResults: "1", fields: "nextPageToken" });
    const doing = { verb: "list", object: "/" } as const;
    const { answer } = await this.#client.text({ method: "GET", url, expect: [200], doing, signal });
    const date = new Date(answer.header("date") ?? Number.NaN);
    if (Number.isNaN(date.getTime())) throw this.#client.broken(new Error("the answer has no date"), doing);
    return date;
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  /** The first part goes first, and alone: what is left without it is no copy. */
  async #removeParts(key: string, { parts }: PartSet, signal: AbortSignal): Promise<void> {
    const [first, ...rest] = parts;
    if (first !== undefined) await this.#removeOne(first.key, { signal, key });
    const queue = rest.values();
    const done = await Promise.allSettled(
      Array.from({ length: PARALLEL_REMOVALS }, async () => {
        for (const part of queue) await this.#removeOne(part.key, { signal, key });
      }),
    );
    // Nothing is removed any more when this has ended.
    for (const result of done) if (result.status === "rejected") throw result.reason;
  }

  /** Remove one object, as a piece of `key`. */
  async #removeOne(name: string, { signal, key }: DriverCall & { readonly key: string }): Promise<void> {
    const doing = { verb: "remove", object: key } as const;
    const url = this.#client.url(name);
    await this.#client.text({ method: "DELETE", url, expect: [200, 204, 404], doing, signal });
  }
}

/** A description and the bytes it is about, as one body. The server compares the bytes with the checksum before it stores them. */
function multipart(description: Readonly<Record<string, unknown>>, bytes: Uint8Array) {
  const boundary = randomUUID();
  const md5Hash = createHash("md5").update(bytes).digest("base64");
  const json = JSON.stringify({ ...description, md5Hash, contentType: "application/octet-stream" });
  const head = `--${boundary}\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n${json}\r\n`;
  const body = [
    Buffer.from(`${head}--${boundary}\r\ncontent-type: application/octet-stream\r\n\r\n`),
    bytes,
    Buffer.from(`\r\n--${boundary}--\r\n`),
  ];
  return { body, contentType: `multipart/related; boundary=${boundary}` };
}

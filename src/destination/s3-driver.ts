import type {
  Driver,
  DriverCall,
  DriverLimits,
  DriverRange,
  StoredObject,
  UnfinishedUpload,
  Upload,
} from "./driver.ts";
import type { S3Options } from "./options.ts";
import { type Page, S3Calls } from "./s3-client.ts";
import { Conditions, type Writing } from "./s3-conditions.ts";
import type { S3Tuning } from "./s3-config.ts";
import { atTheSameTime, doing, placeOf, refusal, type S3Site } from "./s3-deeds.ts";
import { codeOf, statusOf } from "./s3-failure.ts";
import { MOST_SHARED_SECONDS } from "./s3-presign.ts";
import { readRange } from "./s3-read.ts";
import { discardUpload, S3Upload } from "./s3-upload.ts";

const MIB = 1024 ** 2;

/** What Amazon S3 takes; servers of others may stop at less than 5 TiB, none at less than 10,000 parts. */
const LIMITS: DriverLimits = {
  leastPartBytes: 5 * MIB,
  mostPartBytes: 5 * 1024 * MIB,
  mostParts: 10_000,
  mostObjectBytes: 5 * 1024 ** 2 * MIB,
  parallelParts: 13,
  // More would cost memory: what a connection read is garbage that lies about for a while.
  parallelReads: 4,
  isConditional: true,
};

/** The driver of a bucket. Nothing is sent before the first call. */
export function s3Driver(options: S3Options, tuning: S3Tuning = {}): Driver {
  return new S3Driver(options, tuning);
}

class S3Driver implements Driver {
  readonly kind = "s3";
  readonly url: string;
  readonly #site: S3Site;
  readonly #options: S3Options;
  /** Whether an answer has told that there is such a bucket. */
  #isBucketKnown = false;

  constructor(options: S3Options, tuning: S3Tuning) {
    this.#options = options;
    const calls = new S3Calls(options, tuning);
    const conditions = new Conditions(calls, options.endpoint === undefined);
    this.#site = { calls, conditions, place: placeOf(options) };
    this.url = this.#site.place.url;
  }

  /** Whether conditions are honoured may come out when something is stored. */
  get limits(): DriverLimits {
    return { ...LIMITS, isConditional: this.#site.conditions.areHonoured };
  }

  async *list(prefix: string, { signal }: DriverCall): AsyncGenerator<StoredObject, void> {
    const deed = { verb: "list", object: `${prefix}*`, permission: "s3:ListBucket", signal };
    yield* this.#pages(deed, (from: string | undefined) => this.#site.calls.list(prefix, from, { signal }));
  }

  async stat(key: string, { signal }: DriverCall): Promise<StoredObject | undefined> {
    const deed = { verb: "look up", object: key, permission: "s3:GetObject and s3:ListBucket", signal };
    const { calls } = this.#site;
    return doing(this.#site, deed, async () => {
      if (!this.#isBucketKnown && (await this.#isMissing(key, { signal }))) return undefined;
      try {
        return await calls.head(key, { signal });
      } catch (error) {
        if (statusOf(error) === undefined) throw error;
        if (statusOf(error) === 404 && this.#isBucketKnown) return undefined;
        return this.#askAgain(key, error, { signal });
      }
    });
  }

  read(key: string, range: DriverRange, options: DriverCall): AsyncIterable<Uint8Array> {
    return readRange(this.#site, { key, ...range }, options);
  }

  async start(key: string, { signal, nonce }: DriverCall & { readonly nonce: string }): Promise<Upload> {
    const deed = { verb: "store", object: key, permission: "s3:PutObject", signal };
    const begun = await doing(this.#site, deed, () => this.#site.calls.begin(key, { signal, nonce }));
    return new S3Upload(this.#site, begun);
  }

  async write(key: string, bytes: Uint8Array, { signal, nonce, expected }: Writing): Promise<string> {
    const deed = { verb: "store", object: key, permission: "s3:PutObject", signal };
    const { calls, conditions } = this.#site;
    const answers = (code: string): undefined => {
      // With a version expected, nothing at all is something else too.
      if (code === "PreconditionFailed" || (code === "NoSuchKey" && expected !== undefined)) throw otherIsThere();
      if (code === "ConditionalRequestConflict") throw atTheSameTime();
    };
    const isMet = async () => (await this.stat(key, { signal }))?.version === expected;
    const publish = (isConditional: boolean) => calls.put(key, bytes, { signal, nonce, expected, isConditional });
    return doing(this.#site, { ...deed, answers }, async () => {
      const version = await conditions.meet({ isMet, publish }, otherIsThere);
      await conditions.prove(key, bytes, { signal, nonce, expected });
      return version;
    });
  }

  async remove(key: string, { signal }: DriverCall): Promise<void> {
    const deed = { verb: "remove", object: key, permission: "s3:DeleteObject", signal };
    await doing(this.#site, deed, () => this.#site.calls.remove(key, { signal }));
  }

  async *unfinished(prefix: string, { signal }: DriverCall): AsyncGenerator<UnfinishedUpload, void> {
    const deed = {
      verb: "list what is unfinished below",
      object: prefix,
      permission: "s3:ListBucketMultipartUploads",
      signal,
    };
    type From = Parameters<S3Calls["uploads"]>[1];
    yield* this.#pages(deed, (from: From) => this.#site.calls.uploads(prefix, from, { signal }));
  }

  async discard({ key, id }: UnfinishedUpload, options: DriverCall): Promise<void> {
    await discardUpload(this.#site, { key, id }, options);
  }

  async share(
    key: string,
    { signal, expiresSeconds }: DriverCall & { readonly expiresSeconds: number },
  ): Promise<string> {
    const deed = { verb: "share", object: key, permission: "s3:GetObject", signal };
    if (this.#options.sse?.kind === "customer") {
      throw refusal("CONFIG_INVALID", { what: "who has a link does not have the key of sse=customer" });
    }
    if (expiresSeconds > MOST_SHARED_SECONDS) {
      throw refusal("CONFIG_INVALID", { what: "a link is good for seven days at most" });
    }
    return doing(this.#site, deed, () => this.#site.calls.share(key, expiresSeconds, { signal }));
  }

  async now({ signal }: DriverCall): Promise<Date> {
    const { calls, place } = this.#site;
    const deed = { verb: "ask", object: place.bucket, permission: "s3:ListBucket", signal };
    const asked = Date.now();
    // A refusal has a date as well.
    const answers = (_: string, error: unknown) => (statusOf(error) === undefined ? undefined : true);
    await doing(this.#site, { ...deed, answers }, async () => {
      await calls.ping({ signal });
      return true;
    });
    const { clocks } = calls;
    if (clocks === undefined || clocks.here.getTime() < asked) {
      throw refusal("FAILED", { what: "the server does not tell the time" });
    }
    return clocks.server;
  }

  async close(): Promise<void> {
    this.#site.calls.close();
  }

  async *#pages<T, From>(
    deed: Parameters<typeof doing>[1],
    ask: (from: From | undefined) => Promise<Page<T, From>>,
  ): AsyncGenerator<T, void> {
    for (let from: From | undefined; ; ) {
      const start = from;
      const { found, next } = await doing(this.#site, deed as never, () => ask(start));
      this.#isBucketKnown = true;
      for (const one of found) {
        deed.signal.throwIfAborted();
        yield one;
      }
      if (next === undefined) return;
      from = next;
    }
  }

  /**
   * Whether there is a bucket without such an object. A HEAD that finds nothing does not tell what is not there, and to ask again takes as long as
   * the way there and back.
   */
  async #isMissing(key: string, { signal }: DriverCall): Promise<boolean> {
    try {
      const { body } = await this.#site.calls.get(key, undefined, { signal });
      // Not read to its end: some servers send all of an object where one byte was asked for.
      body.destroy();
      this.#isBucketKnown = true;
      return false;
    } catch (error) {
      if (codeOf(error) !== "NoSuchKey") return false;
      this.#isBucketKnown = true;
      return true;
    }
  }

  /** The answer to HEAD never says why it fails; the one to GET does. */
  async #askAgain(key: string, failure: unknown, { signal }: DriverCall): Promise<StoredObject | undefined> {
    try {
      const { body } = await this.#site.calls.get(key, undefined, { signal });
      body.destroy();
    } catch (error) {
      if (codeOf(error) === "InvalidRange") throw failure;
      if (codeOf(error) !== "NoSuchKey") throw error;
      this.#isBucketKnown = true;
      return undefined;
    }
    // It came into being meanwhile, or the clock has been corrected.
    return this.#site.calls.head(key, { signal });
  }
}

function otherIsThere(): Error {
  return refusal("CONFLICT", { what: "something else is there" });
}

import type { DriverCall, Upload, WholeObject } from "./driver.ts";
import { pause } from "./pause.ts";
import type { Begun } from "./s3-client.ts";
import { atTheSameTime, doing, refusal, type S3Site } from "./s3-deeds.ts";
import { statusOf } from "./s3-failure.ts";
import type { SentPart } from "./s3-parts.ts";

const ABORT_TRIES = 6;
const ABORT_WAIT_MS = 250;

/** An object that is sent in parts. */
export class S3Upload implements Upload {
  readonly #site: S3Site;
  readonly #begun: Begun;
  readonly #parts = new Map<number, SentPart>();

  constructor(site: S3Site, begun: Begun) {
    this.#site = site;
    this.#begun = begun;
  }

  async part(number: number, bytes: Uint8Array, { signal }: DriverCall): Promise<void> {
    const deed = { verb: "store", object: this.#begun.key, permission: "s3:PutObject", signal };
    const sent = await doing(this.#site, deed, () => this.#site.calls.part(this.#begun, { number, bytes }, { signal }));
    this.#parts.set(number, sent);
  }

  async commit({ parts }: WholeObject, { signal }: DriverCall): Promise<void> {
    const deed = { verb: "store", object: this.#begun.key, permission: "s3:PutObject", signal };
    const sent = Array.from({ length: parts }, (_, index) => this.#parts.get(index + 1));
    const complete = sent.filter((part) => part !== undefined);
    if (complete.length !== parts) throw refusal("FAILED", { what: `${parts - complete.length} parts are missing` });
    const answers = (code: string): undefined => {
      if (code === "PreconditionFailed") throw taken();
      if (code === "ConditionalRequestConflict") throw atTheSameTime();
      // Either it was put together by a call whose answer was lost, or somebody has thrown it away.
      if (code === "NoSuchUpload") throw refusal("CONFLICT", { what: "what was sent is not there any more" });
    };
    const { calls, conditions } = this.#site;
    const isMet = () => this.#isFree({ signal });
    const publish = (isConditional: boolean) => calls.complete(this.#begun, complete, { signal, isConditional });
    await doing(this.#site, { ...deed, answers }, () => conditions.meet({ isMet, publish }, taken));
  }

  async abort(options: DriverCall): Promise<void> {
    await discardUpload(this.#site, this.#begun, options);
  }

  async #isFree({ signal }: DriverCall): Promise<boolean> {
    try {
      await this.#site.calls.head(this.#begun.key, { signal });
      return false;
    } catch (error) {
      if (statusOf(error) === 404) return true;
      throw error;
    }
  }
}

function taken(): Error {
  return refusal("ALREADY_EXISTS", { what: "an object of this name is there" });
}

/** Throw away an unfinished upload. Parts that were on their way may land behind the first attempt. */
export async function discardUpload(site: S3Site, upload: Begun, { signal }: DriverCall): Promise<void> {
  const deed = { verb: "throw away what was sent of", object: upload.key, signal };
  const isGone = (code: string): true | undefined => (code === "NoSuchUpload" ? true : undefined);
  for (let tries = 1; tries <= ABORT_TRIES; tries += 1) {
    const abort = async () => {
      await site.calls.abort(upload, { signal });
      return false;
    };
    await doing(site, { ...deed, permission: "s3:AbortMultipartUpload", answers: isGone }, abort);
    // Who may not look has to believe it.
    const answers = (code: string) => isGone(code) ?? (code === "AccessDenied" ? true : undefined);
    const look = async () => {
      await site.calls.parts(upload, { signal });
      return false;
    };
    if (await doing(site, { ...deed, permission: "s3:ListMultipartUploadParts", answers }, look)) return;
    await pause(ABORT_WAIT_MS * tries, signal);
  }
  throw refusal("FAILED", { what: "the server keeps it", retryable: true });
}

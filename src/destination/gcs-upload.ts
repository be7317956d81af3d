import { createHash } from "node:crypto";
import { BackupError } from "../domain/errors.ts";
import type { DriverCall, Upload, WholeObject } from "./driver.ts";
import { type GcsFound, NONCE } from "./gcs-answer.ts";
import type { GcsClient, GcsRequest } from "./gcs-client.ts";
import type { HttpAnswer } from "./gcs-http.ts";
import { storedBytes } from "./gcs-names.ts";

/** Chunks of a resumable upload are multiples of this, all but the last. */
const QUANTUM_BYTES = 256 * 1024;

/** The server has the whole object already. */
type Position = { readonly offset: number } | { readonly finished: GcsFound };

/**
 * Begin a resumable upload. It is visible when it is committed, and forgotten by the server after a week otherwise.
 * @throws `ALREADY_EXISTS` when the name is taken, as far as the server looks at that now.
 */
export async function startUpload(
  client: GcsClient,
  key: string,
  { nonce, signal }: DriverCall & { readonly nonce: string },
): Promise<Upload> {
  const doing = { verb: "store", object: key } as const;
  const name = client.nameOf(key);
  const { status, answer } = await client.text({
    method: "POST",
    url: client.uploadUrl({ uploadType: "resumable", name, ifGenerationMatch: "0" }),
    headers: {
      ...client.encryptionHeaders(),
      "content-type": "application/json; charset=UTF-8",
      "x-upload-content-type": "application/octet-stream",
    },
    body: [Buffer.from(JSON.stringify({ name, metadata: { [NONCE]: nonce } }))],
    expect: [200, 412],
    doing,
    signal,
  });
  if (status === 412) throw taken(client, key);
  const location = answer.header("location") ?? "";
  if (!URL.canParse(location)) throw client.broken(new Error("the answer names no session"), doing);
  return new GcsUpload(client, { key, session: new URL(location) });
}

function taken({ place }: GcsClient, key: string): BackupError {
  return new BackupError("ALREADY_EXISTS", `Cannot store "${key}" on ${place.url}: an object of this name is there`);
}

type Sending = {
  readonly body: readonly Uint8Array[];
  readonly range: string;
  readonly headers?: Readonly<Record<string, string>>;
};

type Answered = { readonly answer: HttpAnswer; readonly text: string };

type Begun = { readonly key: string; readonly session: URL };

/**
 * One object that is sent in order. Some of its bytes, between 1 and `QUANTUM_BYTES`, stay here until the commit: so chunks have the
 * sizes that the server wants, and nothing but the commit can finish the object.
 */
class GcsUpload implements Upload {
  readonly #client: GcsClient;
  readonly #key: string;
  readonly #session: URL;
  readonly #md5 = createHash("md5");
  #hashedParts = 0;
  /** What parts brought and was not sent yet, and where in the object it begins. */
  #held: Uint8Array = new Uint8Array();
  #heldAt = 0;
  /** Bytes that the server has; `undefined` after a failure, when only it knows. */
  #offset: number | undefined = 0;

  constructor(client: GcsClient, { key, session }: Begun) {
    this.#client = client;
    this.#key = key;
    this.#session = session;
  }

  async part(number: number, bytes: Uint8Array, { signal }: DriverCall): Promise<void> {
    const total = this.#held.length + bytes.length;
    const sent = Math.max(Math.floor((total - 1) / QUANTUM_BYTES), 0) * QUANTUM_BYTES;
    const sending = this.#sendUpTo(this.#heldAt + sent, [this.#held, bytes], signal);
    // While the bytes are on their way. Each part counts once, however often it is sent.
    if (number > this.#hashedParts) this.#md5.update(bytes);
    this.#hashedParts = Math.max(number, this.#hashedParts);
    await sending;
    this.#held = Buffer.concat(between([this.#held, bytes], sent, total));
    this.#heldAt += sent;
  }

  async commit(whole: WholeObject, { signal }: DriverCall): Promise<void> {
    const total = this.#heldAt + this.#held.length;
    if (total !== whole.bytes) throw new RangeError(`${whole.bytes} bytes to commit, ${total} came`);
    const finished = await this.#finish(total, signal);
    if (finished.bytes === total && (finished.md5 === undefined || finished.md5 === this.#digest())) return;
    await this.#remove(finished, signal);
    throw this.#failed("what the server has is not what was sent");
  }

  async abort({ signal }: DriverCall): Promise<void> {
    // 499 is what Google answers to this; the others say that there is nothing to cancel.
    await this.#client.text(this.#request("DELETE", { expect: [200, 204, 404, 410, 412, 499], signal }));
  }

  /** Send what is between the server's offset and `end`. `pieces` begin at `#heldAt`. */
  async #sendUpTo(end: number, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
    let at = await this.#where({ end, total: "*" }, signal);
    while (!("finished" in at) && at.offset < end) {
      const body = between(pieces, at.offset - this.#heldAt, end - this.#heldAt);
      at = await this.#advance({ from: at.offset, body, range: `bytes ${at.offset}-${end - 1}/*` }, signal);
    }
    if ("finished" in at) throw this.#failed("the server finished it before its end");
  }

  /** @returns the object as the server describes it. */
  async #finish(total: number, signal: AbortSignal): Promise<GcsFound> {
    let at = await this.#where({ end: total, total: String(total) }, signal);
    while (!("finished" in at)) {
      const body = between([this.#held], at.offset - this.#heldAt, this.#held.length);
      const range = at.offset === total ? `bytes */${total}` : `bytes ${at.offset}-${total - 1}/${total}`;
      // With this the server itself refuses to publish other bytes than were sent.
      const headers = { "x-goog-hash": `md5=${this.#digest()}` };
      at = await this.#advance({ from: at.offset, body, range, headers }, signal);
    }
    return at.finished;
  }

  /** How far the server is. It is asked when an answer was lost. */
  async #where({ end, total }: { end: number; total: string }, signal: AbortSignal): Promise<Position> {
    if (this.#offset === undefined) {
      const position = this.#position(await this.#put({ body: [], range: `bytes */${total}` }, signal));
      if ("finished" in position) return position;
      this.#offset = position.offset;
    }
    const isOurs = this.#offset >= this.#heldAt && this.#offset <= end;
    if (!isOurs) throw this.#failed(`the server has lost some of it, and is at byte ${this.#offset}`);
    return { offset: this.#offset };
  }

  /** Send bytes. Until the answer is there nobody knows how far the server is. */
  async #advance({ from, ...sending }: Sending & { readonly from: number }, signal: AbortSignal): Promise<Position> {
    this.#offset = undefined;
    const position = this.#position(await this.#put(sending, signal));
    if ("finished" in position) return position;
    if (!(position.offset > from)) throw this.#client.broken(new Error("the server took nothing"), this.#doing());
    this.#offset = position.offset;
    return position;
  }

  async #put({ body, range, headers = {} }: Sending, signal: AbortSignal): Promise<Answered> {
    const all = { ...this.#client.encryptionHeaders(), ...headers, "content-range": range };
    const request = this.#request("PUT", { expect: [200, 201, 308, 404, 410, 412], signal });
    return this.#client.text({ ...request, headers: all, body });
  }

  /** What an answer says about where the upload is. */
  #position({ answer, text }: Answered): Position {
    switch (answer.status) {
      case 308:
        return { offset: storedBytes(answer.header("range")) };
      case 200:
      case 201:
        return { finished: this.#client.found(this.#client.parsed(text, this.#doing()), this.#doing()) };
      case 412:
        throw taken(this.#client, this.#key);
      default:
        throw this.#failed("the server has dropped the upload");
    }
  }

  /** Remove what was published and is wrong, unless somebody has replaced it. */
  async #remove({ generation }: GcsFound, signal: AbortSignal): Promise<void> {
    const url = this.#client.url(this.#key, { ifGenerationMatch: generation });
    await this.#client.text({ ...this.#request("DELETE", { expect: [200, 204, 404, 412], signal }), url });
  }

  #digest(): string {
    return this.#md5.copy().digest("base64");
  }

  #request(method: "PUT" | "DELETE", { expect, signal }: Pick<GcsRequest, "expect" | "signal">): GcsRequest {
    return { method, url: this.#session, expect, doing: this.#doing(), signal };
  }

  #doing(): GcsRequest["doing"] {
    return { verb: "store", object: this.#key };
  }

  #failed(what: string): BackupError {
    const { url } = this.#client.place;
    return new BackupError("FAILED", `Cannot store "${this.#key}" on ${url}: ${what}`, {
      hint: "Run the command again.",
    });
  }
}

/** The bytes from `start` to `end` of pieces that follow each other. */
function between(pieces: readonly Uint8Array[], start: number, end: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  let at = 0;
  for (const piece of pieces) {
    const slice = piece.subarray(Math.max(start - at, 0), Math.max(end - at, 0));
    if (slice.length > 0) found.push(slice);
    at += piece.length;
  }
  return found;
}

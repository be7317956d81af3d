import { createHash } from "node:crypto";
import type { Secret } from "../domain/secret.ts";
import { describedObject, type GcsFound, type Json, objectIn, refusalOf } from "./gcs-answer.ts";
import type { Credentials } from "./gcs-credentials.ts";
import { type Doing, networkFailure, refusal } from "./gcs-errors.ts";
import type { Http, HttpAnswer } from "./gcs-http.ts";

/** A bucket, and how to get at it. */
export type GcsPlace = {
  /** For people: `gs://bucket/prefix`. */
  readonly url: string;
  readonly bucket: string;
  /** Before every key, with a slash at its end; `""` for none. */
  readonly folder: string;
  /** URL of the server, without a slash at its end. */
  readonly endpoint: string;
  /** 32 bytes in base64. */
  readonly encryptionKey: Secret | undefined;
};

export type GcsRequest = {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: readonly Uint8Array[];
  /** It is about an object that may have been stored without the customer's key: then it is asked without. */
  readonly mayNeedKey?: boolean;
  /** Statuses the caller knows what to do with; any other is thrown. */
  readonly expect: readonly number[];
  readonly doing: Pick<Doing, "verb" | "object">;
  readonly signal: AbortSignal;
};

/** Said of an object that was stored when the config file had no key, or by somebody else. */
const NO_KEY_NEEDED = "resourceNotEncryptedWithCustomerEncryptionKey";

/** Speaks the JSON API of Google Cloud Storage for one bucket. Retries nothing. */
export class GcsClient {
  readonly place: GcsPlace;
  readonly #credentials: Credentials;
  readonly #http: Http;

  constructor(place: GcsPlace, credentials: Credentials, http: Http) {
    this.place = place;
    this.#credentials = credentials;
    this.#http = http;
  }

  /** `/storage/v1/b/BUCKET/o`, or what is below it. */
  url(key: string | undefined, query: Readonly<Record<string, string | undefined>> = {}): URL {
    return this.#url("/storage/v1", key, query);
  }

  /** Where uploads begin. */
  uploadUrl(query: Readonly<Record<string, string | undefined>>): URL {
    return this.#url("/upload/storage/v1", undefined, query);
  }

  /** The object's name in the bucket. */
  nameOf(key: string): string {
    return this.place.folder + key;
  }

  /** What to add to requests that concern an object's bytes; empty without a key of the customer. */
  encryptionHeaders(): Readonly<Record<string, string>> {
    const key = this.place.encryptionKey?.reveal();
    if (key === undefined) return {};
    return {
      "x-goog-encryption-algorithm": "AES256",
      "x-goog-encryption-key": key,
      "x-goog-encryption-key-sha256": createHash("sha256").update(Buffer.from(key, "base64")).digest("base64"),
    };
  }

  /** Everything that is told of a failure, for messages. */
  doing({ verb, object }: GcsRequest["doing"]): Doing {
    const { url, bucket } = this.place;
    return { verb, object, place: url, bucket, account: this.#credentials.account };
  }

  /** @throws {BackupError} when the exchange breaks, or the answer has a status that is not expected. */
  async send(request: GcsRequest): Promise<HttpAnswer> {
    if (request.mayNeedKey !== true || this.place.encryptionKey === undefined) return this.#authorised(request);
    const headers = { ...request.headers, ...this.encryptionHeaders() };
    const answer = await this.#authorised({ ...request, headers, expect: [...request.expect, 400] });
    if (answer.status !== 400) return answer;
    const said = refusalOf(answer, await this.#text(request, answer));
    if (said.reason !== NO_KEY_NEEDED) throw refusal(said, this.doing(request.doing));
    return this.#authorised(request);
  }

  async #authorised(request: GcsRequest): Promise<HttpAnswer> {
    const answer = await this.#exchange(request);
    if (answer.status !== 401 || request.expect.includes(401) || !this.#credentials.renew()) {
      return this.#expected(request, answer);
    }
    // The token was taken back, or the key was changed: another one may do.
    await this.#text(request, answer);
    return this.#expected(request, await this.#exchange(request));
  }

  /** @returns the status and the body, which is read to its end. */
  async text(request: GcsRequest): Promise<{ status: number; answer: HttpAnswer; text: string }> {
    const answer = await this.send(request);
    return { status: answer.status, answer, text: await this.#text(request, answer) };
  }

  /** The body of an answer with status 200. `undefined` for any other status that is expected. */
  async json(request: GcsRequest): Promise<Json | undefined> {
    const { status, text } = await this.text(request);
    return status === 200 ? this.parsed(text, request.doing) : undefined;
  }

  /** An answer that should be a JSON object. */
  parsed(text: string, doing: GcsRequest["doing"]): Json {
    const json = objectIn(text);
    if (json === undefined) throw this.broken(new Error("the answer is no JSON"), doing);
    return json;
  }

  /** What an answer tells of an object below the prefix. @throws {BackupError} when it lacks something. */
  found(json: Json, doing: GcsRequest["doing"]): GcsFound {
    const found = describedObject(json, this.place.folder);
    if (found === undefined) throw this.broken(new Error("the answer does not describe an object"), doing);
    return found;
  }

  /** An answer's bytes broke off. */
  broken(error: unknown, doing: GcsRequest["doing"]): Error {
    return networkFailure(error, this.doing(doing), this.#host());
  }

  sign(key: string, options: { readonly expiresAt: Date; readonly signal: AbortSignal }): Promise<string> {
    const { bucket, url } = this.place;
    const object = { bucket, name: this.nameOf(key), expiresAt: options.expiresAt, place: url };
    return this.#credentials.sign(object, options.signal);
  }

  close(): void {
    this.#http.close();
  }

  async #exchange({ method, url, headers, body = [], signal, doing }: GcsRequest): Promise<HttpAnswer> {
    signal.throwIfAborted();
    // The address of a session is a secret by itself; only the server we were told of gets more.
    const isOurs = url.origin === new URL(this.place.endpoint).origin;
    const authorization = isOurs ? await this.#credentials.headers(url, signal) : {};
    try {
      return await this.#http.send({ method, url, headers: { ...authorization, ...headers }, body, signal });
    } catch (error) {
      throw signal.aborted ? signal.reason : networkFailure(error, this.doing(doing), url.host);
    }
  }

  async #expected(request: GcsRequest, answer: HttpAnswer): Promise<HttpAnswer> {
    if (request.expect.includes(answer.status)) return answer;
    throw refusal(refusalOf(answer, await this.#text(request, answer)), this.doing(request.doing));
  }

  async #text({ signal, doing }: GcsRequest, answer: HttpAnswer): Promise<string> {
    try {
      return await answer.text();
    } catch (error) {
      throw signal.aborted ? signal.reason : networkFailure(error, this.doing(doing), this.#host());
    }
  }

  #host(): string {
    return new URL(this.place.endpoint).host;
  }

  #url(path: string, key: string | undefined, query: Readonly<Record<string, string | undefined>>): URL {
    const { endpoint, bucket } = this.place;
    const below = key === undefined ? "" : `/${encodeURIComponent(this.nameOf(key))}`;
    const url = new URL(`${endpoint}${path}/b/${encodeURIComponent(bucket)}/o${below}`);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, value);
    return url;
  }
}

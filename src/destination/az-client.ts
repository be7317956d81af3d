import { hash } from "node:crypto";
import type { Readable } from "node:stream";
import {
  BlobSASPermissions,
  type BlockBlobClient,
  ContainerClient,
  type ContainerListBlobFlatSegmentResponse,
  generateBlobSASQueryParameters,
  isRestError,
  newPipeline,
  SASProtocol,
  StorageSharedKeyCredential,
} from "@azure/storage-blob";
import type { AzConnection } from "./az-connection.ts";
import { AzFailure, CUT_OFF, WRONG_ANSWER } from "./az-failure.ts";
import { patience, quietAgent } from "./az-patience.ts";
import type { DriverCall } from "./driver.ts";

/** The metadata of a blob in which the nonce of its upload is kept; a name may hold no hyphen here. */
const NONCE = "twindb_nonce";

const CONTENT_TYPE = "application/octet-stream";

/** One blob. `etag` comes without quotation marks. */
export type AzBlob = {
  readonly name: string;
  readonly bytes: number;
  readonly modifiedAt: Date;
  readonly etag: string;
};

/** One blob, as it answered when asked for itself. */
export type AzHead = AzBlob & { readonly nonce: string | undefined; readonly saidAt: Date };

/** What is to be true when a blob is written; nothing else there, or one with that ETag. */
export type AzCondition = { readonly etag: string | undefined };

export type AzClientOptions = {
  readonly connection: AzConnection;
  readonly container: string;
  /** How long the other side may be silent. */
  readonly silenceMilliseconds: number;
};

type Range = { readonly offset: number; readonly bytes: number; readonly etag: string };

/** One container, call by call, nothing tried again. Every failed call throws an `AzFailure`, an aborted one `signal.reason`. */
export class AzClient {
  readonly #container: ContainerClient;
  readonly #credential: StorageSharedKeyCredential | undefined;
  readonly #agent: ReturnType<typeof quietAgent>;
  readonly #silenceMilliseconds: number;

  constructor({ connection, container, silenceMilliseconds }: AzClientOptions) {
    const { endpoint, login } = connection;
    this.#agent = quietAgent(endpoint);
    this.#silenceMilliseconds = silenceMilliseconds;
    this.#credential =
      login.kind === "key" ? new StorageSharedKeyCredential(login.account, login.key.reveal()) : undefined;
    const pipeline = newPipeline(this.#credential, {
      retryOptions: { maxTries: 1 },
      userAgentOptions: { userAgentPrefix: "twindb-backup" },
    });
    pipeline.factories.push(patience(this.#agent, silenceMilliseconds));
    const signature = login.kind === "sas" ? `?${login.signature.reveal()}` : "";
    this.#container = new ContainerClient(`${endpoint}/${encodeURIComponent(container)}${signature}`, pipeline);
  }

  /** All blobs whose name starts with `prefix`, a page at a time; at most 5,000 are on one. */
  async *list(prefix: string, pageBlobs: number, { signal }: DriverCall): AsyncGenerator<readonly AzBlob[], void> {
    const pages = this.#container.listBlobsFlat({ prefix, abortSignal: signal }).byPage({ maxPageSize: pageBlobs });
    for (;;) {
      const page = await pageOf(() => call(signal, () => pages.next()));
      if (page.done === true) return;
      yield page.value.segment.blobItems.map(({ name, properties }) => ({
        name,
        bytes: properties.contentLength ?? 0,
        modifiedAt: properties.lastModified,
        etag: bare(properties.etag),
      }));
    }
  }

  /** One blob; `undefined` when there is none. */
  async head(name: string, { signal }: DriverCall): Promise<AzHead | undefined> {
    try {
      const found = await call(signal, () => this.#blob(name).getProperties({ abortSignal: signal }));
      if (found.etag === undefined || found.contentLength === undefined || found.lastModified === undefined) {
        throw new AzFailure({ code: WRONG_ANSWER });
      }
      return {
        name,
        bytes: found.contentLength,
        modifiedAt: found.lastModified,
        etag: bare(found.etag),
        nonce: found.metadata?.[NONCE],
        saidAt: found.date ?? new Date(),
      };
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  /** Exactly the bytes of a range of that version, or a failure. */
  async *read(name: string, range: Range, { signal }: DriverCall): AsyncGenerator<Uint8Array, void> {
    const stream = await this.#download(name, range, { signal });
    const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    let left = range.bytes;
    try {
      for (;;) {
        const chunk = await this.#pull(chunks, signal);
        if (chunk.done === true) break;
        left -= chunk.value.length;
        yield chunk.value;
      }
    } finally {
      stream.destroy();
    }
    if (left !== 0) throw new AzFailure({ code: WRONG_ANSWER });
  }

  async stage(name: string, block: { readonly id: string; readonly bytes: Uint8Array }, { signal }: DriverCall) {
    const { id, bytes } = block;
    await call(signal, () =>
      this.#blob(name).stageBlock(id, bytes, bytes.length, {
        abortSignal: signal,
        transactionalContentMD5: md5(bytes),
      }),
    );
  }

  /** Make a blob of blocks, unless its name is taken. */
  async commit(name: string, blocks: readonly string[], options: DriverCall & { readonly nonce: string }) {
    const { signal, nonce } = options;
    await call(signal, () =>
      this.#blob(name).commitBlockList([...blocks], {
        abortSignal: signal,
        conditions: { ifNoneMatch: "*" },
        metadata: { [NONCE]: nonce },
        blobHTTPHeaders: { blobContentType: CONTENT_TYPE },
      }),
    );
  }

  /** Write a blob at once. @returns its ETag. */
  async write(
    name: string,
    bytes: Uint8Array,
    options: DriverCall & AzCondition & { readonly nonce: string },
  ): Promise<string> {
    const { signal, nonce, etag } = options;
    const { etag: written } = await call(signal, () =>
      this.#blob(name).upload(bytes, bytes.length, {
        abortSignal: signal,
        conditions: etag === undefined ? { ifNoneMatch: "*" } : { ifMatch: quoted(etag) },
        metadata: { [NONCE]: nonce },
        blobHTTPHeaders: { blobContentType: CONTENT_TYPE },
        transactionalContentMD5: md5(bytes),
      }),
    );
    if (written === undefined) throw new AzFailure({ code: WRONG_ANSWER });
    return bare(written);
  }

  /** Remove a blob, if it has that ETag; without one, whatever it has. One that is not there is no failure. */
  async remove(name: string, { signal, etag }: DriverCall & AzCondition): Promise<void> {
    const conditions = etag === undefined ? {} : { ifMatch: quoted(etag) };
    try {
      await call(signal, () => this.#blob(name).delete({ abortSignal: signal, conditions }));
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
  }

  /** Azure's clock. */
  async now({ signal }: DriverCall): Promise<Date> {
    const pages = this.#container.listBlobsFlat({ abortSignal: signal }).byPage({ maxPageSize: 1 });
    const page = await pageOf(() => call(signal, () => pages.next()));
    const date: unknown = page.done === true ? undefined : page.value.date;
    if (!(date instanceof Date)) throw new AzFailure({ code: WRONG_ANSWER });
    return date;
  }

  /** A URL by which anybody can read one blob until then; `undefined` without an account key. */
  sign(name: string, expiresOn: Date): string | undefined {
    if (this.#credential === undefined) return undefined;
    const { url } = this.#blob(name);
    const permissions = BlobSASPermissions.parse("r");
    const protocol = url.startsWith("https:") ? SASProtocol.Https : SASProtocol.HttpsAndHttp;
    const containerName = this.#container.containerName;
    const values = { containerName, blobName: name, permissions, expiresOn, protocol };
    return `${url}?${generateBlobSASQueryParameters(values, this.#credential).toString()}`;
  }

  close(): void {
    this.#agent.destroy();
  }

  /** The body of an answer that says that it is this range. */
  async #download(name: string, { offset, bytes, etag }: Range, { signal }: DriverCall): Promise<Readable> {
    const conditions = { ifMatch: quoted(etag) };
    const options = { abortSignal: signal, conditions, maxRetryRequests: 0 };
    const answer = await call(signal, () => this.#blob(name).download(offset, bytes, options));
    const stream = answer.readableStreamBody as Readable;
    // Azure says no range where it sends the whole.
    const range = answer.contentRange ?? `bytes 0-${(answer.contentLength ?? 0) - 1}/`;
    if (range.startsWith(`bytes ${offset}-${offset + bytes - 1}/`)) return stream;
    stream.destroy();
    throw new AzFailure({ code: WRONG_ANSWER });
  }

  #blob(name: string): BlockBlobClient {
    return this.#container.getBlockBlobClient(name);
  }

  /** The next chunk, or a failure when it does not come. Only the wait counts: a slow reader may take its time. */
  async #pull<T>(chunks: AsyncIterator<T>, signal: AbortSignal): Promise<IteratorResult<T>> {
    const silence = Promise.withResolvers<never>();
    const timer = setTimeout(() => silence.reject(new AzFailure({ code: "ETIMEDOUT" })), this.#silenceMilliseconds);
    const onAbort = (): void => silence.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await call(signal, () => Promise.race([chunks.next(), silence.promise]));
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  }
}

type Page = IteratorResult<ContainerListBlobFlatSegmentResponse>;

/** A page of a listing. One of something else, such as of a portal that wants a password, must not pass for an empty store. */
async function pageOf(work: () => Promise<Page>): Promise<Page> {
  try {
    const page = await work();
    if (page.done === true || page.value.serviceEndpoint) return page;
  } catch (error) {
    // The library takes it for granted that the answer is one of Azure's.
    if (!(error instanceof TypeError)) throw error;
  }
  throw new AzFailure({ code: WRONG_ANSWER });
}

async function call<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  try {
    return await work();
  } catch (error) {
    throw signal.aborted ? signal.reason : failureOf(error);
  }
}

/** The facts of an error of the library. Its texts hold addresses with signatures, and whatever the other side sent. */
function failureOf(error: unknown): unknown {
  if (error instanceof AzFailure) return error;
  if (!isRestError(error)) return ofStream(error);
  const header = (name: string) => error.response?.headers.get(name);
  const saidAt = Date.parse(header("date") ?? "");
  const seconds = Number.parseInt(header("retry-after") ?? "", 10);
  return new AzFailure({
    status: error.statusCode,
    code: header("x-ms-error-code") ?? error.code,
    saidAt: Number.isNaN(saidAt) ? undefined : new Date(saidAt),
    retryAfterMilliseconds: Number.isNaN(seconds) ? undefined : seconds * 1000,
  });
}

/** The facts of an error that came while a blob was read; a mistake of ours comes back as it is. */
function ofStream(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  if (error instanceof RangeError) return new AzFailure({ code: WRONG_ANSWER });
  // Nobody else aborts than the timer that waits for an answer, or a connection that ends on the way.
  if (error.message.includes("while making request")) return new AzFailure({ code: "ETIMEDOUT" });
  const isCut = error.name === "AbortError" || error.message.startsWith("Data corruption failure");
  return isCut ? new AzFailure({ code: CUT_OFF }) : error;
}

/** Whether Azure itself says that there is no such blob: any other 404 may come from anybody on the way. */
function isAbsent(error: unknown): boolean {
  return error instanceof AzFailure && ["BlobNotFound", "ResourceNotFound"].includes(error.facts.code ?? "");
}

/** Azure refuses a body that changed on its way. */
function md5(bytes: Uint8Array): Uint8Array {
  return hash("md5", bytes, "buffer");
}

function bare(etag: string): string {
  return etag.replace(/^"|"$/g, "");
}

function quoted(etag: string): string {
  return `"${etag}"`;
}

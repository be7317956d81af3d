import { hostOf, type Wire, type WireRequest, type WireResponse } from "./s3-http.ts";

/** A part as it is named when the object is put together. */
export type SentPart = { readonly etag: string; readonly crc32: string | undefined };

/** One part of an upload; `crc32` is in base64, as the server compares it. */
export type PartToSend = { readonly number: number; readonly bytes: Uint8Array; readonly crc32: string | undefined };

const CRC32 = "x-amz-checksum-crc32";

/** Of what a server says when it refuses something. */
const MOST_ANSWER_BYTES = 64 * 1024;

/** The SDK's own way to send the same part. */
type Sdk = {
  send(): Promise<{ readonly ETag?: string | undefined; readonly ChecksumCRC32?: string | undefined }>;
  /** The request as it would be sent, but for the signature. */
  make(): Promise<WireRequest>;
};

/**
 * Sends the parts of uploads. The SDK makes the request for one of them, and the others are made of that: to let it make each costs as much CPU as
 * to encrypt and send a part. After a refusal it gets the rest of that upload: it finds out about clocks that are wrong.
 */
export class S3Parts {
  readonly #wire: Wire;
  readonly #sign: (request: WireRequest) => Promise<WireRequest>;
  /** By upload, the request for one of its parts, without the bytes. */
  readonly #models = new WeakMap<object, WireRequest>();
  readonly #refused = new WeakSet<object>();

  constructor(wire: Wire, sign: (request: WireRequest) => Promise<WireRequest>) {
    this.#wire = wire;
    this.#sign = sign;
  }

  /** @throws {Error} as the SDK does, whoever sends it. */
  async send(upload: object, part: PartToSend, { sdk, signal }: { sdk: Sdk; signal: AbortSignal }): Promise<SentPart> {
    if (this.#refused.has(upload)) {
      const { ETag, ChecksumCRC32 } = await sdk.send();
      return sentPart(ETag, ChecksumCRC32);
    }
    const model = this.#models.get(upload) ?? (await sdk.make());
    this.#models.set(upload, { ...model, body: undefined });
    const { response } = await this.#wire.handle(await this.#sign(partRequest(model, part)), { abortSignal: signal });
    const said = await textOf(response);
    if (response.statusCode === 200) return sentPart(response.headers["etag"], response.headers[CRC32]);
    this.#refused.add(upload);
    throw refusalOf(response, said);
  }
}

function sentPart(etag: string | undefined, crc32: string | undefined): SentPart {
  if (etag === undefined) throw new Error("the server took a part without naming it");
  return { etag, crc32 };
}

/** The request for a part, of that for another one: they differ in number, bytes and checksum. */
function partRequest(model: WireRequest, { number, bytes, crc32 }: PartToSend): WireRequest {
  return {
    ...model,
    query: { ...model.query, partNumber: String(number) },
    headers: {
      ...model.headers,
      host: model.headers["host"] ?? hostOf(model),
      "content-length": String(bytes.length),
      ...(crc32 !== undefined && { [CRC32]: crc32 }),
    },
    body: bytes,
  };
}

async function textOf({ body }: WireResponse): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= MOST_ANSWER_BYTES) chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** An error with the fields that the SDK gives to its own. */
function refusalOf({ statusCode, headers }: WireResponse, said: string): Error {
  const field = (name: string): string | undefined => new RegExp(`<${name}>([^<]*)</${name}>`).exec(said)?.[1];
  const code = field("Code");
  return Object.assign(new Error(field("Message") ?? "UnknownError"), {
    name: code ?? "UnknownError",
    Code: code,
    Region: field("Region"),
    $metadata: { httpStatusCode: statusCode },
    $response: { statusCode, headers },
  });
}

import type { DriverCall } from "./driver.ts";
import { hostOf, type Wire, type WireRequest, type WireResponse } from "./s3-http.ts";

/** A part as it is named when the object is put together. */
export type SentPart = { readonly etag: string; readonly crc32: string | undefined };

/** One part of an upload; `crc32` is in base64, as the server compares it. */
export type PartToSend = { readonly number: number; readonly bytes: Uint8Array; readonly crc32: string | undefined };

const CRC32 = "x-amz-checksum-crc32";

/** Of what a server says when it refuses something. */
const MOST_ANSWER_BYTES = 64 * 1024;

/** How the SDK makes the request for a part, but for the signature, and how it signs one. */
type Making = {
  readonly make: () => Promise<WireRequest>;
  readonly sign: (request: WireRequest) => Promise<WireRequest>;
};

/**
 * Sends the parts of uploads. The SDK makes the request for one of them, and the others are made of that: to let it make each costs as much CPU as
 * to encrypt and send a part.
 */
export class S3Parts {
  readonly #wire: Wire;
  /** By upload, the request for one of its parts, without the bytes. */
  readonly #models = new WeakMap<object, WireRequest>();

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** @throws {Error} as the SDK does. */
  async send(upload: object, part: PartToSend, { make, sign, signal }: Making & DriverCall): Promise<SentPart> {
    const request = await sign(partRequest(await this.#modelOf(upload, make), part));
    const { response } = await this.#wire.handle(request, { abortSignal: signal });
    const said = await textOf(response);
    if (response.statusCode !== 200) throw refusalOf(response, said);
    const { etag, [CRC32]: crc32 } = response.headers;
    if (etag === undefined) throw new Error("the server took a part without naming it");
    return { etag, crc32 };
  }

  async #modelOf(upload: object, make: Making["make"]): Promise<WireRequest> {
    const known = this.#models.get(upload);
    if (known !== undefined) return known;
    const made = { ...(await make()), body: undefined };
    this.#models.set(upload, made);
    return made;
  }
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

import { BackupError } from "../domain/errors.ts";
import type { DriverCall, DriverRange } from "./driver.ts";
import type { GcsClient, GcsRequest } from "./gcs-client.ts";
import { ChangedError } from "./gcs-errors.ts";
import type { HttpAnswer } from "./gcs-http.ts";
import { findParts } from "./gcs-list.ts";
import { contentRange } from "./gcs-names.ts";
import { asOne, isSetVersion, type PartSet, piecesOf } from "./gcs-parts.ts";

/** How many sets of parts to remember: a copy is read by many ranges, some of them at once. */
const REMEMBERED_SETS = 8;

/** Reads objects, those in parts included. */
export class GcsReader {
  readonly #client: GcsClient;
  readonly #sets = new Map<string, PartSet>();

  constructor(client: GcsClient) {
    this.#client = client;
  }

  /** See `Driver.read()`. */
  async *read(key: string, range: DriverRange, { signal }: DriverCall): AsyncGenerator<Uint8Array, void> {
    if (!isSetVersion(range.version)) {
      yield* readRange(this.#client, key, { ...range, signal });
      return;
    }
    const set = await this.#setOf(key, range.version, signal);
    for (const { object, offset, bytes } of piecesOf(set, range.offset, range.bytes)) {
      yield* readRange(this.#client, object.key, { offset, bytes, version: object.generation, signal });
    }
  }

  async #setOf(key: string, version: string, signal: AbortSignal): Promise<PartSet> {
    const known = this.#sets.get(version);
    if (known !== undefined) return known;
    const found = await findParts(this.#client, key, { verb: "read", signal });
    const doing = this.#client.doing({ verb: "read", object: key });
    if (found.parts.length === 0) throw gone(this.#client, key);
    if (asOne(found).version !== version) throw new ChangedError(doing);
    const [oldest] = this.#sets.keys();
    if (this.#sets.size >= REMEMBERED_SETS && oldest !== undefined) this.#sets.delete(oldest);
    this.#sets.set(version, found);
    return found;
  }
}

/** The bytes of a range of one object: all of them, or an error. */
async function* readRange(
  client: GcsClient,
  key: string,
  { offset, bytes, version, signal }: DriverRange & DriverCall,
): AsyncGenerator<Uint8Array, void> {
  const doing = { verb: "read", object: key } as const;
  const answer = await client.send({
    method: "GET",
    url: client.url(key, { alt: "media", ifGenerationMatch: version }),
    // As it is stored, whatever it is said to be encoded with.
    headers: { range: `bytes=${offset}-${offset + bytes - 1}`, "accept-encoding": "gzip" },
    mayNeedKey: true,
    expect: [200, 206, 404, 412, 416],
    doing,
    signal,
  });
  const problem = problemOf(client, key, { answer, version }) ?? otherRange(client, doing, { answer, offset, bytes });
  if (problem !== undefined) {
    await answer.text();
    throw problem;
  }
  try {
    yield* exactly(bytes, answer.body);
  } catch (error) {
    throw signal.aborted ? signal.reason : client.broken(error, doing);
  }
}

/** All of `content`, which has so many bytes. */
async function* exactly(bytes: number, content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let left = bytes;
  for await (const chunk of content) {
    left -= chunk.length;
    if (left < 0) throw new Error("the server sent too much");
    yield chunk;
  }
  if (left > 0) throw new Error("the answer ended early");
}

type Asked = { readonly answer: HttpAnswer; readonly offset: number; readonly bytes: number };

/** A server, or what is between, may not care for ranges. */
function otherRange(
  client: GcsClient,
  doing: GcsRequest["doing"],
  { answer, offset, bytes }: Asked,
): Error | undefined {
  const sent = contentRange(answer.header("content-range"));
  const isAll = answer.status === 200 && offset === 0 && answer.header("content-length") === String(bytes);
  if (isAll || (sent?.offset === offset && sent.bytes === bytes)) return undefined;
  return client.broken(new Error("the server sent another range than it was asked for"), doing);
}

/** Why the answer is not about the version that is read. */
function problemOf(
  client: GcsClient,
  key: string,
  { answer, version }: { readonly answer: HttpAnswer; readonly version: string },
): Error | undefined {
  if (answer.status === 404) return gone(client, key);
  const generation = answer.header("x-goog-generation") ?? version;
  if (answer.status !== 412 && answer.status !== 416 && generation === version) return undefined;
  return new ChangedError(client.doing({ verb: "read", object: key }));
}

function gone({ place }: GcsClient, key: string): Error {
  return new BackupError("NOT_FOUND", `Cannot read "${key}" on ${place.url}: there is no such object`);
}

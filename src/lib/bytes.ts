import { createHash } from "node:crypto";
import { BackupError } from "../domain/errors.ts";

/**
 * Bytes that are consumed once, in order.
 *
 * The one law: **a byte stream that ends has succeeded.** Whoever produces bytes throws instead of
 * ending when its program failed, was killed, wrote nothing or quit without reading all its input.
 *
 * A chunk is valid until the next one is pulled: who keeps it, copies it.
 */
export type ByteStream = AsyncIterable<Uint8Array>;

/** What was counted while a stream passed: its length and lower-case hex SHA-256. */
export type Digest = { readonly bytes: number; readonly sha256: string };

/** A stream that is counted and hashed while it passes, and checked against what is expected at its end. */
export class Measured implements ByteStream {
  readonly content: ByteStream;
  readonly #hash = createHash("sha256");
  readonly #expected: Partial<Digest> | undefined;
  readonly #name: string;
  #bytes = 0;
  #digest: Digest | undefined;

  /** @param name what the bytes are, for the error; such as a key. */
  constructor(content: ByteStream, name: string, expected?: Partial<Digest>) {
    this.content = content;
    this.#name = name;
    this.#expected = expected;
  }

  /** Count a chunk. Only for who pulls `content` itself. */
  update(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
    this.#hash.update(chunk);
  }

  /** All chunks were counted. @throws {BackupError} DATA_DAMAGED when they are not what was expected. */
  finish(): void {
    this.#digest = { bytes: this.#bytes, sha256: this.#hash.digest("hex") };
    const { bytes, sha256 } = this.#expected ?? {};
    if (bytes !== undefined && bytes !== this.#digest.bytes) {
      throw damaged(this.#name, `it has ${this.#digest.bytes} bytes, ${bytes} were recorded`);
    }
    if (sha256 !== undefined && sha256 !== this.#digest.sha256) {
      throw damaged(this.#name, `its SHA-256 is ${this.#digest.sha256}, ${sha256} was recorded`);
    }
  }

  /** @throws {Error} before the stream has ended. */
  digest(): Digest {
    if (this.#digest === undefined) throw new Error(`"${this.#name}" was not read to its end`);
    return this.#digest;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of this.content) {
      this.update(chunk);
      yield chunk;
    }
    this.finish();
  }
}

function damaged(name: string, what: string): BackupError {
  return new BackupError("DATA_DAMAGED", `Cannot trust "${name}": ${what}`, {
    hint: "Take another copy, and find out what changed this one.",
  });
}

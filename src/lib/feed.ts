import { write } from "node:fs";
import { promisify } from "node:util";
import { type ByteStream, Measured } from "./bytes.ts";
import type { Pipe } from "./pipe.ts";

const writeTo = promisify(write);

async function writeAll(fd: number, chunk: Uint8Array): Promise<void> {
  for (let offset = 0; offset < chunk.length; ) {
    const { bytesWritten } = await writeTo(fd, chunk, offset, chunk.length - offset, null);
    offset += bytesWritten;
  }
}

/** What came of feeding a pipe. */
export type Fed =
  | { readonly end: "complete" }
  | { readonly end: "refused" }
  | { readonly end: "failed"; readonly error: unknown };

type FeedOptions = {
  /** Resolves when the program that reads the pipe has ended. */
  readonly reader: Promise<void>;
  readonly onMove: () => void;
};

/** Pulls that stop waiting for a source once nobody reads any more, so that a stuck source cannot hold a dead chain. */
class Pulls {
  readonly #iterator: AsyncIterator<Uint8Array>;
  #refused = false;
  #refuse: () => void = () => {};

  constructor(source: ByteStream, reader: Promise<void>) {
    this.#iterator = source[Symbol.asyncIterator]();
    void this.#watch(reader);
  }

  /** The next chunk; `undefined` at the end; `refused` when the reader is gone. */
  next(): Promise<Uint8Array | undefined | "refused"> {
    if (this.#refused) return Promise.resolve("refused");
    return new Promise((resolve, reject) => {
      this.#refuse = () => resolve("refused");
      this.#iterator.next().then((result) => resolve(result.done === true ? undefined : result.value), reject);
    });
  }

  async #watch(reader: Promise<void>): Promise<void> {
    await reader;
    this.#refused = true;
    this.#refuse();
  }

  /** Let the source clean up; one that is stuck does so when it wakes. */
  close(): void {
    this.#iterator.return?.().catch(() => {
      // Whatever it still has to say, the pipeline's own failure is the one to tell.
    });
  }
}

/**
 * Write a stream into a pipe. Leaves the pipe open, so that the reader cannot take an end for a success.
 * @returns `refused` when the reader quit before the end.
 */
export async function feed(source: ByteStream, pipe: Pipe, options: FeedOptions): Promise<Fed> {
  // What measures a stream does so while the chunk is being written, not before.
  const meter = source instanceof Measured ? source : undefined;
  const pulls = new Pulls(meter?.content ?? source, options.reader);
  try {
    for (let chunk = await pulls.next(); chunk !== undefined; chunk = await pulls.next()) {
      if (chunk === "refused") return { end: "refused" };
      const written = writeAll(pipe.end("write"), chunk);
      meter?.update(chunk);
      await written;
      options.onMove();
    }
    meter?.finish();
    return { end: "complete" };
  } catch (error) {
    return isRefusal(error) ? { end: "refused" } : { end: "failed", error };
  } finally {
    pulls.close();
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EPIPE";
}

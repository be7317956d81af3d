/**
 * Stores standard input as one object, or writes an object to standard output:
 * `s3-pipe.ts put|get KEY`, with the options of the bucket as JSON in S3_PIPE.
 */
import { closeSync, fstatSync, openSync, readFileSync, write } from "node:fs";
import { promisify } from "node:util";
import { openS3 } from "../../src/destination/s3.ts";
import { toKey } from "../../src/domain/key.ts";
import { readPipe } from "../../src/lib/reader.ts";
import { s3Options } from "./s3-options.ts";
import type { Keys } from "./servers/s3-server.ts";

/** What S3_PIPE holds. */
export type S3Pipe = {
  readonly endpoint: string;
  readonly region: string;
  readonly admin: Keys;
  readonly certificateFile: string | undefined;
};

// Opened anew, as whoever started us may have made it one that does not block.
const STDOUT = fstatSync(1).isFIFO() ? openSync("/proc/self/fd/1", "w") : 1;
const writeTo = promisify(write);

/** Standard input; a pipe is read as the product reads those between its programs. */
async function* input(): AsyncGenerator<Uint8Array, void> {
  if (!fstatSync(0).isFIFO()) {
    yield* process.stdin as AsyncIterable<Uint8Array>;
    return;
  }
  const fd = openSync("/proc/self/fd/0", "r");
  yield* readPipe({ end: () => fd, close: () => closeSync(fd) }, signal);
}

async function output(chunk: Uint8Array): Promise<void> {
  for (let offset = 0; offset < chunk.length; ) {
    const { bytesWritten } = await writeTo(STDOUT, chunk, offset, chunk.length - offset, null);
    offset += bytesWritten;
  }
}

const [verb, name = ""] = process.argv.slice(2);
const { certificateFile, ...server } = JSON.parse(process.env["S3_PIPE"] ?? "{}") as S3Pipe;
const certificate = certificateFile === undefined ? undefined : readFileSync(certificateFile, "utf8");
const { signal } = new AbortController();
await using destination = await openS3(s3Options(server), { certificate });
if (verb === "put") await destination.put(toKey(name), input(), { signal });
else for await (const chunk of destination.get(toKey(name), { signal })) await output(chunk);

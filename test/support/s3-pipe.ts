/**
 * Stores standard input as one object, or writes an object to standard output:
 * `s3-pipe.ts put|get KEY`, with the options of the bucket as JSON in S3_PIPE.
 */
import { readFileSync } from "node:fs";
import { openS3 } from "../../src/destination/s3.ts";
import { toKey } from "../../src/domain/key.ts";
import { s3Options } from "./s3-options.ts";
import type { Keys } from "./servers/s3-server.ts";

/** What S3_PIPE holds. */
export type S3Pipe = {
  readonly endpoint: string;
  readonly region: string;
  readonly admin: Keys;
  readonly certificateFile: string | undefined;
};

const [verb, name = ""] = process.argv.slice(2);
const { certificateFile, ...server } = JSON.parse(process.env["S3_PIPE"] ?? "{}") as S3Pipe;
const certificate = certificateFile === undefined ? undefined : readFileSync(certificateFile, "utf8");
const { signal } = new AbortController();
await using destination = await openS3(s3Options(server), { certificate });
if (verb === "put") {
  await destination.put(toKey(name), process.stdin as AsyncIterable<Uint8Array>, { signal });
} else {
  for await (const chunk of destination.get(toKey(name), { signal })) {
    // The chunk is valid until the next pull: wait until it is written.
    await new Promise<void>((resolve, reject) => {
      process.stdout.write(chunk, (error) => (error ? reject(error) : resolve()));
    });
  }
}

import type { DriverCall, DriverRange } from "./driver.ts";
import { Batches } from "./s3-batches.ts";
import type { Arriving } from "./s3-client.ts";
import { doing, refusal, type S3Site } from "./s3-deeds.ts";

/** What cannot be read, and the words for it. */
const READING = { verb: "read", permission: "s3:GetObject" };

/** Exactly the bytes of a range, straight from the connection. */
export async function* readRange(
  site: S3Site,
  { key, ...range }: DriverRange & { readonly key: string },
  { signal }: DriverCall,
): AsyncGenerator<Uint8Array, void> {
  const deed = { ...READING, object: key, signal };
  const refuse = (code: "CHANGED" | "NOT_FOUND" | "UNREACHABLE", what: string) =>
    refusal(code, { what, retryable: code === "UNREACHABLE" });
  const answers = (code: string): undefined => {
    if (code === "PreconditionFailed" || code === "InvalidRange") throw refuse("CHANGED", "it has changed meanwhile");
    if (code === "NoSuchKey") throw refuse("NOT_FOUND", "it is not there any more");
  };
  const arriving = await doing(site, { ...deed, answers }, () => site.calls.get(key, range, { signal }));
  let bytes = 0;
  try {
    const wrong = whatIsWrong(arriving, range);
    if (wrong !== undefined) throw refuse("UNREACHABLE", wrong);
    const batches = new Batches(arriving.body);
    for (;;) {
      const chunk = await doing(site, deed, () => batches.next());
      if (chunk === undefined) break;
      bytes += chunk.length;
      if (bytes > range.bytes) throw refuse("UNREACHABLE", `the server sent more than ${range.bytes} bytes`);
      yield chunk;
    }
  } finally {
    arriving.body.destroy();
  }
  signal.throwIfAborted();
  if (bytes < range.bytes) throw refuse("UNREACHABLE", `the server sent ${bytes} bytes of ${range.bytes}`);
}

function whatIsWrong({ bytes, contentRange }: Arriving, range: DriverRange): string | undefined {
  const { offset, bytes: wanted } = range;
  if (bytes !== undefined && bytes !== wanted) return `the server sends ${bytes} bytes instead of ${wanted}`;
  const right = `bytes ${offset}-${offset + wanted - 1}/`;
  if (contentRange?.startsWith(right) === true) return undefined;
  return `the server sends ${contentRange ?? "everything"} instead of ${right.slice(0, -1)}`;
}

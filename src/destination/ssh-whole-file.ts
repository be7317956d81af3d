import { BackupError } from "../domain/errors.ts";
import { isMissing } from "../lib/far-error.ts";
import type { Handle } from "../lib/sftp.ts";
import { type CallOptions, SMALL_LIMIT_BYTES } from "./destination.ts";
import type { Far } from "./ssh-far.ts";
import { syncFile } from "./ssh-tree.ts";

/**
 * A far file held whole in memory, or `undefined` when there is none.
 * @throws {BackupError} DATA_DAMAGED above `SMALL_LIMIT_BYTES`.
 */
export async function readWhole(far: Far, path: string, options: CallOptions): Promise<Buffer | undefined> {
  const { sftp } = far;
  const found = await sftp.lstat(path, options);
  if (found?.kind !== "file") return undefined;
  if (found.bytes > SMALL_LIMIT_BYTES) throw tooLarge(path);
  try {
    const handle = await sftp.open(path, "r", options);
    const content = await readBlocks(far, handle, { ...options, bytes: found.bytes });
    await sftp.close(handle, options);
    return content;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/**
 * Read to the end. `bytes` may be the size of the file which this one has replaced, so a short block ends only what is at least as
 * long; before that it is a server that gives less than was asked for.
 */
async function readBlocks(
  { sftp }: Far,
  handle: Handle,
  options: CallOptions & { readonly bytes: number },
): Promise<Buffer> {
  const blocks: Buffer[] = [];
  for (let at = 0; ; ) {
    const block = await sftp.read(handle, sftp.blockBytes, { signal: options.signal, at });
    blocks.push(block);
    at += block.length;
    if (block.length === 0 || (block.length < sftp.blockBytes && at >= options.bytes)) return Buffer.concat(blocks);
  }
}

/** Write a new file, whole and durable as far as the server lets us. */
export async function writeWhole(
  far: Far,
  path: string,
  options: CallOptions & { readonly content: Uint8Array },
): Promise<void> {
  const { sftp } = far;
  const handle = await sftp.open(path, "wx", options);
  for (let at = 0; at < options.content.length; at += sftp.blockBytes) {
    const block = Buffer.from(options.content.subarray(at, at + sftp.blockBytes));
    await sftp.write(handle, block, { signal: options.signal, at });
  }
  if (sftp.offers("fsync")) await sftp.fsync(handle, options);
  await sftp.close(handle, options);
  if (!sftp.offers("fsync")) await syncFile(far, path, options);
}

function tooLarge(path: string): BackupError {
  return new BackupError(
    "DATA_DAMAGED",
    `Cannot read "${path}" at once: it is larger than ${SMALL_LIMIT_BYTES} bytes`,
    {
      hint: "No status is that large; move the file away and run the command again.",
    },
  );
}

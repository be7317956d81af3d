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
    const content = await readBlocks(far, handle, options);
    await sftp.close(handle, options);
    return content;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** The size may be that of the file which this one has replaced, so only a short block is the end. */
async function readBlocks({ sftp }: Far, handle: Handle, options: CallOptions): Promise<Buffer> {
  const blocks: Buffer[] = [];
  for (let at = 0; ; at += sftp.blockBytes) {
    const block = await sftp.read(handle, sftp.blockBytes, { ...options, at });
    blocks.push(block);
    if (block.length < sftp.blockBytes) return Buffer.concat(blocks);
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

import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { BackupError } from "../domain/errors.ts";
import { type Doing, during, isSystemError } from "./file-error.ts";

const CHUNK_BYTES = 1024 * 1024;

/** An open regular file and its size. */
export type OpenFile = { readonly handle: FileHandle; readonly bytes: number };

/**
 * Open a regular file, never through a symbolic link in its last component, never waiting for a named pipe.
 * @returns `undefined` when there is none.
 */
export async function openFile(path: string): Promise<OpenFile | undefined> {
  const handle = await openForReading(path);
  if (handle === undefined) return undefined;
  const found = await handle.stat();
  if (found.isFile()) return { handle, bytes: found.size };
  await handle.close();
  return undefined;
}

async function openForReading(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (isSystemError(error, "ENOENT", "ENOTDIR", "ENXIO")) return undefined;
    if (!isSystemError(error, "ELOOP")) throw error;
    throw new BackupError("NOT_PERMITTED", `Cannot use "${path}": it is a symbolic link`, {
      hint: "Find out who put it there, then remove it.",
      cause: error,
    });
  }
}

/**
 * All bytes of an open file; the next chunk is read while one is worked on. Closes it.
 * @throws {BackupError} DATA_DAMAGED when the file turns out shorter or longer than it was.
 */
export async function* readChunks({ handle, bytes }: OpenFile, doing: Doing): AsyncGenerator<Uint8Array, void> {
  const read = (buffer: Uint8Array): Promise<number> =>
    during(doing, async () => (await handle.read(buffer, 0, buffer.length, null)).bytesRead);
  let [current, other] = [new Uint8Array(CHUNK_BYTES), new Uint8Array(CHUNK_BYTES)];
  let pending = read(current);
  try {
    let total = 0;
    for (let length = await pending; length > 0; length = await pending) {
      total += length;
      const chunk = current.subarray(0, length);
      [current, other] = [other, current];
      pending = read(current);
      pending.catch(() => {}); // Thrown by the next `await`, or of no interest when the consumer leaves.
      yield chunk;
    }
    if (total !== bytes) throw changed(doing, { was: bytes, is: total });
  } finally {
    await pending.catch(() => {}); // As above.
    await handle.close();
  }
}

function changed({ verb, object }: Doing, { was, is }: { was: number; is: number }): BackupError {
  return new BackupError("DATA_DAMAGED", `Cannot ${verb} "${object}": it had ${was} bytes, ${is} were read`, {
    hint: "Find out what changes files on the destination.",
  });
}

import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Destination } from "../destination/destination.ts";
import type { MysqlCopy } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import type { Restorer } from "../engine/engine.ts";
import type { ByteStream } from "../lib/bytes.ts";
import { checkedXbstream } from "../lib/checked-xbstream.ts";
import { into } from "../lib/command.ts";
import { blame, explainUnpacking } from "./blame.ts";
import { type Reading, readCopy, type StoredCopy } from "./restore-file.ts";

/** How one part is read: from where, under which name, and what undoes its suffixes. */
export type PartReading = AsyncDisposable &
  Pick<Reading, "decoders" | "explain"> & { readonly destination: Destination; readonly stored: StoredCopy };

type Unpacking = {
  readonly restorer: Restorer;
  readonly openPart: (copy: MysqlCopy) => Promise<PartReading>;
  readonly idleSeconds: number;
  readonly signal: AbortSignal;
  readonly onProgress?: (what: string, bytes: number) => void;
};

/**
 * Unpack one stored copy into an empty directory, and prove that all of it came.
 * @throws {CopyError} when the copy is damaged or gone.
 */
export async function unpackPart(copy: MysqlCopy, directory: string, unpacking: Unpacking): Promise<void> {
  const { restorer, idleSeconds, signal, onProgress } = unpacking;
  const command = restorer.unpack(directory);
  try {
    await using reading = await unpacking.openPart(copy);
    await into(contentOf(reading, restorer, { idleSeconds, signal }), command, {
      signal,
      idleSeconds,
      ...(onProgress && { onProgress: (bytes) => onProgress(`unpacking ${copy.key}`, bytes) }),
    }).catch((error: unknown) => {
      throw explainUnpacking(reading.explain(error), copy.key, command.file);
    });
    await requireEnd(copy, directory, restorer);
  } catch (error) {
    throw blame(copy.key, error);
  }
}

/**
 * The decoded stream. Where a digest was recorded, it proves the whole; the bytes of a copy without one are looked at on their way, for
 * the tools accept a stream that was cut between two chunks.
 */
function contentOf(
  { destination, stored, decoders, explain }: PartReading,
  { format }: Restorer,
  { idleSeconds, signal }: Pick<Reading, "idleSeconds" | "signal">,
): ByteStream {
  const content = readCopy({ destination, copy: stored, decoders, explain, idleSeconds, signal });
  return stored.sha256 === undefined && format === "xbstream" ? checkedXbstream(content) : content;
}

/** The tools end with success also after half a stream; what they write last tells whether they came to its end. */
async function requireEnd({ key }: MysqlCopy, directory: string, { lastFiles }: Restorer): Promise<void> {
  if (lastFiles.length === 0) return;
  for (const name of lastFiles) {
    const stats = await stat(join(directory, name)).catch(() => undefined);
    if (stats?.isFile() === true && stats.size > 0) return;
  }
  throw new BackupError("DATA_DAMAGED", `Cannot unpack "${key}": it ends before its last file, ${lastFiles[0]}`, {
    hint: "Verify the copies of this host, and restore another one.",
  });
}

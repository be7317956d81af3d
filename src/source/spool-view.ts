import type { ClosedLog } from "../domain/binlog-incarnation.ts";
import type { Heap, SpoolView } from "../domain/binlog-stream.ts";
import { BinlogSpool, readStreamState } from "./binlog-spool.ts";

/** What lies in the spool of this host's stream, and what the stream said last; `undefined` when none ever ran, or it is not ours to look at. */
export async function readSpool(directory: string): Promise<SpoolView | undefined> {
  const state = await readStreamState(directory);
  if (state === undefined) return undefined;
  try {
    const spool = new BinlogSpool(directory, 0);
    const aside = (await spool.aside()).map(async (each) => heapOf(each.directory, await each.logs()));
    return { state, waiting: heapOf(directory, await spool.closed()), aside: await Promise.all(aside) };
  } catch (error) {
    // A log was archived, and removed, while it was looked at.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return readSpool(directory);
    throw error;
  }
}

function heapOf(directory: string, logs: readonly ClosedLog[]): Heap {
  return { directory, logs: logs.length, bytes: logs.reduce((sum, { bytes }) => sum + bytes, 0) };
}

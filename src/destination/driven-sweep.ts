import type { CallOptions } from "./destination.ts";
import type { DriverCalls } from "./driven-calls.ts";
import type { UnfinishedUpload } from "./driver.ts";
import { notedUploads } from "./upload-note.ts";

/** How long an upload stays that no process of this host has noted: it may be another machine's. */
const ABANDONED_AFTER_MILLISECONDS = 24 * 60 * 60 * 1000;

type Sweep = CallOptions & { readonly now: () => Date };

/**
 * Throw away uploads below a host that interrupted runs left: those noted by processes of this machine that have ended, and old ones that nobody
 * here has noted. @returns how many.
 */
export async function sweepDriven(calls: DriverCalls, host: string, { signal, now }: Sweep): Promise<number> {
  const notes = (await notedUploads(calls.driver.url)).filter(({ key }) => key.startsWith(`${host}/`));
  const left = notes.filter(({ isLeft }) => isLeft);
  const live = new Set(notes.filter(({ isLeft }) => !isLeft).map(({ key }) => key));
  const dead = new Set(left.map(({ key }) => key));
  const oldest = now().getTime() - ABANDONED_AFTER_MILLISECONDS;
  let removed = 0;
  for (const upload of await unfinished(calls, `${host}/`, signal)) {
    const isAbandoned = dead.has(upload.key) || upload.startedAt.getTime() < oldest;
    if (live.has(upload.key) || !isAbandoned) continue;
    await calls.once(signal, async (driver) => driver.discard?.(upload, { signal }));
    removed += 1;
  }
  for (const note of left) await note.remove();
  return removed;
}

async function unfinished(calls: DriverCalls, prefix: string, signal: AbortSignal): Promise<UnfinishedUpload[]> {
  return calls.once(signal, async (driver) => {
    const uploads: UnfinishedUpload[] = [];
    for await (const upload of driver.unfinished?.(prefix, { signal }) ?? []) {
      if (upload.key.startsWith(prefix)) uploads.push(upload);
    }
    return uploads;
  });
}

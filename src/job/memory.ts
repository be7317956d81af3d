const GIB = 1024 ** 3;

/** What a tool can always be given. */
const LEAST_BYTES = 128 * 1024 ** 2;

/** How much memory preparing a copy may take: half of what is free for this process, at most 4 GiB. */
export function prepareMemory(freeBytes = process.availableMemory()): number {
  return Math.max(LEAST_BYTES, Math.min(Math.floor(freeBytes / 2), 4 * GIB));
}

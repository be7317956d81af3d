import { asKey } from "../domain/key.ts";
import type { Entry, ListOptions } from "./destination.ts";
import type { DriverCalls } from "./driven-calls.ts";

/**
 * All objects of a listing, in the order of keys; one that was told twice, once. Names that no key can have are of others, and passed over.
 * Nothing comes before the driver has told all: a listing that breaks off must not look like a short one.
 */
export async function* drivenEntries(
  calls: DriverCalls,
  prefix: string,
  { signal, skip }: ListOptions,
): AsyncGenerator<readonly Entry[], void> {
  yield sorted(await found(calls, prefix, { signal, skip }));
}

async function found(calls: DriverCalls, prefix: string, { signal, skip }: ListOptions): Promise<Entry[]> {
  return calls.once(signal, async (driver) => {
    const entries: Entry[] = [];
    for await (const { key: name, bytes, modifiedAt } of driver.list(prefix, { signal, ...(skip && { skip }) })) {
      signal.throwIfAborted();
      const key = name.startsWith(prefix) ? asKey(name) : undefined;
      if (key !== undefined) entries.push({ key, bytes, modifiedAt });
    }
    return entries;
  });
}

/** Sorted, and each key once: with what it has by now, should it have been replaced between two pages. */
function sorted(entries: readonly Entry[]): Entry[] {
  const newest = new Map<string, Entry>();
  for (const entry of entries) {
    const other = newest.get(entry.key);
    if (other === undefined || other.modifiedAt <= entry.modifiedAt) newest.set(entry.key, entry);
  }
  return [...newest.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

import type { CallOptions } from "../destination/destination.ts";
import type { Copy, CopyOf, Media } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import type { Key } from "../domain/key.ts";
import { withoutSuffixes } from "../domain/names.ts";
import type { Status } from "../domain/status.ts";
import { locatedAt } from "./amend-copy.ts";
import type { Shelf } from "./shelf.ts";

/** The copies a verify judged, and how their records say it. */
export type Findings<M extends Media> = CallOptions & {
  readonly keys: readonly Key[];
  readonly change: (status: Status<CopyOf<M>>) => Status<CopyOf<M>>;
};

/**
 * Record what a verify found: in the status, and in the manifests of copies that are bad, or no longer are. So that a status that is lost later
 * does not turn a bad copy into a good one.
 * @returns why the destination may not be written to; what was found out is worth telling all the same.
 */
export async function recordFindings<M extends Media>(shelf: Shelf<M>, findings: Findings<M>): Promise<unknown> {
  const { keys, change, signal } = findings;
  try {
    let before: Status<CopyOf<M>> = { copies: [] };
    const remember = (now: Status<CopyOf<M>>) => {
      before = now;
      return change(now);
    };
    const after = await shelf.status.update(remember, { signal });
    for (const key of keys) {
      const [was, is] = [recordOf(before, key), recordOf(after.status, key)];
      if (is !== undefined && (isFailed(was) || isFailed(is)))
        await shelf.manifests.amend(locatedAt(key, is), { signal });
    }
    return undefined;
  } catch (error) {
    if (error instanceof BackupError && error.code === "NOT_PERMITTED") return error;
    throw error;
  }
}

function isFailed(copy: Copy | undefined): boolean {
  return copy?.verified?.ok === false;
}

/** The predecessor records a binary log without the suffixes of its object. */
function recordOf<C extends Copy>({ copies }: Status<C>, key: Key): C | undefined {
  return copies.find((copy) => withoutSuffixes(copy.key) === withoutSuffixes(key));
}

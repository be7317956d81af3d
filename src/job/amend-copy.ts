import type { CallOptions } from "../destination/destination.ts";
import type { Copy, CopyOf, Media } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import type { Key } from "../domain/key.ts";
import { nameOf, suffixesOf, withoutSuffixes } from "../domain/names.ts";
import type { Shelf } from "./shelf.ts";

/**
 * Change what is recorded of a copy: in the status, by which retention goes, then in the manifest, which gives it back when the status is lost. A
 * crash in between is a failed call, and calling again completes it. A copy of the predecessor gets a manifest by that.
 * @throws {BackupError} NOT_FOUND when the copy is gone meanwhile; DATA_DAMAGED when the status was damaged or lost, and is to be rebuilt first.
 */
export async function amendCopy<M extends Media>(
  { host, status, manifests }: Shelf<M>,
  key: Key,
  { change, signal }: CallOptions & { readonly change: (copy: CopyOf<M>) => CopyOf<M> },
): Promise<CopyOf<M>> {
  const { doubtful } = await status.load({ signal });
  if (doubtful) throw untrusted(host, key);
  const after = await status.update(
    (now) => ({ copies: now.copies.map((copy) => (isUnder(key, copy) ? change(locatedAt(key, copy)) : copy)) }),
    { signal },
  );
  const amended = after.status.copies.find((copy) => copy.key === key);
  if (amended === undefined) throw gone(key);
  await manifests.amend(amended, { signal });
  return amended;
}

/** The predecessor records a binlog without the suffixes of its object. */
function isUnder(key: Key, copy: Copy): boolean {
  return copy.key === key || (copy.media === "binlog" && copy.key === withoutSuffixes(key));
}

/** The copy with the key of its object, for its manifest lies beside that. */
export function locatedAt<C extends Copy>(key: Key, copy: C): C {
  return copy.key === key ? copy : { ...copy, key, suffixes: suffixesOf(nameOf(key)) };
}

function untrusted(host: string, key: Key): BackupError {
  return new BackupError("DATA_DAMAGED", `Cannot change "${key}": the status of "${host}" is damaged or lost`, {
    hint: `Run "twindb-backup status rebuild --hostname ${host}" first.`,
  });
}

function gone(key: Key): BackupError {
  return new BackupError("NOT_FOUND", `Cannot change "${key}": it expired meanwhile`, {
    hint: 'Run "twindb-backup ls" to see what is there.',
  });
}

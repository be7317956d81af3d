import { BackupError } from "./errors.ts";
import type { Key } from "./key.ts";
import { nameOf } from "./names.ts";

type Keyed = { readonly key: Key };

const MAX_LISTED = 10;

function longestEnding<C extends Keyed>(typed: string, copies: readonly C[]): C | undefined {
  return copies
    .filter(({ key }) => typed === key || typed.endsWith(`/${key}`))
    .sort((left, right) => right.key.length - left.key.length)[0];
}

function ambiguous(typed: string, found: readonly Keyed[]): BackupError {
  const listed = found.slice(0, MAX_LISTED).map(({ key }) => key);
  if (found.length > MAX_LISTED) listed.push("…" as Key);
  return new BackupError("USAGE", `Cannot choose "${typed}": ${found.length} copies have it: ${listed.join(", ")}`, {
    hint: "Give one of these keys in full.",
  });
}

/**
 * Find the copy that a user named: by its key, by a path or URL that ends with the key (`s3://bucket/db7/daily/…`,
 * `/var/backup/db7/daily/…`), by the end of its key, or by its bare name.
 * @throws {BackupError} NOT_FOUND when there is none; USAGE when several copies answer to it.
 */
export function findCopy<C extends Keyed>(typed: string, copies: readonly C[]): C {
  const wanted = typed.trim();
  const exact = longestEnding(wanted, copies);
  if (exact) return exact;

  const found = copies.filter(({ key }) => wanted !== "" && (nameOf(key) === wanted || key.endsWith(`/${wanted}`)));
  if (found.length > 1) throw ambiguous(typed, found);
  if (found[0]) return found[0];
  throw new BackupError("NOT_FOUND", `Cannot find "${typed}": no copy has this key or name`, {
    hint: 'Run "twindb-backup ls" to see what is there.',
  });
}

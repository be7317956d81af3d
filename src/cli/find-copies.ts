import type { Copy, CopyOf, Media } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import { findCopy } from "../domain/find.ts";
import type { Listed } from "../job/list.ts";

/** A listed copy of one media. */
export type ListedOf<M extends Media> = Omit<Listed, "copy"> & { readonly copy: CopyOf<M> };

function isOf<M extends Media>(media: M, copy: Copy): copy is CopyOf<M> {
  return copy.media === media;
}

/** The copies of one media of a listing. */
export function listedOf<M extends Media>(media: M, listed: readonly Listed[]): ListedOf<M>[] {
  return listed.flatMap(({ copy, ...rest }) => (isOf(media, copy) ? [{ ...rest, copy }] : []));
}

/** The listed copy a user named. @throws {BackupError} as `findCopy()`. */
export function findListed<M extends Media>(typed: string, media: M, listed: readonly Listed[]): ListedOf<M> {
  const copies = listedOf(media, listed);
  const { key } = findCopy(
    typed,
    copies.map(({ copy }) => copy),
  );
  const found = copies.find(({ copy }) => copy.key === key);
  if (found === undefined) throw new TypeError(`"${key}" was found and is not there`);
  return found;
}

type Wanted<M extends Media> = { readonly media: M; readonly host: string; readonly verb: string };

/**
 * The copies of one media of a host.
 * @param wanted.verb what they are wanted for, such as `verify`.
 * @throws {BackupError} NOT_FOUND when there is none.
 */
export function requireListed<M extends Media>(
  { media, host, verb }: Wanted<M>,
  listed: readonly Listed[],
): ListedOf<M>[] {
  const own = listedOf(media, listed).filter(({ copy }) => copy.host === host);
  if (own.length > 0) return own;
  const name = media === "mysql" ? "MySQL" : media;
  throw new BackupError("NOT_FOUND", `Cannot ${verb} the ${name} copies of "${host}": it has none`, {
    hint: "Name another host with --hostname, or take a copy with: twindb-backup backup daily.",
  });
}

import type { FilesCopy } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import { findCopy } from "../domain/find.ts";
import type { Doubt } from "../domain/reconcile.ts";
import type { Listed } from "../job/list.ts";

/** A listed files copy. */
export type ListedFiles = { readonly copy: FilesCopy; readonly doubt: Doubt | undefined };

/** The files copies of a listing. */
export function filesOf(listed: readonly Listed[]): ListedFiles[] {
  return listed.flatMap(({ copy, doubt }) => (copy.media === "files" ? [{ copy, doubt }] : []));
}

/** The listed copy a user named. @throws {BackupError} as `findCopy()`. */
export function findFiles(typed: string, listed: readonly Listed[]): ListedFiles {
  const files = filesOf(listed);
  const { key } = findCopy(
    typed,
    files.map(({ copy }) => copy),
  );
  const found = files.find(({ copy }) => copy.key === key);
  if (found === undefined) throw new TypeError(`"${key}" was found and is not there`);
  return found;
}

/** The newest copy of each directory of one host. @throws {BackupError} NOT_FOUND when there is none. */
export function newestFiles(host: string, listed: readonly Listed[]): ListedFiles[] {
  const own = filesOf(listed).filter(({ copy }) => copy.host === host);
  if (own.length === 0) {
    throw new BackupError("NOT_FOUND", `Cannot find the latest files copy of "${host}": it has none`, {
      hint: "Name another host with --hostname, or take a copy with: twindb-backup backup daily.",
    });
  }
  const byDirectory = new Map(own.map((each) => [each.copy.directory ?? codeOf(each.copy), each]));
  return [...byDirectory.values()];
}

/** What tells copies of one directory from others when nobody recorded it: the name before the time. */
function codeOf({ key }: FilesCopy): string {
  return key.slice(key.lastIndexOf("/") + 1).replace(/-\d{4}-\d{2}-\d{2}_\d{2}_\d{2}_\d{2}\..*$/, "");
}

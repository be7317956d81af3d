import type { FilesCopy } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import { isBroken } from "../domain/soundness.ts";
import type { Listed } from "../job/list.ts";
import { findListed, type ListedOf, requireListed } from "./find-copies.ts";

/** A listed files copy. */
export type ListedFiles = ListedOf<"files">;

/** The listed copies a user named: one, the newest of each directory of a host (`latest`), or all of the host. */
export function chooseFiles(typed: string, host: string, listed: readonly Listed[]): ListedFiles[] {
  if (typed !== "latest" && typed !== "all") return [findListed(typed, "files", listed)];
  const own = requireListed({ media: "files", host, verb: "verify" }, listed);
  return typed === "all" ? own : newestOfEach(own);
}

/**
 * The newest sound copy of a host.
 * @throws {BackupError} USAGE when it has copies of several directories; NOT_FOUND when it has none that is sound.
 */
export function latestFiles(host: string, listed: readonly Listed[]): ListedFiles {
  const own = requireListed({ media: "files", host, verb: "restore" }, listed);
  const [newest, ...others] = newestOfEach(own.filter(({ copy }) => !isBroken(copy)));
  if (newest === undefined) {
    throw new BackupError("NOT_FOUND", `Cannot restore the latest copy of "${host}": all that it has are broken`, {
      hint: 'Run "twindb-backup ls" to see them, and name one to try it all the same.',
    });
  }
  if (others.length === 0) return newest;
  const keys = [newest, ...others].map(({ copy }) => copy.key).join(", ");
  throw new BackupError("USAGE", `Cannot choose "latest": "${host}" has copies of ${others.length + 1} directories`, {
    hint: `Name one of the newest: ${keys}.`,
  });
}

function newestOfEach(copies: readonly ListedFiles[]): ListedFiles[] {
  return [...new Map(copies.map((each) => [each.copy.directory ?? codeOf(each.copy), each])).values()];
}

/** What tells copies of one directory from others when nobody recorded it: the name before the time. */
function codeOf({ key }: FilesCopy): string {
  return key.slice(key.lastIndexOf("/") + 1).replace(/-\d{4}-\d{2}-\d{2}_\d{2}_\d{2}_\d{2}\..*$/, "");
}

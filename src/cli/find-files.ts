import type { FilesCopy } from "../domain/copy.ts";
import type { Listed } from "../job/list.ts";
import { findListed, type ListedOf, requireListed } from "./find-copies.ts";

/** A listed files copy. */
export type ListedFiles = ListedOf<"files">;

/** The listed copies a user named: one, the newest of each directory of a host (`latest`), or all of the host. */
export function chooseFiles(typed: string, host: string, listed: readonly Listed[]): ListedFiles[] {
  if (typed !== "latest" && typed !== "all") return [findListed(typed, "files", listed)];
  const own = requireListed({ media: "files", host, verb: "verify" }, listed);
  if (typed === "all") return own;
  return [...new Map(own.map((each) => [each.copy.directory ?? codeOf(each.copy), each])).values()];
}

/** What tells copies of one directory from others when nobody recorded it: the name before the time. */
function codeOf({ key }: FilesCopy): string {
  return key.slice(key.lastIndexOf("/") + 1).replace(/-\d{4}-\d{2}-\d{2}_\d{2}_\d{2}_\d{2}\..*$/, "");
}

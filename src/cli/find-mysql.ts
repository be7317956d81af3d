import { resolve, sep } from "node:path";
import type { MysqlCopy } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import type { Key } from "../domain/key.ts";
import { asKey } from "../domain/key.ts";
import { type Candidate, newestRestorable } from "../domain/restore-plan.ts";
import { compareCopies } from "../domain/status.ts";
import type { Listed } from "../job/list.ts";
import { findListed, type ListedOf, listedOf, requireListed } from "./find-copies.ts";

/** A copy that was named, and all copies of its host. */
export type FoundMysql = {
  readonly copy: MysqlCopy;
  readonly candidates: readonly Candidate[];
  /** Newer copies that `latest` does not mean, for they lack a part or are known to be bad; the newest last. */
  readonly passedOver: readonly MysqlCopy[];
};

/** The copies kept on this host lie before encryption: their names lack its suffix. */
export function keptKeyOf(key: Key): Key {
  return asKey(key.replace(/\.gpg$/, "")) ?? key;
}

/** The name of a kept copy below its directory; `undefined` when the path leads elsewhere. */
function keptName(typed: string, keepLocalPath: string | undefined): string | undefined {
  if (keepLocalPath === undefined || typed === "latest" || typed === "all") return undefined;
  const root = resolve(keepLocalPath) + sep;
  return resolve(typed).startsWith(root) ? resolve(typed).slice(root.length) : undefined;
}

/** Whether a user named a copy that is kept on this host rather than the one on the destination. */
export function isKept(typed: string, keepLocalPath: string | undefined): boolean {
  return keptName(typed, keepLocalPath) !== undefined;
}

function findByKeptName(name: string, listed: readonly Listed[]): ListedOf<"mysql"> {
  const found = listedOf("mysql", listed).find(({ copy }) => copy.key === name || keptKeyOf(copy.key) === name);
  if (found !== undefined) return found;
  throw new BackupError("NOT_FOUND", `Cannot find "${name}": the destination has no record of it`, {
    hint: 'Run "twindb-backup ls" to see what is there.',
  });
}

type Where = { readonly host: string; readonly keepLocalPath: string | undefined };

/**
 * The copy to restore: by any name `ls` prints, by the path of one kept on this host, or `latest`: the newest of `host` that has all its parts.
 * @throws {BackupError} NOT_FOUND when there is none; USAGE when several answer to the name.
 */
export function findMysql(typed: string, { host, keepLocalPath }: Where, listed: readonly Listed[]): FoundMysql {
  const copy = typed === "latest" ? newestOf(host, listed) : findOne(typed, keepLocalPath, listed).copy;
  const candidates = listedOf("mysql", listed).filter((each) => each.copy.host === copy.host);
  const isNewer = (other: MysqlCopy) => typed === "latest" && compareCopies(other, copy) > 0;
  return { copy, candidates, passedOver: candidates.map((each) => each.copy).filter(isNewer) };
}

function findOne(typed: string, keepLocalPath: string | undefined, listed: readonly Listed[]): ListedOf<"mysql"> {
  const kept = keptName(typed, keepLocalPath);
  return kept === undefined ? findListed(typed, "mysql", listed) : findByKeptName(kept, listed);
}

function newestOf(host: string, listed: readonly Listed[]): MysqlCopy {
  const own = requireListed({ media: "mysql", host, verb: "restore" }, listed);
  const newest = newestRestorable(own, host);
  if (newest !== undefined) return newest;
  throw new BackupError("NOT_FOUND", `Cannot restore the latest MySQL copy of "${host}": none has all its parts`, {
    hint: 'Run "twindb-backup ls" to see what is wrong with each, and name one to try it.',
  });
}

/**
 * The copies to verify: one, the newest whatever is known of it (`latest`), or all of the host.
 * @throws {BackupError} as `findMysql()`.
 */
export function chooseMysql(typed: string, where: Where, listed: readonly Listed[]): MysqlCopy[] {
  if (typed !== "latest" && typed !== "all") return [findOne(typed, where.keepLocalPath, listed).copy];
  const own = requireListed({ media: "mysql", host: where.host, verb: "verify" }, listed).map(({ copy }) => copy);
  return typed === "all" ? own : own.slice(-1);
}

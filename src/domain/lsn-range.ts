import type { MysqlCopy } from "./copy.ts";

/** What a data directory or an increment holds, as its tool wrote it into `xtrabackup_checkpoints`. */
export type LsnRange = { readonly fromLsn: bigint; readonly toLsn: bigint };

/** Names of the file that says so. */
export const CHECKPOINT_FILES = ["mariadb_backup_checkpoints", "xtrabackup_checkpoints"] as const;

/** Read the range; `undefined` when the text does not tell. */
export function parseLsnRange(text: string): LsnRange | undefined {
  const value = (name: string) => new RegExp(`^${name} *= *(\\d{1,20})$`, "m").exec(text)?.[1];
  const [from, to] = [value("from_lsn"), value("to_lsn")];
  return from === undefined || to === undefined ? undefined : { fromLsn: BigInt(from), toLsn: BigInt(to) };
}

/**
 * Why what was unpacked is not the copy that was recorded, or does not fit what it is applied to; `undefined` when nothing speaks against it.
 * The tools notice some of this and only after they changed the data; some they do not notice.
 * @param base what is there to apply it to; `undefined` for a full copy.
 */
export function lsnProblem(
  copy: MysqlCopy,
  found: LsnRange | undefined,
  base: LsnRange | undefined,
): string | undefined {
  if (found === undefined) return "it does not say which changes it holds";
  const recorded = copy.toLsn ?? copy.lsn;
  if (recorded !== undefined && recorded !== found.toLsn)
    return `it is another copy, it ends at LSN ${found.toLsn}, ${recorded} was recorded`;
  if (copy.kind === "full") return found.fromLsn === 0n ? undefined : "it is an increment, a full copy was recorded";
  if (base === undefined || base.toLsn === found.fromLsn) return undefined;
  return `it starts at LSN ${found.fromLsn}, what it is applied to ends at ${base.toLsn}`;
}

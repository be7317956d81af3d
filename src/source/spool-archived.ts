import { createReadStream } from "node:fs";
import { rmdir } from "node:fs/promises";
import { join } from "node:path";
import type { ClosedLog } from "../domain/binlog-incarnation.ts";
import type { BinlogCopy } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import { isBroken } from "../domain/soundness.ts";
import { scanBinlog } from "../mysql/binlog-events.ts";
import { readLogHead } from "./binlog.ts";
import type { BinlogSpool } from "./binlog-spool.ts";

/** What of a spool an archive holds. */
type Held = {
  /** Logs that it has whole: the same name, size and beginning. */
  readonly whole: readonly string[];
  /** Logs of which it has more than the spool. */
  readonly longer: readonly string[];
};

/** Look which logs of a spool an archive holds. */
export async function heldOf(
  { directory }: Pick<BinlogSpool, "directory">,
  logs: readonly ClosedLog[],
  copies: readonly BinlogCopy[],
): Promise<Held> {
  const [whole, longer]: [string[], string[]] = [[], []];
  for (const { name, bytes } of logs) {
    const named = copies.filter((copy) => copy.name === name && copy.log !== undefined);
    if (named.length === 0) continue;
    const beginning = await readLogHead(directory, name);
    const same = named.filter(({ log }) => log?.head === beginning?.scan.log.head);
    if (same.some(({ rawBytes }) => rawBytes === bytes)) whole.push(name);
    else if (same.some(({ rawBytes = 0 }) => rawBytes > bytes)) longer.push(name);
  }
  return { whole, longer };
}

/**
 * Remove what was put aside and is archived: a log of which an archive has one of the same name, size and beginning that ends with the same
 * transaction at the same second. Anything else stays. @returns the paths of the logs that were removed.
 */
export async function sweepAside(spool: BinlogSpool, copies: readonly BinlogCopy[]): Promise<string[]> {
  const removed: string[] = [];
  for (const aside of await spool.aside()) {
    const logs = await aside.logs();
    const proven = await provenOf(aside, logs, copies);
    await aside.remove(proven);
    removed.push(...proven.map((name) => join(aside.directory, name)));
    if (proven.length === logs.length) await removeEmpty(aside);
  }
  return removed;
}

async function provenOf(
  aside: BinlogSpool,
  logs: readonly ClosedLog[],
  copies: readonly BinlogCopy[],
): Promise<readonly string[]> {
  try {
    const { whole } = await heldOf(aside, logs, copies);
    const proven: string[] = [];
    for (const name of whole) if (await endsAlike(join(aside.directory, name), name, copies)) proven.push(name);
    return proven;
  } catch (error) {
    // What cannot be read through is not proven.
    if (error instanceof BackupError) return [];
    throw error;
  }
}

/** What is put there meanwhile stays. */
async function removeEmpty(aside: BinlogSpool): Promise<void> {
  try {
    await aside.forget();
    await rmdir(aside.directory);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOTEMPTY" && code !== "ENOENT") throw error;
  }
}

/** Of a server that was set back to an earlier state two logs may begin alike, and come to be as large. */
async function endsAlike(path: string, name: string, copies: readonly BinlogCopy[]): Promise<boolean> {
  const { log, bytes, gtid } = await scanBinlog(createReadStream(path), name);
  return copies.some(
    (copy) =>
      copy.name === name &&
      copy.rawBytes === bytes &&
      copy.gtid === gtid &&
      copy.log?.head === log.head &&
      copy.log.endOffset === log.endOffset &&
      copy.log.transactions === log.transactions &&
      sameSecond(copy.log.lastAt, log.lastAt) &&
      !isBroken(copy),
  );
}

/** Records hold whole seconds. */
function sameSecond(left: Date, right: Date): boolean {
  return Math.floor(left.getTime() / 1000) === Math.floor(right.getTime() / 1000);
}

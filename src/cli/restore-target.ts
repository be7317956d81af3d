import { resolve } from "node:path";
import { parseBinlogInfo } from "../domain/binlog-info.ts";
import { serverDirectories } from "../domain/config-files.ts";
import type { MysqlCopy } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import { nameOf } from "../domain/names.ts";
import { nextSteps } from "../domain/next-steps.ts";
import { datadirOf } from "../job/copy-back.ts";
import type { RestoredFacts } from "../job/restore-mysql.ts";
import type { Invocation } from "./invocation.ts";
import { progressOn } from "./progress.ts";
import type { RecoveryOptions } from "./recovery-options.ts";

/** The options of the command, as typed. */
export type RestoreMysqlOptions = RecoveryOptions & {
  readonly copy: string;
  readonly dst?: string;
  readonly hostname?: string;
  readonly cache?: string;
  readonly dryRun?: true;
  readonly copyBack?: true;
  readonly datadir?: string;
  readonly json?: true;
};

/** Where the predecessor's users and every distribution's packages have the data. */
const USUAL_DATADIR = "/var/lib/mysql";

/** One line for each thing that is being done. */
export function progressOf(
  { key, rawBytes }: MysqlCopy,
  { terminal }: Invocation,
  replayBytes?: number,
): (what: string, bytes: number) => void {
  let last = "";
  let draw = progressOn(terminal, nameOf(key), rawBytes);
  return (what, bytes) => {
    const expected = what.endsWith(key) ? rawBytes : what.startsWith("replaying") ? replayBytes : undefined;
    if (what !== last) draw = progressOn(terminal, what, expected);
    last = what;
    draw(bytes);
  };
}

/** Where the data goes. @throws {BackupError} USAGE when the options name two places. */
export function targetOf(copy: MysqlCopy, { dst, copyBack, datadir }: RestoreMysqlOptions): string {
  if (copyBack === true && dst === undefined) return resolve(datadirOf(copy, datadir));
  if (copyBack !== true && datadir === undefined) return resolve(dst ?? ".");
  const what = copyBack === true ? "--copy-back and --dst name two places" : "--datadir goes with --copy-back";
  throw new BackupError("USAGE", `Cannot restore "${copy.key}": ${what}`, {
    hint: "Give --dst DIR to restore beside the server, or --copy-back [--datadir DIR] to put the data in its place.",
  });
}

type Restored = {
  readonly copy: MysqlCopy;
  readonly target: string;
  readonly facts: RestoredFacts;
  readonly options: RestoreMysqlOptions;
};

/** What is left to do after a restore. */
export function stepsFor({ copy, target, facts, options }: Restored): string[] {
  const { datadir } = serverDirectories(copy.config);
  const info = facts.infoFiles.get("xtrabackup_binlog_info") ?? facts.infoFiles.get("mariadb_backup_binlog_info");
  const end = parseBinlogInfo(info ?? "");
  return nextSteps({
    directory: target,
    datadir: options.copyBack === true ? target : (datadir ?? USUAL_DATADIR),
    vendor: copy.vendor,
    serverVersion: copy.serverVersion,
    binlog: copy.binlog ?? end.binlog,
    gtid: copy.gtid ?? end.gtid,
    galera: facts.galera,
    hasConfig: facts.hasConfig,
    hasSettings: facts.hasSettings,
  });
}

import { binlogPosition, type CopyEnd, oneLineGtid } from "../domain/binlog-info.ts";
import { BackupError } from "../domain/errors.ts";

/** Whether what cannot be read is the fault of the tool now, or of what was stored. */
export type Blame = "PROGRAM_FAILED" | "DATA_DAMAGED";

/** A file that a tool wrote. */
export type InfoFile = { readonly name: string; readonly text: string };

const BACKUP_TYPES = ["full-backuped", "incremental", "log-applied", "full-prepared"] as const;

/** Which state of which kind of copy a directory holds. MariaDB says `log-applied` after every prepare. */
type BackupType = (typeof BACKUP_TYPES)[number];

/** `xtrabackup_checkpoints`. */
export type Checkpoints = { readonly type: BackupType; readonly fromLsn: bigint; readonly toLsn: bigint };

/** `xtrabackup_info`. */
export type Summary = CopyEnd & {
  readonly serverVersion: string | undefined;
  readonly toolVersion: string | undefined;
  readonly isIncremental: boolean;
  /** Only some tables or databases were copied. */
  readonly isPartial: boolean;
  readonly isCompressed: boolean;
  readonly isEncrypted: boolean;
};

/**
 * Find a file by what it is for. MariaDB 11.1 renamed them all; both names are looked for whatever the version, for vendors disagree.
 * @throws {BackupError} when there is none.
 */
export function findInfoFile(
  files: ReadonlyMap<string, string>,
  purpose: "checkpoints" | "info",
  blame: Blame,
): InfoFile {
  for (const name of [`mariadb_backup_${purpose}`, `xtrabackup_${purpose}`]) {
    const text = files.get(name);
    if (text !== undefined) return { name, text };
  }
  throw new BackupError(blame, `Cannot find "xtrabackup_${purpose}": the tool did not leave it`, {
    hint: "Look at what the tool said; a full disk and a killed tool look like this.",
  });
}

function unreadable({ name }: InfoFile, what: string, blame: Blame): BackupError {
  return new BackupError(blame, `Cannot read "${name}": ${what}`, {
    hint: "Look at what the tool said; a full disk and a killed tool look like this.",
  });
}

/** Lines `key = value`; a line of another form goes on with the value before it. */
function pairs(text: string): Map<string, string> {
  const found = new Map<string, string>();
  let last: string | undefined;
  for (const line of text.split("\n")) {
    const match = /^([a-z][\w-]*) ?= ?(.*)$/.exec(line);
    if (match?.[1] !== undefined) {
      last = match[1];
      found.set(last, match[2]?.trim() ?? "");
    } else if (last !== undefined) {
      found.set(last, `${found.get(last) ?? ""}\n${line}`.trim());
    }
  }
  return found;
}

/** @throws {BackupError} when a key is missing or makes no sense; nothing else. */
export function parseCheckpoints(file: InfoFile, blame: Blame): Checkpoints {
  const values = pairs(file.text);
  const said = values.get("backup_type");
  const type = BACKUP_TYPES.find((each) => each === said);
  if (type === undefined) throw unreadable(file, `its backup_type is ${said ?? "missing"}`, blame);
  const lsn = (key: string): bigint => {
    const text = values.get(key) ?? "";
    const value = /^\d{1,20}$/.test(text) ? BigInt(text) : undefined;
    if (value === undefined || value >= 2n ** 64n) throw unreadable(file, `its ${key} is not a number`, blame);
    return value;
  };
  const checkpoints = { type, fromLsn: lsn("from_lsn"), toLsn: lsn("to_lsn") };
  // Written behind them: without it the file was cut, maybe in the middle of a number.
  lsn("last_lsn");
  if (checkpoints.toLsn < checkpoints.fromLsn) {
    throw unreadable(file, `its to_lsn ${checkpoints.toLsn} is below its from_lsn ${checkpoints.fromLsn}`, blame);
  }
  return checkpoints;
}

/** `filename 'mysql-bin.000002', position '968', GTID of the last change '0-7-4'`; any part may be missing. */
function parseEnd(text: string): CopyEnd {
  const file = /filename '([^']*)'/.exec(text)?.[1];
  const offset = /position '([^']*)'/.exec(text)?.[1];
  const gtid = /GTID of the last change '([^']*)'/.exec(text)?.[1];
  return { binlog: binlogPosition(file, offset), gtid: oneLineGtid(gtid) };
}

/** `N` and nothing mean no; the tools write `Y`, or the name of a method. */
function isYes(value: string | undefined): boolean {
  return value !== undefined && value !== "" && value !== "N";
}

function orNothing(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}

/** @throws {BackupError} when it lacks what every version writes; nothing else. */
export function parseSummary(file: InfoFile, blame: Blame): Summary {
  const values = pairs(file.text);
  const incremental = values.get("incremental");
  if (incremental !== "Y" && incremental !== "N") {
    throw unreadable(file, `it does not say whether the copy is incremental`, blame);
  }
  return {
    ...parseEnd(values.get("binlog_pos") ?? ""),
    serverVersion: orNothing(values.get("server_version")),
    toolVersion: orNothing(values.get("tool_version")),
    isIncremental: incremental === "Y",
    isPartial: isYes(values.get("partial")),
    isCompressed: isYes(values.get("compressed")),
    isEncrypted: isYes(values.get("encrypted")),
  };
}

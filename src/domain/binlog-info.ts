import type { BinlogPosition } from "./copy.ts";

/** Where in the binary log a copy ends. */
export type CopyEnd = {
  readonly binlog: BinlogPosition | undefined;
  /** Without white space; `undefined` where the tool left it blank. */
  readonly gtid: string | undefined;
};

/** A GTID set as one line: XtraBackup 2.4 breaks it behind each comma. Blank is `undefined`. */
export function oneLineGtid(text: string | undefined): string | undefined {
  const gtid = (text ?? "").replaceAll(/\s+/g, "");
  return gtid === "" ? undefined : gtid;
}

/** @returns `undefined` where the name or the offset is missing or makes no sense. */
export function binlogPosition(file: string | undefined, offset: string | undefined): BinlogPosition | undefined {
  if (file === undefined || file.trim() === "" || !/^\d{1,15}$/.test(offset ?? "")) return undefined;
  return { file: file.trim(), offset: Number(offset) };
}

/** A line with only a part of a GTID set, as MySQL breaks them: `4350f323-…:1-5,`. */
function isMoreGtid(line: string): boolean {
  return /^\s*[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-/.test(line);
}

/**
 * Read `xtrabackup_binlog_info` or `mariadb_backup_binlog_info`: file, tab, offset, tab, GTID set, which may go on for lines. Of several
 * rows the last one counts. Never throws: what cannot be read is `undefined`.
 */
export function parseBinlogInfo(text: string): CopyEnd {
  let row: string[] = [];
  for (const line of text.split("\n")) {
    if (line.trim() === "") continue;
    if (isMoreGtid(line)) row = [row[0] ?? "", row[1] ?? "", (row[2] ?? "") + line];
    else row = line.split("\t");
  }
  return { binlog: binlogPosition(row[0], row[1]?.trim()), gtid: oneLineGtid(row[2]) };
}

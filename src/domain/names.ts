import { type Interval, isInterval } from "./interval.ts";
import { type Key, toKey } from "./key.ts";
import { formatStamp, isStamp, type NameTime, parseStamp, STAMP_PATTERN, type Stamp, timeAfter } from "./timestamp.ts";

/** What compression and encryption leave at the end of a name; `.bz` is the predecessor's bzip2. */
const SUFFIXES = String.raw`((?:\.(?:gz|bz|zst|xz|lz4))?(?:\.gpg)?)`;

const FILES_NAME = new RegExp(`^(.*)-(${STAMP_PATTERN})\\.tar${SUFFIXES}$`, "s");
const MYSQL_NAME = new RegExp(`^mysql-(${STAMP_PATTERN})\\.(?:xbstream|tar)${SUFFIXES}$`);
const TIMED_NAME = new RegExp(`(?:^mysql-(${STAMP_PATTERN})\\.xbstream|-(${STAMP_PATTERN})\\.tar)${SUFFIXES}$`);
const BINLOG_NAME = new RegExp(`^(.+)\\.(\\d{6,10})${SUFFIXES}$`, "s");
const ANY_NAME = new RegExp(`^(.+?)${SUFFIXES}$`, "s");

/** What the name of a timed copy says. */
export type TimedName = { readonly stamp: Stamp; readonly takenAt: Date; readonly suffixes: readonly string[] };

/** What the name of a files copy says: which directory, as a code that is not reversible. */
export type FilesName = TimedName & { readonly code: string };

/** What the name of a binlog says: `name` is the server's own, without suffixes. */
export type BinlogName = {
  readonly name: string;
  readonly basename: string;
  readonly number: number;
  readonly suffixes: readonly string[];
};

function splitSuffixes(text: string): string[] {
  return text.match(/\.[a-z0-9]+/g) ?? [];
}

/** The known suffixes at the end of any name, in the order they were applied. */
export function suffixesOf(name: string): string[] {
  return splitSuffixes(ANY_NAME.exec(name)?.[2] ?? "");
}

/** The directory as names hold it: `/etc/my.cnf` → `_etc_my.cnf`, `/` → empty. Different directories may share a code. */
export function directoryCode(directory: string): string {
  return directory.replace(/\/+$/, "").replaceAll("/", "_");
}

/** Start of the name of a files copy: `_etc-2026-11-21_02_36_45.tar`. */
export function filesName(directory: string, takenAt: Date): string {
  return `${directoryCode(directory)}-${formatStamp(takenAt)}.tar`;
}

/** Start of the name of a MySQL copy: `mysql-2026-11-21_02_36_45.xbstream`; `format` is that of its stream. */
export function mysqlName(takenAt: Date, format: "xbstream" | "tar" = "xbstream"): string {
  return `mysql-${formatStamp(takenAt)}.${format}`;
}

/** Read the name of a files copy; `undefined` when it is none. */
export function parseFilesName(name: string): FilesName | undefined {
  const parts = splitFilesName(name);
  const takenAt = parts && parseStamp(parts.stamp);
  return takenAt && { ...parts, takenAt };
}

/** As `parseFilesName()`, without the time of the stamp: to find that in a time zone takes longer than all the rest. */
export function splitFilesName(name: string): Omit<FilesName, "takenAt"> | undefined {
  const [, code = "", stamp = "", suffixes = ""] = FILES_NAME.exec(name) ?? [];
  return isStamp(stamp) ? { code, stamp, suffixes: splitSuffixes(suffixes) } : undefined;
}

/** Read the name of a MySQL copy; `undefined` when it is none. */
export function parseMysqlName(name: string): TimedName | undefined {
  const [, stamp = "", suffixes = ""] = MYSQL_NAME.exec(name) ?? [];
  const takenAt = parseStamp(stamp);
  return takenAt && { stamp, takenAt, suffixes: splitSuffixes(suffixes) };
}

/** Read the name of a stored binlog, such as `mysql-bin.000012.gz`; `undefined` when it is none. */
export function parseBinlogName(name: string): BinlogName | undefined {
  const [, basename = "", digits = "", suffixes = ""] = BINLOG_NAME.exec(name) ?? [];
  if (digits === "") return undefined;
  return { name: `${basename}.${digits}`, basename, number: Number(digits), suffixes: splitSuffixes(suffixes) };
}

/**
 * Choose when a new copy is said to be taken, so that its name sorts after all `existing` names of its kind.
 * Names that are none of ours do not count. See `timeAfter()`.
 */
export function uniqueTimestamp(now: Date, existing: Iterable<string>): NameTime {
  const stamps: Stamp[] = [];
  for (const name of existing) {
    const parsed = parseFilesName(name) ?? parseMysqlName(name);
    if (parsed) stamps.push(parsed.stamp);
  }
  return timeAfter(now, stamps);
}

/** The parts of the key of a files or MySQL copy. */
type TimedKey = {
  readonly media: "files" | "mysql";
  readonly host: string;
  readonly interval: Interval;
  readonly name: string;
};

/** The parts of the key of a binlog. */
type BinlogKey = {
  readonly media: "binlog";
  readonly host: string;
  readonly incarnation: string | undefined;
  readonly name: string;
};

/** The parts of a copy's key; `name` has all suffixes. */
export type CopyKey = TimedKey | BinlogKey;

/** Join the parts of a key. @throws {BackupError} DATA_DAMAGED when one of them is not fit for a path. */
export function copyKey(parts: CopyKey): Key {
  if (parts.media !== "binlog") return toKey([parts.host, parts.interval, parts.media, parts.name].join("/"));
  const folders = parts.incarnation === undefined ? [] : [parts.incarnation];
  return toKey([parts.host, "binlog", ...folders, parts.name].join("/"));
}

function parseBinlogKey(host: string, rest: readonly string[]): CopyKey | undefined {
  const [folder, name, ...more] = rest;
  if (folder === undefined || more.length > 0) return undefined;
  if (name === undefined) return { media: "binlog", host, incarnation: undefined, name: folder };
  return { media: "binlog", host, incarnation: folder, name };
}

/** Split the key of a copy; `undefined` when no copy lies under such a key. */
export function parseCopyKey(key: Key): CopyKey | undefined {
  const [host = "", folder = "", ...rest] = key.split("/");
  if (folder === "binlog") return parseBinlogKey(host, rest);
  const [media, name, ...more] = rest;
  if (!isInterval(folder) || name === undefined || more.length > 0) return undefined;
  return media === "files" || media === "mysql" ? { media, host, interval: folder, name } : undefined;
}

/** The last component of a key. */
export function nameOf(key: Key): string {
  return key.slice(key.lastIndexOf("/") + 1);
}

/** The stamp in the name of a files or MySQL copy; `undefined` for any other key. */
export function stampOf(key: Key): Stamp | undefined {
  const [, mysql, files] = TIMED_NAME.exec(nameOf(key)) ?? [];
  const stamp = mysql ?? files;
  return stamp !== undefined && isStamp(stamp) ? stamp : undefined;
}

/** The key without the suffixes of its name: what a binlog is called in its status. */
export function withoutSuffixes(key: Key): Key {
  return toKey(key.slice(0, key.length - suffixesOf(nameOf(key)).join("").length));
}

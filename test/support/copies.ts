import type { BinlogFacts } from "../../src/domain/binlog.ts";
import type { BinlogCopy, FilesCopy, MysqlFullCopy, MysqlIncrementalCopy } from "../../src/domain/copy.ts";
import type { Interval } from "../../src/domain/interval.ts";
import { type Key, toKey } from "../../src/domain/key.ts";
import { copyKey, filesName, mysqlName } from "../../src/domain/names.ts";

/** A moment on a day in May 2026, local time. */
export function at(day: number, hour = 0, minute = 0): Date {
  return new Date(2026, 4, day, hour, minute, 2);
}

const NOTHING = {
  host: "db7",
  bytes: undefined,
  sha256: undefined,
  rawBytes: undefined,
  tool: undefined,
  toolVersion: undefined,
  verified: undefined,
} as const;

/** A files copy of ours, stored as `.tar.gz`. */
export function filesCopy(takenAt: Date, facts: Partial<FilesCopy> = {}): FilesCopy {
  const interval: Interval = facts.interval ?? "daily";
  const directory = facts.directory ?? "/etc";
  return {
    ...NOTHING,
    media: "files",
    key: copyKey({ media: "files", host: "db7", interval, name: `${filesName(directory, takenAt)}.gz` }),
    suffixes: [".gz"],
    interval,
    directory,
    startedAt: takenAt,
    finishedAt: undefined,
    warnings: [],
    ...facts,
  };
}

/** A full MySQL copy, stored as `.xbstream.gz`. */
export function fullCopy(takenAt: Date, facts: Partial<MysqlFullCopy> = {}): MysqlFullCopy {
  const interval: Interval = facts.interval ?? "daily";
  return {
    ...NOTHING,
    media: "mysql",
    kind: "full",
    key: copyKey({ media: "mysql", host: "db7", interval, name: `${mysqlName(takenAt)}.gz` }),
    suffixes: [".gz"],
    interval,
    vendor: "mariadb",
    startedAt: takenAt,
    finishedAt: undefined,
    lsn: 1000n,
    fromLsn: undefined,
    toLsn: undefined,
    binlog: undefined,
    gtid: undefined,
    galeraVersion: undefined,
    serverVersion: undefined,
    serverUuid: undefined,
    datadirId: undefined,
    format: undefined,
    config: new Map(),
    ...facts,
  };
}

/** An increment on `parent`. */
export function increment(takenAt: Date, parent: Key, facts: Partial<MysqlIncrementalCopy> = {}): MysqlIncrementalCopy {
  const { interval = "hourly" } = facts;
  return { ...fullCopy(takenAt, { interval }), kind: "incremental", parent, ...facts };
}

/** A binlog, stored as `.gz`. */
export function binlogCopy(number: number, createdAt: Date, facts: Partial<BinlogCopy> = {}): BinlogCopy {
  const name = `mysql-bin.${String(number).padStart(6, "0")}`;
  return {
    ...NOTHING,
    media: "binlog",
    key: toKey(`db7/binlog/${name}.gz`),
    suffixes: [".gz"],
    name,
    incarnation: undefined,
    createdAt,
    serverUuid: undefined,
    serverVersion: undefined,
    gtid: undefined,
    log: undefined,
    ...facts,
  };
}

/** What was found in a binary log of MariaDB with ten transactions, the last event of which is of `lastAt`. */
export function binlogFacts(lastAt: Date, facts: Partial<BinlogFacts> = {}): BinlogFacts {
  return {
    flavour: "mariadb",
    serverId: 1,
    head: "00",
    checksums: true,
    firstOffset: 256,
    endOffset: 1000,
    end: "rotated",
    inUse: false,
    transactions: 10,
    lastAt,
    firstCommitAt: undefined,
    lastCommitAt: undefined,
    previousGtid: undefined,
    ...facts,
  };
}

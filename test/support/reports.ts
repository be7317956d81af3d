import { fleetOf } from "../../src/domain/fleet.ts";
import type { RunReport } from "../../src/domain/run-report.ts";
import { at, binlogCopy, filesCopy, fullCopy } from "./copies.ts";

const FACTS = {
  flavour: "mariadb",
  serverId: 1,
  head: "0",
  checksums: true,
  firstOffset: 4,
  endOffset: 900,
  end: "rotated",
  inUse: false,
  transactions: 3,
  firstCommitAt: undefined,
  lastCommitAt: undefined,
  previousGtid: undefined,
} as const;

const SEEN = [
  filesCopy(at(4), { bytes: 1000, verified: { at: at(4, 1), ok: true, level: "checksum" } }),
  filesCopy(at(5), { bytes: 1100 }),
  filesCopy(at(5), { bytes: 7, directory: '/srv/a "b"\\c' }),
  fullCopy(at(5), { bytes: 5000, binlog: { file: "mysql-bin.000001", offset: 10 }, finishedAt: at(5, 0, 30) }),
  binlogCopy(1, at(5), { bytes: 50, rawBytes: 900, log: { ...FACTS, lastAt: at(5, 2) } }),
].map((copy) => ({ copy, doubt: undefined }));

/** A daily run of db7 on the 5th at three, which went well: directories, the server and its logs. */
export function runReport(changes: Partial<RunReport> = {}): RunReport {
  return {
    host: "db7",
    version: "4.0.0",
    command: "backup",
    runType: "daily",
    startedAt: at(5),
    finishedAt: at(5, 3),
    exitStatus: 0,
    parts: [
      { part: "files", seconds: 12.3456, failures: [] },
      { part: "mysql", seconds: 60, failures: [] },
      { part: "binlog", seconds: 1, failures: [] },
    ],
    standing: fleetOf(SEEN, at(5, 3))[0],
    ...changes,
  };
}

/** The same run, of which the server failed. */
export function failedReport(changes: Partial<RunReport> = {}): RunReport {
  const message = 'Cannot reach "db7": the server refuses the login';
  return runReport({
    exitStatus: 69,
    parts: [
      { part: "files", seconds: 12, failures: [] },
      { part: "mysql", seconds: 0.5, failures: [{ code: "UNREACHABLE", message, hint: "Look at the login." }] },
    ],
    ...changes,
  });
}

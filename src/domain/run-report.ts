import type { Media } from "./copy.ts";
import type { ErrorCode } from "./errors.ts";
import type { HostView } from "./fleet.ts";
import type { Interval } from "./interval.ts";

/** A failure as those are told who were not there; `code` is `undefined` for a defect. */
export type Failure = {
  readonly code: ErrorCode | undefined;
  readonly message: string;
  readonly hint: string | undefined;
};

/** What a part of a run came to. `run` stands for what belongs to no part, such as a lock that was not free. */
export type PartReport = {
  readonly part: Media | "run";
  readonly seconds: number;
  readonly failures: readonly Failure[];
};

/** What a backup or a restore came to, for receivers elsewhere. */
export type RunReport = {
  readonly host: string;
  readonly version: string;
  readonly command: "backup" | "restore";
  /** `undefined` for a restore, and for binary logs that were archived between runs. */
  readonly runType: Interval | undefined;
  readonly startedAt: Date;
  readonly finishedAt: Date;
  readonly exitStatus: number;
  readonly parts: readonly PartReport[];
  /** What is on the destination after it; `undefined` when that was not looked at. */
  readonly standing: HostView | undefined;
};

/** Whether nothing failed. */
export function succeeded({ parts, exitStatus }: Pick<RunReport, "parts" | "exitStatus">): boolean {
  return exitStatus === 0 && parts.every(({ failures }) => failures.length === 0);
}

/** The run as people call it: `daily backup of db1`. */
function nameOfRun({ host, command, runType }: Pick<RunReport, "host" | "command" | "runType">): string {
  if (command === "restore") return `restore on ${host}`;
  return runType === undefined ? `archiving of binary logs of ${host}` : `${runType} backup of ${host}`;
}

/** The run in one line: `daily backup of db1 failed: mysql: Cannot …`. */
export function summaryOf(report: RunReport): string {
  if (succeeded(report)) return `${nameOfRun(report)} succeeded`;
  const failures = report.parts.flatMap(({ part, failures }) => failures.map(({ message }) => `${part}: ${message}`));
  const [first = `exit status ${report.exitStatus}`, ...others] = failures;
  const more = others.length === 0 ? "" : ` (and ${others.length} more)`;
  return `${nameOfRun(report)} failed: ${first}${more}`;
}

import { binlogEndsAt } from "./binlog.ts";
import { catalogueOf } from "./binlog-catalogue.ts";
import { hostsFrom } from "./binlog-heirs.ts";
import type { BinlogCopy, Copy, FilesCopy, Media, MysqlCopy } from "./copy.ts";
import { type Lateness, lateRuns } from "./freshness.ts";
import type { Interval } from "./interval.ts";
import { nameOf, parseFilesName } from "./names.ts";
import { isPreserved } from "./preservation.ts";
import type { Doubt } from "./reconcile.ts";
import type { RecoverableWindow } from "./recoverable-window.ts";
import { knownWindow } from "./recovery-logs.ts";
import { ancestorsOf } from "./retention.ts";
import { isBroken } from "./soundness.ts";
import { compareCopies } from "./status.ts";

/** A copy as a listing knows it; `storedBytes` is the size of its object. */
export type SeenCopy<C extends Copy = Copy> = {
  readonly copy: C;
  readonly doubt: Doubt | undefined;
  readonly storedBytes?: number | undefined;
};

/** One copy in the course of time, oldest first. */
export type Point = {
  readonly key: string;
  readonly at: Date;
  readonly interval: Interval | undefined;
  readonly kind: "full" | "incremental" | undefined;
  readonly bytes: number | undefined;
  /** How long taking it took. */
  readonly seconds: number | undefined;
  readonly good: boolean;
  readonly verifiedAt: Date | undefined;
  readonly preserved: boolean;
};

/** What there is of one thing that is backed up: a directory, the server, or its binary logs. */
export type SubjectView = {
  readonly media: Media;
  /** The directory; `undefined` for the server and its logs. */
  readonly directory: string | undefined;
  readonly points: readonly Point[];
  /** The newest copy that restores, as far as is known. Of binary logs: the last one archived. */
  readonly newest: Point | undefined;
  /** Of binary logs: everything the server wrote until then is archived. Else when `newest` was taken. */
  readonly newestAt: Date | undefined;
  /** Size of the newest good copy against the median of earlier ones of its kind; `undefined` before there are three of them. */
  readonly trend: number | undefined;
  readonly storedBytes: number;
  readonly brokenCopies: number;
  readonly preservedCopies: number;
  /** The newest verify that passed. */
  readonly verifiedAt: Date | undefined;
  readonly late: readonly Lateness[];
  /** Of a server: how far its newest good copy can be brought forward. */
  readonly window: RecoverableWindow | undefined;
};

/** What there is of one host. */
export type HostView = { readonly host: string; readonly subjects: readonly SubjectView[] };

const LEAST_FOR_TREND = 3;

type Timed = FilesCopy | MysqlCopy;

/** The view of each host of a listing that holds the binary logs as well; hosts and directories by name. @param heirs logs of hosts that took over. */
export function fleetOf(seen: readonly SeenCopy[], now: Date, heirs: readonly SeenCopy[] = []): HostView[] {
  const hosts = Map.groupBy(seen, ({ copy }) => copy.host);
  const logs = only("binlog", [...seen, ...heirs]);
  return [...hosts]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([host, copies]) => ({ host, subjects: subjectsOf(copies, now, laterThan(host, logs)) }));
}

/** The logs of the hosts that took over. */
function laterThan(host: string, logs: readonly SeenCopy<BinlogCopy>[]): SeenCopy<BinlogCopy>[] {
  const hosts = hostsFrom(
    host,
    logs.map(({ copy }) => copy),
  );
  return logs.filter(({ copy }) => copy.host !== host && hosts.has(copy.host));
}

function subjectsOf(seen: readonly SeenCopy[], now: Date, later: readonly SeenCopy<BinlogCopy>[]): SubjectView[] {
  const byDirectory = Map.groupBy(only("files", seen), ({ copy }) => directoryOf(copy));
  const files = [...byDirectory].sort(([left], [right]) => (left < right ? -1 : 1));
  const [servers, logs] = [only("mysql", seen), only("binlog", seen)];
  return [
    ...files.map(([directory, copies]) => ({ ...timedView(copies, now), media: "files" as const, directory })),
    ...(servers.length === 0 ? [] : [serverView(servers, [...logs, ...later], now)]),
    ...(logs.length === 0 ? [] : [logsView(logs, now)]),
  ];
}

function only<M extends Media>(media: M, seen: readonly SeenCopy[]): SeenCopy<Extract<Copy, { media: M }>>[] {
  return seen.flatMap(({ copy, ...rest }) =>
    copy.media === media ? [{ ...rest, copy: copy as Extract<Copy, { media: M }> }] : [],
  );
}

/** A copy of the predecessor does not say its directory: its code, which is not reversible, has to do. */
function directoryOf(copy: FilesCopy): string {
  return copy.directory?.replace(/(?<=.)\/+$/, "") ?? parseFilesName(nameOf(copy.key))?.code ?? nameOf(copy.key);
}

function serverView(servers: readonly SeenCopy<MysqlCopy>[], logs: readonly SeenCopy<BinlogCopy>[], now: Date) {
  const view = timedView(servers, now);
  const newest = servers.find(({ copy }) => copy.key === view.newest?.key)?.copy;
  const doubts = new Set(logs.flatMap(({ copy, doubt }) => (doubt === undefined ? [] : [copy.key])));
  const catalogue = catalogueOf(
    logs.map(({ copy }) => copy),
    doubts,
  );
  const window = newest === undefined || logs.length === 0 ? undefined : knownWindow(newest, catalogue);
  return { ...view, media: "mysql" as const, directory: undefined, window };
}

type View = Omit<SubjectView, "media" | "directory">;

function timedView<C extends Timed>(seen: readonly SeenCopy<C>[], now: Date): View {
  const ordered = seen.toSorted((left, right) => compareCopies(left.copy, right.copy));
  const good = goodOf(ordered);
  const points = ordered.map(({ copy, storedBytes }) => ({
    ...pointOf(copy, storedBytes, now),
    at: copy.startedAt,
    interval: copy.interval,
    kind: copy.media === "mysql" ? copy.kind : undefined,
    seconds: secondsOf(copy),
    good: good.has(copy),
  }));
  const newest = points.findLast((point) => point.good);
  const runs = points.map(({ interval, at, good }) => ({ interval, startedAt: at, good }));
  return { ...sumsOf(points), newest, newestAt: newest?.at, trend: trendOf(points), late: lateRuns(runs, now) };
}

/** Copies that restore with all they need. */
function goodOf<C extends Timed>(seen: readonly SeenCopy<C>[]): ReadonlySet<C> {
  const byKey = new Map(seen.map(({ copy }) => [copy.key, copy]));
  const sound = new Set(
    seen.filter(({ copy, doubt }) => doubt === undefined && !isBroken(copy)).map(({ copy }) => copy),
  );
  return new Set([...sound].filter((copy) => ancestorsOf(copy, byKey)?.every((each) => sound.has(each)) ?? false));
}

function logsView(logs: readonly SeenCopy<BinlogCopy>[], now: Date): SubjectView {
  const ordered = logs.toSorted((left, right) => compareCopies(left.copy, right.copy));
  const points = ordered.map(({ copy, doubt, storedBytes }) => ({
    ...pointOf(copy, storedBytes, now),
    at: copy.createdAt,
    interval: undefined,
    kind: undefined,
    seconds: undefined,
    good: doubt === undefined && !isBroken(copy),
  }));
  const last = ordered.findLast(({ doubt }) => doubt === undefined)?.copy;
  const newest = points.findLast(({ key }) => key === last?.key);
  const newestAt = last && binlogEndsAt(last);
  const none = { trend: undefined, late: [], window: undefined };
  return { ...sumsOf(points), ...none, media: "binlog", directory: undefined, newest, newestAt };
}

function pointOf(copy: Copy, storedBytes: number | undefined, now: Date) {
  return {
    key: copy.key,
    // A record of the predecessor has no size.
    bytes: copy.bytes ?? storedBytes,
    verifiedAt: copy.verified?.ok === true ? copy.verified.at : undefined,
    preserved: isPreserved(copy, now),
  };
}

function secondsOf({ startedAt, finishedAt }: Timed): number | undefined {
  return finishedAt === undefined ? undefined : Math.max(0, (finishedAt.getTime() - startedAt.getTime()) / 1000);
}

function sumsOf(points: readonly Point[]) {
  const verified = points.flatMap(({ verifiedAt }) => verifiedAt?.getTime() ?? []);
  return {
    points,
    window: undefined,
    storedBytes: points.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0),
    brokenCopies: points.filter(({ good }) => !good).length,
    preservedCopies: points.filter(({ preserved }) => preserved).length,
    verifiedAt: verified.length === 0 ? undefined : new Date(verified.reduce((last, each) => Math.max(last, each))),
  };
}

/** Full copies are compared with full ones, increments with increments. */
function trendOf(points: readonly Point[]): number | undefined {
  const sized = points.filter(({ good, bytes }) => good && bytes !== undefined);
  const newest = sized.at(-1);
  const earlier = sized.slice(0, -1).filter(({ kind }) => kind === newest?.kind);
  const median = medianOf(earlier.map(({ bytes }) => bytes ?? 0));
  if (newest?.bytes === undefined || earlier.length < LEAST_FOR_TREND || median === 0) return undefined;
  return newest.bytes / median;
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? 0) + (sorted[Math.floor(middle)] ?? 0)) / 2;
}

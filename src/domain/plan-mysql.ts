import type { MysqlCopy, Vendor } from "./copy.ts";
import { INTERVALS, type Interval } from "./interval.ts";
import type { Key } from "./key.ts";
import { nameOf } from "./names.ts";
import { ancestorsOf } from "./retention.ts";
import { type ServerFacts, seriesOf, versionNumbers } from "./server.ts";
import { isBroken } from "./soundness.ts";

/** What decides between a full copy and an increment, besides the copies. */
export type PlanFacts = {
  /** The run type, and the one from which on every run takes a full copy. */
  readonly interval: Interval;
  readonly fullBackup: Interval;
  /** Age in days at which a full copy is followed by another; `undefined` sets no limit. */
  readonly fullBackupDays: number | undefined;
  /** What an increment starts from: a full copy, or the last copy whatever it is. */
  readonly incrementalFrom: "full" | "last";
  /** The user asked for a full copy. */
  readonly isForced: boolean;
  /** The status was lost or damaged. */
  readonly isDoubtful: boolean;
  /** The clock is over a day behind the newest copy. */
  readonly clockBehind: boolean;
  readonly now: Date;
  readonly server: Pick<ServerFacts, "vendor" | "version" | "uuid" | "datadirId">;
  readonly tool: Tool;
  /** Copies known not to be good, such as those `reconcile()` found. */
  readonly doubts: { has(key: Key): boolean };
};

/** The tool that takes the next copy. */
export type Tool = {
  readonly name: string;
  readonly version: string;
  readonly canIncrement: boolean;
  readonly format: string;
};

/** What the next copy is to be. A reason is a short phrase for people, such as `the server was upgraded from 10.6 to 10.11`. */
export type MysqlPlan =
  | { readonly kind: "full"; readonly reason: string }
  /** `lsn` is where the parent ends. */
  | { readonly kind: "incremental"; readonly parent: MysqlCopy; readonly lsn: bigint };

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const SERVERS: Readonly<Record<Vendor, string>> = { oracle: "MySQL", percona: "Percona Server", mariadb: "MariaDB" };

/**
 * Choose between a full copy and an increment, and what the increment is taken against. In doubt it is a full copy.
 *
 * The predecessor takes an increment against the full copy with the highest LSN in the first run type, from the run's own on, that has any.
 * Here it is the newest full copy of all those run types: the newer the parent, the smaller the increment. Restoring never asks this
 * again, the recorded parent holds for ever. A parent of a shorter run type is never taken, for it would be pinned beyond its time.
 * @param copies oldest first, as in a status.
 */
export function planMysql(copies: readonly MysqlCopy[], facts: PlanFacts): MysqlPlan {
  const own = reasonWithoutParent(facts);
  if (own !== undefined) return { kind: "full", reason: own };
  const parent = copies.findLast((copy) => isCandidate(copy, facts));
  if (parent === undefined) return { kind: "full", reason: "there is no full copy to start from" };
  // When the newest is bad an older one is passed over on purpose: that is doubt enough for a full copy.
  const reason = reasonAgainst(parent, copies, facts);
  const lsn = parent.toLsn ?? parent.lsn;
  if (reason === undefined && lsn !== undefined) return { kind: "incremental", parent, lsn };
  return { kind: "full", reason: reason ?? `"${nameOf(parent.key)}" does not say where it ends` };
}

function reasonWithoutParent(facts: PlanFacts): string | undefined {
  const { interval, fullBackup, tool } = facts;
  if (facts.isForced) return "a full copy was asked for";
  if (rank(interval) >= rank(fullBackup)) return `${interval} runs take full copies`;
  if (facts.isDoubtful) return "the status was damaged or lost";
  if (facts.clockBehind) return "the clock is behind the newest copy";
  if (!tool.canIncrement) return `${tool.name} takes full copies only`;
  if (tool.format !== "xbstream") return `increments need copies as xbstream, not as ${tool.format}`;
  return undefined;
}

function rank(interval: Interval): number {
  return INTERVALS.indexOf(interval);
}

function isCandidate(copy: MysqlCopy, { interval, incrementalFrom }: PlanFacts): boolean {
  return rank(copy.interval) >= rank(interval) && (copy.kind === "full" || incrementalFrom === "last");
}

/** Why no increment may be taken against `parent`. */
function reasonAgainst(parent: MysqlCopy, copies: readonly MysqlCopy[], facts: PlanFacts): string | undefined {
  const ancestors = ancestorsOf(parent, new Map(copies.map((copy) => [copy.key, copy])));
  if (ancestors === undefined) return `"${nameOf(parent.key)}" lacks a copy that it was taken against`;
  const chain = [parent, ...ancestors];
  const base = chain.at(-1) ?? parent;
  return (
    unsound(chain, facts) ??
    tooOld(base, facts) ??
    otherServer(parent, facts) ??
    otherData(parent, facts) ??
    otherTool(parent, facts)
  );
}

function unsound(chain: readonly MysqlCopy[], { doubts }: PlanFacts): string | undefined {
  for (const copy of chain) {
    const { key, format } = copy;
    if (doubts.has(key)) return `"${nameOf(key)}" is not there as it was stored`;
    if (copy.mark?.broken === true) return `"${nameOf(key)}" was marked as broken`;
    if (isBroken(copy)) return `"${nameOf(key)}" was found damaged`;
    if (format !== undefined && format !== "xbstream") return `"${nameOf(key)}" is a copy without increments`;
  }
  return undefined;
}

/** An hour early counts: cron starts some seconds sooner or later, and clocks change in spring. */
function tooOld(base: MysqlCopy, { now, fullBackupDays }: PlanFacts): string | undefined {
  if (fullBackupDays === undefined) return undefined;
  const age = now.getTime() - base.startedAt.getTime();
  if (age < fullBackupDays * DAY_MS - HOUR_MS) return undefined;
  const days = Math.round(age / DAY_MS);
  return `the last full copy is ${days} ${days === 1 ? "day" : "days"} old`;
}

function isNewer(version: string, than: string): boolean {
  const [major = 0, minor = 0] = versionNumbers(version);
  const [thanMajor = 0, thanMinor = 0] = versionNumbers(than);
  return major > thanMajor || (major === thanMajor && minor > thanMinor);
}

function otherServer({ key, vendor, serverVersion }: MysqlCopy, { server }: PlanFacts): string | undefined {
  if (vendor !== server.vendor) return `the server is ${SERVERS[server.vendor]} now, it was ${SERVERS[vendor]}`;
  if (serverVersion === undefined) return `"${nameOf(key)}" does not say which server it is of`;
  const [then, now] = [seriesOf(serverVersion), seriesOf(server.version)];
  if (then === now) return undefined;
  return `the server was ${isNewer(now, then) ? "upgraded" : "downgraded"} from ${then} to ${now}`;
}

/** At least one of the two identities must be known on both sides: a server that cannot be told from another one is another one. */
function otherData({ key, serverUuid, datadirId }: MysqlCopy, { server }: PlanFacts): string | undefined {
  if (isOther(serverUuid, server.uuid)) return "it is another server, with another UUID";
  if (isOther(datadirId, server.datadirId)) return "the server's data directory was replaced";
  if (isSame(serverUuid, server.uuid) || isSame(datadirId, server.datadirId)) return undefined;
  return `nothing tells whether "${nameOf(key)}" is of this server`;
}

function isSame(then: string | undefined, now: string | undefined): boolean {
  return then !== undefined && then === now;
}

function isOther(then: string | undefined, now: string | undefined): boolean {
  return then !== undefined && now !== undefined && then !== now;
}

function otherTool({ key, tool, toolVersion }: MysqlCopy, facts: PlanFacts): string | undefined {
  const { name, version } = facts.tool;
  if (tool === undefined || toolVersion === undefined) return `"${nameOf(key)}" does not say which tool took it`;
  if (tool !== name) return `the tool is ${name} now, it was ${tool}`;
  const [then, now] = [seriesOf(toolVersion), seriesOf(version)];
  return then === now ? undefined : `${name} was changed from ${then} to ${now}`;
}

import { binlogNumber, type GtidState, gtidsAfter, includesGtids, parseGtidState } from "./binlog.ts";
import type { BinlogCatalogue, Timeline } from "./binlog-catalogue.ts";
import type { BinlogCopy } from "./copy.ts";

/** What the beginning of a server's log says, as far as it can be seen from here. */
export type LogHead = {
  readonly flavour: "mysql" | "mariadb";
  readonly createdAt: Date | undefined;
  /** See `BinlogFacts`. */
  readonly head: string | undefined;
  readonly previousGtid: string | undefined;
};

/** A log that the server has closed. */
export type ClosedLog = { readonly name: string; readonly bytes: number };

/** A server whose logs are to be archived: the closed ones, oldest first. */
export type LogServer = {
  readonly uuid: string | undefined;
  readonly serverId: number;
  readonly closed: readonly ClosedLog[];
  readonly headOf: (log: ClosedLog) => Promise<LogHead>;
};

/** Whether an archived log is the one that a server has under the same name: names come again after a reset. */
export function isSameLog(copy: BinlogCopy, log: ClosedLog, head: LogHead): boolean {
  if (copy.rawBytes !== undefined && copy.rawBytes !== log.bytes) return false;
  if (copy.log !== undefined && head.head !== undefined) return copy.log.head === head.head;
  if (copy.log?.previousGtid !== undefined && head.previousGtid !== undefined) {
    return copy.log.previousGtid === head.previousGtid;
  }
  // Of a copy of the predecessor's only the time of its first event is known, or when it was stored where its record was lost.
  return head.createdAt === undefined || head.createdAt <= copy.createdAt;
}

/** Whether a log, of which nothing is archived yet, can come after the last archived one of a timeline. */
function comesAfter(last: BinlogCopy, log: ClosedLog, head: LogHead): boolean {
  if (binlogNumber(log.name) <= binlogNumber(last.name) || basenameOf(log.name) !== basenameOf(last.name)) return false;
  if (head.createdAt !== undefined && head.createdAt < last.createdAt) return false;
  const [end, start] = [gtidsAfter(last), stateOf(head)];
  return end === undefined || start === undefined || includesGtids(start, end);
}

function basenameOf(name: string): string {
  return name.slice(0, name.lastIndexOf("."));
}

function stateOf({ flavour, previousGtid }: LogHead): GtidState | undefined {
  return previousGtid === undefined ? undefined : parseGtidState(flavour, previousGtid);
}

/** Whether the server goes on where this timeline ends, or still has some of its logs. */
async function isOf(server: LogServer, { logs }: Timeline): Promise<boolean> {
  if (logs.some(({ serverUuid }) => isOther(serverUuid, server.uuid))) return false;
  // The new primary's logs may well have names that come next.
  if (logs.some(({ ended, log }) => ended !== undefined && isOther(log?.serverId, server.serverId))) return false;
  const byName = new Map(server.closed.map((log) => [log.name, log]));
  const shared = logs.filter(({ name }) => byName.has(name));
  if (shared.some(({ name, rawBytes }) => isOther(rawBytes, byName.get(name)?.bytes))) return false;
  const [copy, last] = [shared.at(-1), logs.at(-1)];
  const log = copy === undefined ? server.closed[0] : byName.get(copy.name);
  if (log === undefined || last === undefined) return false;
  const head = await server.headOf(log);
  return copy === undefined ? comesAfter(last, log, head) : isSameLog(copy, log, head);
}

function isOther<T>(one: T | undefined, other: T | undefined): boolean {
  return one !== undefined && other !== undefined && one !== other;
}

/** The timeline that a server's closed logs belong to; `undefined` when they are a new one: another server, or one that was reset. */
export async function timelineOf(server: LogServer, { timelines }: BinlogCatalogue): Promise<Timeline | undefined> {
  for (const timeline of timelines.toReversed()) if (await isOf(server, timeline)) return timeline;
  return undefined;
}

/**
 * Name the folder of a new timeline, such as `20261121T161951Z-e477be55`, by its first log. Unlike names of logs, which come again.
 * @param taken folders that are there already.
 */
export function newIncarnation(head: LogHead, now: Date, taken: ReadonlySet<string>): string {
  const stamp = (head.createdAt ?? now).toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const name = head.head === undefined ? stamp : `${stamp}-${head.head.slice(0, 8)}`;
  for (let count = 1; ; count++) {
    const unique = count === 1 ? name : `${name}-${count}`;
    if (!taken.has(unique)) return unique;
  }
}

/** The logs of a server to archive, in order: those behind the last archived one. `gone` names archived ones that are not there any more. */
export function logsToCopy(
  closed: readonly ClosedLog[],
  timeline: Timeline | undefined,
  gone: ReadonlySet<string>,
): ClosedLog[] {
  const last = Math.max(0, ...(timeline?.logs ?? []).map(({ name }) => binlogNumber(name)));
  return closed.filter(({ name }) => binlogNumber(name) > last || gone.has(name));
}

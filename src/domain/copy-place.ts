import { binlogEndsAt, gtidsBefore, includesGtids, readGtidState } from "./binlog.ts";
import type { BinlogCatalogue, Timeline } from "./binlog-catalogue.ts";
import { isSameServer } from "./binlog-writer.ts";
import type { BinlogCopy, MysqlCopy, ServerIdentity } from "./copy.ts";

/** Whether a log is of another server than a copy, by what both know. */
function isOfAnother(log: BinlogCopy, copy: MysqlCopy): boolean {
  return log.serverUuid !== undefined && copy.serverUuid !== undefined && log.serverUuid !== copy.serverUuid;
}

/** When the server went on to the next log; for the last one, the time of its last event. */
export function endOf(logs: readonly BinlogCopy[], index: number): Date {
  const [log, next] = [logs[index], logs[index + 1]];
  if (log === undefined) return new Date(0);
  const end = binlogEndsAt(log);
  return next !== undefined && next.createdAt > end ? next.createdAt : end;
}

/** Whether the copy can have been taken while the server wrote this log: names come again after a reset. */
function holdsEndOf(copy: MysqlCopy, { logs }: Timeline, index: number): boolean {
  const log = logs[index];
  if (log === undefined || isOfAnother(log, copy) || isTooShort(log, copy)) return false;
  const { startedAt, finishedAt = log.createdAt } = copy;
  if (log.createdAt > finishedAt || endOf(logs, index) < wholeSecond(startedAt)) return false;
  return log.log?.flavour !== "mysql" || isBehind(copy, log);
}

function isTooShort({ rawBytes }: BinlogCopy, { binlog }: MysqlCopy): boolean {
  return rawBytes !== undefined && (binlog?.offset ?? 0) > rawBytes;
}

/** The times in a log are whole seconds. */
export function wholeSecond(date: Date): Date {
  return new Date(Math.floor(date.getTime() / 1000) * 1000);
}

/** Whether the copy holds all that was logged before this log; true where nobody knows. */
function isBehind(copy: MysqlCopy, log: BinlogCopy): boolean {
  const before = gtidsBefore(log);
  if (before === undefined || copy.gtid === undefined) return true;
  if ((before.flavour === "mariadb") !== (copy.vendor === "mariadb")) return false;
  const own = readGtidState(before.flavour, copy.gtid);
  return own === undefined || includesGtids(own, before);
}

/** The log in which a copy ends. */
export type Start = { readonly timeline: Timeline; readonly index: number };

/** Find the log in which a copy ends; `undefined` when it is not archived. */
export function startOf(copy: MysqlCopy, { timelines }: BinlogCatalogue): Start | undefined {
  for (const timeline of timelines.toReversed()) {
    if (timeline.host !== copy.host || isOfOtherReign(timeline, copy, timelines)) continue;
    const index =
      copy.binlog === undefined
        ? timeline.logs.findLastIndex((log, at) => isLastBehind(copy, log) && holdsEndOf(copy, timeline, at))
        : timeline.logs.findIndex(({ name }, at) => name === copy.binlog?.file && holdsEndOf(copy, timeline, at));
    if (index !== -1) return { timeline, index };
  }
  return undefined;
}

/**
 * Whether another server than the one of a timeline archived under the name of the host when the copy was taken: both may well have been
 * writing logs of the same name at that time.
 */
function isOfOtherReign({ logs: [log] }: Timeline, copy: MysqlCopy, timelines: readonly Timeline[]): boolean {
  const archived = timelines.filter(({ host }) => host === copy.host).flatMap(({ logs }) => logs);
  const takeovers = archived
    .flatMap((each) => (each.ended?.to.host === copy.host ? [{ log: each, end: each.ended }] : []))
    .sort((left, right) => left.end.epoch - right.end.epoch);
  const end = copy.finishedAt ?? copy.startedAt;
  const last = takeovers.findLast((each) => each.end.at < end);
  const writer = last?.end.to ?? writerOf(takeovers[0]?.log);
  const own = writerOf(log);
  return writer !== undefined && own !== undefined && !isSameServer(writer, own);
}

function writerOf(copy: BinlogCopy | undefined): ServerIdentity | undefined {
  return copy?.log && { uuid: copy.serverUuid, serverId: copy.log.serverId };
}

/** Without a place in the log, its GTIDs have to tell. */
function isLastBehind(copy: MysqlCopy, log: BinlogCopy): boolean {
  return copy.gtid !== undefined && gtidsBefore(log) !== undefined && isBehind(copy, log);
}

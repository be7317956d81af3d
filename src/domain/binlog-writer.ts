import { gtidsAfter, missingGtids, parseGtidState } from "./binlog.ts";
import type { BinlogCopy, ServerIdentity, TimelineEnd } from "./copy.ts";
import { BackupError } from "./errors.ts";
import type { Key } from "./key.ts";

/** Whether two are one server. */
export function isSameServer(left: ServerIdentity, right: ServerIdentity): boolean {
  if (left.uuid !== undefined && right.uuid !== undefined) return left.uuid === right.uuid;
  return left.serverId === right.serverId;
}

/** The last takeover of an archive, and the log that it stands in; `undefined` when there was none. */
export function lastTakeover(
  copies: Iterable<BinlogCopy>,
): { readonly key: Key; readonly end: TimelineEnd } | undefined {
  let last: { readonly key: Key; readonly end: TimelineEnd } | undefined;
  for (const { key, ended: end } of copies) if (end && end.epoch > (last?.end.epoch ?? 0)) last = { key, end };
  return last;
}

/**
 * Whether a server may add to an archive: once another one took it over, only that one may. Ask inside the change of the status, so that of a takeover and
 * a late upload one comes first.
 * @throws {BackupError} FAILED when it may not.
 */
export function requireWriter(copies: Iterable<BinlogCopy>, server: ServerIdentity, host: string): void {
  const end = lastTakeover(copies)?.end;
  if (end === undefined || isSameServer(end.to, server)) return;
  const message = `Cannot archive binary logs of "${host}": the server on "${end.to.host}" took over at ${end.at.toISOString()}`;
  throw new BackupError("FAILED", message, {
    hint: `Stop writing to this server; once it is the primary again, run: twindb-backup binlog takeover ${end.to.host}.`,
  });
}

/** The takeover that a timeline ends with in this log; `undefined` also where the server that wrote it is the primary again. */
export function replacementOf({ ended, serverUuid, log }: BinlogCopy): TimelineEnd | undefined {
  if (ended === undefined || log === undefined) return ended;
  return isSameServer(ended.to, { uuid: serverUuid, serverId: log.serverId }) ? undefined : ended;
}

/** What a log that a timeline ends in holds behind that end, as GTIDs for people; empty for nothing. */
export function behindEnd(log: BinlogCopy): string {
  const after = gtidsAfter(log);
  if (log.ended === undefined || log.log === undefined || after === undefined) return "";
  return missingGtids(after, parseGtidState(log.log.flavour, log.ended.gtid));
}

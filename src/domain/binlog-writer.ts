import { gtidsAfter, includesGtids, missingGtids, parseGtidState, readGtidState } from "./binlog.ts";
import type { BinlogCopy, ServerIdentity, TimelineEnd } from "./copy.ts";
import { BackupError } from "./errors.ts";
import { formatGtidSet, subtractGtids } from "./gtid-set.ts";
import type { Key } from "./key.ts";
import type { Logged } from "./logged.ts";

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

/** A server that wants to add to an archive, and what it has logged, where that was asked for. */
type Writer = ServerIdentity & { readonly logged?: Logged };

/** What a server that was replaced has written by itself and the new primary had not applied, as GTIDs for people; empty for nothing. */
function errantOf(logged: Logged, { uuid, serverId }: ServerIdentity, { gtid }: TimelineEnd): string {
  const applied = readGtidState(uuid === undefined ? "mariadb" : "mysql", gtid);
  if (applied?.flavour === "mysql") {
    const own = [...logged].filter(([source]) => source.split(":")[0] === uuid?.toLowerCase());
    return formatGtidSet(subtractGtids(new Map(own), applied.set));
  }
  const own = [...logged].filter(([source]) => source.endsWith(`-${serverId}`));
  const last = own.map(([source, ranges]) => `${source}-${ranges.at(-1)?.to}`);
  return last
    .filter((each) => applied !== undefined && !includesGtids(applied, parseGtidState("mariadb", each)))
    .join(",");
}

/**
 * Whether a server may add to an archive: once another one took it over, only that one may. Ask inside the change of the status, so that of a takeover and
 * a late upload one comes first.
 * @throws {BackupError} FAILED when it may not.
 */
export function requireWriter(copies: Iterable<BinlogCopy>, server: Writer, host: string): void {
  const end = lastTakeover(copies)?.end;
  if (end === undefined || isSameServer(end.to, server)) return;
  const errant = server.logged === undefined ? "" : errantOf(server.logged, server, end);
  const besides = errant === "" ? "" : `, and never got ${errant}, which this one logged`;
  const message = `Cannot archive binary logs of "${host}": the server on "${end.to.host}" took over at ${end.at.toISOString()}${besides}`;
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

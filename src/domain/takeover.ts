import { type GtidState, gtidsAfter, gtidsBefore, includesGtids, missingGtids } from "./binlog.ts";
import { catalogueOf } from "./binlog-catalogue.ts";
import { newestTimeline } from "./binlog-retention.ts";
import { isSameServer, lastTakeover } from "./binlog-writer.ts";
import type { BinlogCopy, ServerIdentity, TimelineEnd } from "./copy.ts";
import { BackupError } from "./errors.ts";

/** A takeover as it is to be recorded. */
export type Takeover = Pick<TimelineEnd, "at" | "by" | "to"> & {
  /** What the new primary had applied of the old one. */
  readonly applied: GtidState;
  readonly gtid: string;
};

/** Which archived log a timeline ends in, and what of the archive comes behind that, as GTIDs for people; empty for nothing. */
type TakeoverPlan = { readonly log: BinlogCopy; readonly lost: string };

/**
 * Find the log in which the timeline of an old primary ends: the last one that began with nothing that the new primary lacks.
 * @throws {BackupError} NOT_FOUND when nothing is archived; FAILED when the new primary never followed the old one.
 */
export function planTakeover(
  copies: readonly BinlogCopy[],
  { applied, to }: Pick<Takeover, "applied" | "to">,
  host: string,
): TakeoverPlan {
  const others = copies.filter((copy) => !isOf(to, copy));
  const logs = newestTimeline(catalogueOf(others))?.logs ?? [];
  const last = logs.at(-1);
  if (last === undefined) {
    throw new BackupError("NOT_FOUND", `Cannot take over the archive of "${host}": no binary log of it is archived`, {
      hint: "Name the host whose archive it is, as twindb-backup binlog ls --host prints it.",
    });
  }
  const log = logs.findLast((each) => wasBegunWith(each, applied));
  if (log === undefined) throw neverFollowed(host, last);
  const after = gtidsAfter(last);
  return { log, lost: after === undefined ? "" : missingGtids(after, applied) };
}

/** Under one host name the new primary may have archived something already. */
function isOf(server: ServerIdentity, { serverUuid, log }: BinlogCopy): boolean {
  return log !== undefined && isSameServer({ uuid: serverUuid, serverId: log.serverId }, server);
}

function wasBegunWith(log: BinlogCopy, applied: GtidState): boolean {
  const before = gtidsBefore(log);
  return before !== undefined && includesGtids(applied, before);
}

function neverFollowed(host: string, { name }: BinlogCopy): BackupError {
  return new BackupError(
    "FAILED",
    `Cannot take over the archive of "${host}": this server lacks what was logged before "${name}"`,
    { hint: "Run it on the server that was promoted in its place, whose GTIDs go on where those end." },
  );
}

/** The archive with the takeover in it. @throws {BackupError} as `planTakeover()`. */
export function withTakeover(copies: readonly BinlogCopy[], takeover: Takeover, host: string): BinlogCopy[] {
  const { log } = planTakeover(copies, takeover, host);
  const { at, by, to, gtid } = takeover;
  const epoch = (lastTakeover(copies)?.end.epoch ?? 0) + 1;
  return copies.map((copy) => (copy.key === log.key ? { ...copy, ended: { epoch, gtid, at, by, to } } : copy));
}

/** The archive of a server that is the primary again, open to it. The same when it was never taken over. */
export function reopened(
  copies: readonly BinlogCopy[],
  { at, by, to }: Omit<Takeover, "applied" | "gtid">,
): BinlogCopy[] {
  const last = lastTakeover(copies);
  if (last === undefined || isSameServer(last.end.to, to)) return [...copies];
  const ended = { ...last.end, epoch: last.end.epoch + 1, at, by, to };
  return copies.map((copy) => (copy.key === last.key ? { ...copy, ended } : copy));
}

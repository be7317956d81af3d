import { type BinlogFlavour, binlogEndsAt, type GtidState, gtidsAfter, includesGtids, missingGtids } from "./binlog.ts";
import type { ClosedLog } from "./binlog-incarnation.ts";
import type { BinlogCopy } from "./copy.ts";
import { humanSeconds } from "./human.ts";
import type { Key } from "./key.ts";
import { isBroken } from "./soundness.ts";

/** A server that replicates from the one whose logs are purged, and all that it has applied. */
export type Peer = { readonly name: string; readonly applied: GtidState };

/** A log that the server has closed, and its archived copy, of which it was proven that it is of this very log. */
export type ServerLog = ClosedLog & { readonly copy: BinlogCopy | undefined };

/** What decides which logs a server may lose, besides the logs. */
export type PurgeFacts = {
  readonly flavour: BinlogFlavour;
  /** Copies known not to be good, such as those `reconcile()` found. */
  readonly doubts: { has(key: Key): boolean };
  readonly peers: readonly Peer[];
  /** Age of its last event from which on a log may go. */
  readonly keepSeconds: number;
  readonly now: Date;
};

/** Why a log stays on the server, as the end of a sentence; `undefined` when it may go. The open log is not to be asked about. */
export function whyKept(log: ServerLog, facts: PurgeFacts): string | undefined {
  const { copy } = log;
  if (copy === undefined) return "it is not archived";
  return notWhole(log, copy, facts) ?? tooYoung(copy, facts) ?? notApplied(copy, facts);
}

function notWhole({ bytes }: ServerLog, copy: BinlogCopy, { doubts }: PurgeFacts): string | undefined {
  if (doubts.has(copy.key)) return "its archived copy is not there as it was stored";
  if (isBroken(copy)) return "its archived copy is known to be broken";
  if (copy.sha256 === undefined || copy.log === undefined) return "nobody has read its archived copy through";
  return copy.rawBytes === bytes ? undefined : "its archived copy has another size";
}

function tooYoung(copy: BinlogCopy, { keepSeconds, now }: PurgeFacts): string | undefined {
  const age = (now.getTime() - binlogEndsAt(copy).getTime()) / 1000;
  return age >= keepSeconds ? undefined : `it ended less than ${humanSeconds(keepSeconds)} ago`;
}

/** A log without transactions holds what was logged before it: by that it is compared. */
function notApplied(copy: BinlogCopy, { peers, flavour }: PurgeFacts): string | undefined {
  const [first] = peers;
  if (first === undefined) return undefined;
  const end = gtidsAfter(copy);
  if (end === undefined) return "it does not say which transactions it holds, so nobody knows what its replicas lack";
  for (const { name, applied } of peers) {
    if (end.flavour !== flavour || applied.flavour !== flavour) return `"${name}" is a server of another make`;
    if (!includesGtids(applied, end)) return `"${name}" has not applied ${missingGtids(end, applied)}`;
  }
  return undefined;
}

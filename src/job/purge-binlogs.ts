import type { CallOptions } from "../destination/destination.ts";
import type { BinlogFlavour } from "../domain/binlog.ts";
import { catalogueOf } from "../domain/binlog-catalogue.ts";
import { type ClosedLog, isSameLog, type LogHead, timelineOf } from "../domain/binlog-incarnation.ts";
import { requireWriter } from "../domain/binlog-writer.ts";
import type { BinlogCopy } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import { type Peer, type PurgeFacts, type ServerLog, whyKept } from "../domain/purge-plan.ts";
import { locateBinlogs, reconcile } from "../domain/reconcile.ts";
import type { Shelf } from "./shelf.ts";

/** A server's binary logs, oldest first; the last one is being written to. */
type Listing = {
  readonly flavour: BinlogFlavour;
  readonly uuid: string | undefined;
  readonly serverId: number;
  readonly logs: readonly ClosedLog[];
};

/** A server whose binary logs may go. */
export type PurgedServer = {
  /** `undefined` when the server keeps none. */
  readonly list: () => Promise<Listing | undefined>;
  readonly headOf: (log: ClosedLog) => Promise<LogHead>;
  /** Have the server remove all logs before this one; it leaves those that a replica is reading. */
  readonly purgeBefore: (log: ClosedLog) => Promise<void>;
};

export type Purge = {
  readonly shelf: Shelf<"binlog">;
  readonly server: PurgedServer;
  readonly peers: () => Promise<readonly Peer[]>;
  readonly keepSeconds: number;
  /** Only say what would be done. */
  readonly isDry: boolean;
  readonly now: Date;
  readonly signal: AbortSignal;
};

/** What went, or would go, and the first log that stays with the reason. */
export type Purged = { readonly logs: readonly ClosedLog[]; readonly kept: ClosedLog; readonly why: string };

/** So many go in one statement: commits wait while a server removes files. */
const BATCH = 10;

/**
 * Have a server remove the binary logs that it needs no more: the oldest ones in a row that are archived whole, are old enough, and were applied by every
 * peer. Never the one that it writes to.
 * @returns `undefined` when the server keeps no logs.
 * @throws {BackupError} DATA_DAMAGED when the status of the archive cannot be trusted.
 */
export async function purgeBinlogs(purge: Purge): Promise<Purged | undefined> {
  const listing = await purge.server.list();
  const open = listing?.logs.at(-1);
  if (listing === undefined || open === undefined) return undefined;
  const archive = await readArchive(purge);
  requireWriter(archive.copies, listing, purge.shelf.host);
  const peers = await purge.peers();
  const facts = { ...purge, peers, flavour: listing.flavour, doubts: archive.doubts };
  const found = await oldestGoners(purge, { listing, open, archive, facts });
  if (purge.isDry || found.logs.length === 0) return found;
  return carryOut(purge, found);
}

type Archive = { readonly copies: readonly BinlogCopy[]; readonly doubts: PurgeFacts["doubts"] };

async function readArchive({ shelf, signal }: Purge & CallOptions): Promise<Archive> {
  const { host, destination } = shelf;
  const { status, doubtful } = await shelf.status.load({ signal });
  if (doubtful) {
    throw new BackupError("DATA_DAMAGED", `Cannot purge by the archive of "${host}": its status is damaged or lost`, {
      hint: 'Run "twindb-backup status rebuild" first.',
    });
  }
  const objects = await Array.fromAsync(destination.list(`${host}/`, { signal }));
  const located = locateBinlogs(status, objects);
  return { copies: located.copies, doubts: reconcile(located, objects) };
}

type Known = {
  readonly listing: Listing;
  readonly open: ClosedLog;
  readonly archive: Archive;
  readonly facts: PurgeFacts;
};

async function oldestGoners({ server, signal }: Purge, { listing, open, archive, facts }: Known): Promise<Purged> {
  const closed = listing.logs.slice(0, -1);
  const timeline = await timelineOf(
    { uuid: listing.uuid, serverId: listing.serverId, closed, headOf: server.headOf },
    catalogueOf(archive.copies, archive.doubts),
  );
  const byName = new Map((timeline?.logs ?? []).map((copy) => [copy.name, copy]));
  for (const [index, log] of closed.entries()) {
    signal.throwIfAborted();
    const why = whyKept(await proven(log, byName.get(log.name), server), facts);
    if (why !== undefined) return { logs: closed.slice(0, index), kept: log, why };
  }
  return { logs: closed, kept: open, why: "the server writes to it" };
}

/** Names come again after a reset: each log is held against its copy. */
async function proven(log: ClosedLog, copy: BinlogCopy | undefined, { headOf }: PurgedServer): Promise<ServerLog> {
  if (copy === undefined) return { ...log, copy };
  return { ...log, copy: isSameLog(copy, log, await headOf(log)) ? copy : undefined };
}

async function carryOut({ server, signal }: Purge, { logs, kept, why }: Purged): Promise<Purged> {
  for (let done = BATCH; ; done += BATCH) {
    signal.throwIfAborted();
    await server.purgeBefore(logs[done] ?? kept);
    if (done >= logs.length) break;
  }
  const left = new Set((await server.list())?.logs.map(({ name }) => name));
  const inUse = logs.find(({ name }) => left.has(name));
  const gone = logs.filter(({ name }) => !left.has(name));
  return inUse === undefined ? { logs, kept, why } : { logs: gone, kept: inUse, why: "a replica is reading it" };
}

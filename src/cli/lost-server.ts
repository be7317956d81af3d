import type { ClosedLog, LogHead } from "../domain/binlog-incarnation.ts";
import { BackupError } from "../domain/errors.ts";
import type { LogServer } from "../job/backup-binlogs.ts";
import { binlogSource, readLogHead } from "../source/binlog.ts";
import type { BinlogSpool, SpoolServer } from "../source/binlog-spool.ts";
import { flavourOf } from "./spooled-server.ts";

/** What is left of a server: a spool that nobody writes to. */
export type Remains = {
  readonly spool: BinlogSpool;
  readonly known: SpoolServer;
  /** All that hold transactions, the newest too, oldest first. */
  readonly logs: readonly ClosedLog[];
};

/**
 * What is left of a server: every log of its spool that holds a transaction. Of the newest one, what a crash of this host has cut off is taken away.
 * @throws {BackupError} DATA_DAMAGED when it does not say whose logs they are.
 */
export async function remainsIn(spool: BinlogSpool): Promise<Remains | undefined> {
  const tail = await spool.tail();
  if (tail === undefined) return undefined;
  if (tail.isBegun) await spool.resume(tail);
  await spool[Symbol.asyncDispose]();
  const logs = tail.isBegun ? await spool.logs() : await spool.closed();
  if (logs.length === 0) return undefined;
  const known = await spool.server();
  if (known !== undefined) return { spool, known, logs };
  throw new BackupError(
    "DATA_DAMAGED",
    `Cannot hand over what "${spool.directory}" holds: nothing there says whose it is`,
    {
      hint: "Replay the logs there with the server's mysqlbinlog or mariadb-binlog.",
    },
  );
}

/** The beginning of a log that lies in a spool. */
async function headIn({ spool, known }: Remains, { name }: ClosedLog): Promise<LogHead> {
  const head = await readLogHead(spool.directory, name);
  const { createdAt, log } = head?.scan ?? {};
  return { flavour: flavourOf(known), createdAt, head: log?.head, previousGtid: log?.previousGtid };
}

/** A server that is lost, as far as its logs are left: all of them are complete, for nobody will write to them. */
export function lostServer(remains: Remains): LogServer {
  const { spool, known, logs } = remains;
  return {
    // The last one listed is taken for the one that is written to.
    list: () => Promise.resolve({ ...known, logs: [...logs, ...logs.slice(-1)] }),
    holdsTransactions: () => Promise.resolve(true),
    rotate: () => Promise.reject(new TypeError("a lost server closes no log")),
    headOf: (log) => headIn(remains, log),
    openSource: (log, onProgress) => {
      const access = { kind: "directory", directory: spool.directory } as const;
      return binlogSource({ ...log, access, onProgress });
    },
  };
}

/**
 * Make sure that a server is lost, or at least its newest log that is left here: else it goes on with that.
 * @throws {BackupError} CONFLICT when it has it.
 */
export async function requireLost(server: LogServer, remains: Remains): Promise<void> {
  const newest = remains.logs.at(-1);
  const listing = await server.list().catch((error: unknown) => {
    if (error instanceof BackupError && error.code === "UNREACHABLE") return undefined;
    throw error;
  });
  const log = listing?.logs.find(({ name }) => name === newest?.name);
  if (listing === undefined || newest === undefined || log === undefined) return;
  const { uuid } = remains.known;
  if (uuid !== undefined && listing.uuid !== undefined && uuid !== listing.uuid) return;
  if (!isOne(await headIn(remains, newest), await server.headOf(log))) return;
  throw new BackupError("CONFLICT", `Cannot hand over "${newest.name}" from the spool: the server still has it`, {
    hint: "Run twindb-backup binlog push instead, or end the server first if it shall not go on.",
  });
}

/** In doubt it is. */
function isOne(spooled: LogHead, listed: LogHead): boolean {
  if (listed.head !== undefined) return spooled.head === listed.head;
  return listed.previousGtid === undefined || listed.previousGtid === spooled.previousGtid;
}

import { binlogNumber } from "../domain/binlog.ts";
import type { ClosedLog } from "../domain/binlog-incarnation.ts";
import { BackupError } from "../domain/errors.ts";
import type { LogListing, LogServer } from "../job/backup-binlogs.ts";
import { binlogSource, readLogHead } from "../source/binlog.ts";
import type { BinlogSpool, SpoolServer } from "../source/binlog-spool.ts";

/** Whose format the logs of a server have. */
export function flavourOf(server: { readonly version: string } | undefined): "mysql" | "mariadb" {
  return /mariadb/i.test(server?.version ?? "") ? "mariadb" : "mysql";
}

/** What the server has no more, which can still be archived. */
function heldOnly(closed: readonly ClosedLog[], { uuid, logs }: LogListing, known: SpoolServer | undefined) {
  const first = binlogNumber(logs[0]?.name ?? "");
  return known?.uuid === uuid ? closed.filter(({ name }) => binlogNumber(name) < first) : [];
}

/**
 * A server as its stream knows it: what the stream has written down is not asked for again, and is there though the server has purged it or
 * cannot be reached.
 */
export function spooledServer(server: LogServer, spool: BinlogSpool): LogServer {
  const spooled = new Map<string, number>();
  let isReached = false;
  let flavour: "mysql" | "mariadb" = "mysql";
  const holds = (log: ClosedLog): boolean => spooled.get(log.name) === log.bytes;

  async function listed(): Promise<LogListing | undefined> {
    try {
      const listing = await server.list();
      isReached = true;
      return listing;
    } catch (error) {
      isReached = false;
      if (!(error instanceof BackupError) || error.code !== "UNREACHABLE" || spooled.size === 0) throw error;
      return undefined;
    }
  }

  return {
    async list() {
      const closed = await spool.closed();
      spooled.clear();
      for (const { name, bytes } of closed) spooled.set(name, bytes);
      const listing = await listed();
      const known = await spool.server();
      flavour = flavourOf(listing ?? known);
      if (isReached) return listing && { ...listing, logs: [...heldOnly(closed, listing, known), ...listing.logs] };
      return known && { ...known, logs: await spool.logs() };
    },
    holdsTransactions: (log) => (isReached ? server.holdsTransactions(log) : Promise.resolve(false)),
    rotate: () => server.rotate(),
    async headOf(log) {
      // Also of the one that grows.
      const isSpooled = holds(log) || spool.position?.name === log.name;
      const head = isSpooled ? await readLogHead(spool.directory, log.name) : undefined;
      if (head === undefined) return server.headOf(log);
      const { createdAt, log: facts } = head.scan;
      return { flavour, createdAt, head: facts.head, previousGtid: facts.previousGtid };
    },
    openSource(log, onProgress) {
      if (!holds(log)) return server.openSource(log, onProgress);
      const access = { kind: "directory", directory: spool.directory } as const;
      return binlogSource({ ...log, access, onProgress });
    },
  };
}

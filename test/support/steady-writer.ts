import { setTimeout as pause } from "node:timers/promises";
import type { Client } from "../../src/mysql/client.ts";
import { openSession } from "./servers/session.ts";

/** One committed row, and what the client saw: milliseconds since 1970 before it was sent and after it was acknowledged. */
export type Commit = {
  readonly id: number;
  /** `@@server_id` of the one that committed it. */
  readonly server: number;
  readonly sent: number;
  readonly acknowledged: number;
  /** As the server spells it, and the place in its logs behind it; `undefined` of one whose answer never came. */
  readonly gtid: string | undefined;
  readonly place: string | undefined;
};

/** Commits one row after the other, and goes on when the server does, or another one in its place: behind the last row that is there. */
export type SteadyWriter = {
  /** In order, also those that were lost with a server. */
  readonly commits: readonly Commit[];
  stop(): Promise<void>;
};

type Options = {
  /** Of the server, which may have another one after a while, or be another server. */
  readonly socket: () => string;
  readonly isMariadb: boolean;
};

/** Between two rows, so that there are moments at which nothing is written. */
const PAUSE_MS = 4;

/** Rows with ids 1, 2, 3…, and what the same transactions come to: a transaction that is applied in part, or twice, shows. */
export const STEADY_TABLES = `CREATE DATABASE shop;
  CREATE TABLE shop.steady (id INT PRIMARY KEY, v VARCHAR(200), at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    server INT UNSIGNED NOT NULL DEFAULT 0);
  CREATE TABLE shop.total (one INT PRIMARY KEY, n INT, s BIGINT); INSERT INTO shop.total VALUES (1, 0, 0);
  CREATE TRIGGER shop.count AFTER INSERT ON shop.steady FOR EACH ROW UPDATE shop.total SET n = n + 1, s = s + NEW.id;`;

/** What these tables hold: `steadyState(id)` when row `id` is the last one. */
export const STEADY_STATE = `SELECT COUNT(*), COALESCE(MAX(id), 0), (SELECT CONCAT(n, ' ', s) FROM shop.total),
  COALESCE(SUM(v <> REPEAT(CHAR(97 + id % 26), 200)), 0) FROM shop.steady`;

export function steadyState(last: number): string {
  return [last, last, `${last} ${(last * (last + 1)) / 2}`, 0].join("\t");
}

/** Each row, with the server that committed it: `steadyRows(commits)` when these are all. */
export const STEADY_ROWS = "SELECT id, server FROM shop.steady ORDER BY id";

export function steadyRows(commits: readonly Pick<Commit, "id" | "server">[]): string {
  return commits.map(({ id, server }) => `${id}\t${server}`).join("\n");
}

/** Commits that were not lost: what went over to another server went on behind the last row which that one had. */
export function survivorsOf(commits: readonly Commit[]): readonly Commit[] {
  return commits.filter(({ id }, index) => commits.every((later, at) => at <= index || later.id > id));
}

/** Begin to write. */
export function writeSteadily({ socket, isMariadb }: Options): SteadyWriter {
  const commits: Commit[] = [];
  const stopping = new AbortController();
  const { signal } = stopping;
  /** What the next row is called, once anybody knows. */
  let next: number | undefined;

  async function commit(client: Client, id: number): Promise<void> {
    const sent = Date.now();
    const values = "(?, REPEAT(CHAR(97 + ? % 26), 200), @@server_id)";
    await client.rows(`INSERT INTO shop.steady (id, v, server) VALUES ${values}`, [id, id]);
    const acknowledged = Date.now();
    commits.push({ id, sent, acknowledged, ...(await whereabouts(client, isMariadb)) });
    next = id + 1;
  }

  async function session(): Promise<void> {
    await using client = await openSession(socket());
    const { id, server } = await lastRow(client);
    // It was committed, but the answer was lost with the server.
    if (next !== undefined && id >= next) {
      const sent = commits.at(-1)?.acknowledged ?? 0;
      commits.push({ id, server, sent, acknowledged: Date.now(), gtid: undefined, place: undefined });
    }
    for (next = id + 1; !signal.aborted; ) {
      await pause(PAUSE_MS + untilSecondIsOver(Date.now()));
      if (!signal.aborted) await commit(client, next);
    }
  }

  async function sessions(): Promise<void> {
    while (!signal.aborted) {
      await session().catch((error: unknown) => {
        if (!/ECONN|ENOENT|EPIPE|closed state|Connection lost|shutdown|starting/i.test(String(error))) throw error;
        return pause(50);
      });
    }
  }

  const done = sessions();
  // It is told by `stop()`.
  done.catch(() => {});
  return {
    commits,
    async stop() {
      stopping.abort();
      await done;
    },
  };
}

/** Milliseconds to wait when a whole second is about to begin: nothing is committed then, for MariaDB's logs tell no more. */
export function untilSecondIsOver(now: number): number {
  const left = 1000 - (now % 1000);
  return left < 60 ? left : 0;
}

/** Whether some row may have been committed before a moment or behind it, in milliseconds since 1970. */
export function isDoubtful(moment: number, commits: readonly Pick<Commit, "sent" | "acknowledged">[]): boolean {
  return commits.some(({ sent, acknowledged }) => sent <= moment && acknowledged >= moment);
}

async function lastRow(client: Client): Promise<Pick<Commit, "id" | "server">> {
  const [row] = await client.rows("SELECT id, server FROM shop.steady ORDER BY id DESC LIMIT 1");
  const { id = 0, server = 0 } = row ?? {};
  return { id: Number(id), server: Number(server) };
}

/** Nobody else writes: the server's end is that of this transaction. */
async function whereabouts(client: Client, isMariadb: boolean): Promise<Pick<Commit, "server" | "gtid" | "place">> {
  const [row = {}] = await client.rows(isMariadb ? "SHOW MASTER STATUS" : "SHOW BINARY LOG STATUS");
  const { File: file, Position: position, Executed_Gtid_Set: set } = row as Record<string, unknown>;
  const own = isMariadb ? "@@last_gtid" : "@@server_uuid";
  const [facts = {}] = await client.rows(`SELECT @@server_id AS server, ${own} AS own`);
  const { server, own: gtid } = facts as Record<string, unknown>;
  return {
    server: Number(server),
    gtid: isMariadb ? String(gtid) : lastOf(String(set), String(gtid)),
    place: `${String(file)}:${String(position)}`,
  };
}

/** The last transaction of a server in a set that may also hold those of others. */
function lastOf(set: string, uuid: string): string {
  const [, last] = new RegExp(`${uuid}:[^,]*?(\\d+)(?:,|$)`).exec(set) ?? [];
  return `${uuid}:${last}`;
}

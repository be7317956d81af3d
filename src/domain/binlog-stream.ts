import { binlogNumber } from "./binlog.ts";
import type { ClosedLog } from "./binlog-incarnation.ts";

/** The newest log in a spool. */
export type SpooledLog = {
  readonly name: string;
  /** Up to the end of its last whole event. */
  readonly bytes: number;
  /** Whether its last event says that the server closed it. */
  readonly isClosed: boolean;
};

/** A server as it lists its logs, oldest first; the last one is being written to. */
type Listed = { readonly uuid: string | undefined; readonly logs: readonly ClosedLog[] };

/** Where to go on: in the spooled log, or with one that is not in the spool yet. */
export type Resumption =
  | { readonly kind: "continue"; readonly name: string }
  | { readonly kind: "begin"; readonly name: string }
  /** What is spooled, or the newest log of it, is not what the server has now, and why. */
  | { readonly kind: "anew"; readonly name: string; readonly why: string; readonly isAll: boolean };

/**
 * Decide where a stream goes on. Logs that are closed are not fetched anew: whoever archives them gets them from the server.
 * @param spooled the newest log in the spool, and the identity of its server.
 * @returns `undefined` for a server without logs.
 */
export function resumptionOf(
  spooled: (SpooledLog & { readonly uuid: string | undefined }) | undefined,
  { uuid, logs }: Listed,
): Resumption | undefined {
  const open = logs.at(-1);
  if (open === undefined) return undefined;
  if (spooled === undefined) return { kind: "begin", name: open.name };
  const anew = { kind: "anew", name: open.name } as const;
  if (spooled.uuid !== undefined && uuid !== undefined && spooled.uuid !== uuid) {
    return { ...anew, why: "this is another server", isAll: true };
  }
  const listed = logs.find(({ name }) => name === spooled.name);
  if (listed === undefined) return afterPurge(spooled, logs) ?? { ...anew, ...whyGone(spooled, logs) };
  if (listed.bytes < spooled.bytes) return { ...anew, why: "the server has lost the end of that log", isAll: false };
  return { kind: "continue", name: spooled.name };
}

/** What is whole is left to whoever archives it. */
function afterPurge(spooled: SpooledLog, logs: readonly ClosedLog[]): Resumption | undefined {
  const next = logs.find(({ name }) => binlogNumber(name) > binlogNumber(spooled.name));
  return spooled.isClosed && next !== undefined ? { kind: "begin", name: next.name } : undefined;
}

function whyGone(spooled: SpooledLog, logs: readonly ClosedLog[]): { readonly why: string; readonly isAll: boolean } {
  const isBehind = logs.every(({ name }) => binlogNumber(name) < binlogNumber(spooled.name));
  if (isBehind) return { why: "the server has begun anew", isAll: true };
  return { why: "the server has purged that log before all of it was read", isAll: false };
}

/** Milliseconds to wait before another try, after so many that failed in a row. */
export function pauseAfter(failures: number, mostMs = 10_000): number {
  return Math.min(mostMs, 250 * 2 ** Math.max(0, failures - 1));
}

/** A number that tells a stream from the server's replicas: of two with the same one, a server keeps the newer. */
export function serverIdOf(hash: number): number {
  return 0x8000_0000 + (hash % 0x7fff_ffff);
}

/** What a stream says of itself, for whoever looks whether it works. Times are ISO 8601. */
export type StreamState = {
  readonly pid: number;
  readonly state: "following" | "waiting" | "stopped";
  /** The log that is followed, and how much of it is safe on this host. */
  readonly log: string | undefined;
  readonly bytes: number;
  /** Time of the last event, by the server's clock. */
  readonly lastEventAt: string | undefined;
  /** When the server was last heard of. */
  readonly heardAt: string | undefined;
  /** How long ago, by both clocks, the last event was written when it came; 0 once the server has no more. `undefined` while nothing is followed. */
  readonly lagSeconds?: number | undefined;
  /** Why it waits, or why the last log could not be archived. */
  readonly failure: string | undefined;
};

/** Logs that lie in a directory. */
export type Heap = { readonly directory: string; readonly logs: number; readonly bytes: number };

/** What can be seen of a stream on its host. */
export type SpoolView = {
  /** What it said last. */
  readonly state: StreamState;
  /** Logs that are complete and not archived yet. */
  readonly waiting: Heap;
  /** What was put aside and is not archived. */
  readonly aside: readonly Heap[];
};

/** A server that is followed says something every two seconds; a state is written down each second. */
const SILENT_MS = 60_000;

/** So far behind, it does not keep up. */
const LATE_SECONDS = 300;

/** What is wrong with a stream; `undefined` when nothing is. */
export function streamTrouble(state: StreamState, now: Date, isRunning: boolean): string | undefined {
  if (!isRunning) return "it does not run";
  if (state.failure !== undefined) return state.failure;
  const silent = now.getTime() - Date.parse(state.heardAt ?? "1970-01-01T00:00:00Z");
  if (silent > SILENT_MS) return `it has not heard of the server for ${Math.round(silent / 1000)} seconds`;
  const { lagSeconds = 0 } = state;
  return lagSeconds > LATE_SECONDS ? `it is ${lagSeconds} seconds behind the server` : undefined;
}

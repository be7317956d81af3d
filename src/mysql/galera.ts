import { setTimeout as sleep } from "node:timers/promises";
import { BackupError } from "../domain/errors.ts";
import type { Client } from "./client.ts";
import { type DesyncRecord, readRecord, recordOf, removeRecord, writeRecord } from "./desync-record.ts";
import { readStatus, readVariables } from "./server-facts.ts";

/** How a node stands in its cluster. */
export type ClusterState = {
  /** In the node's own words, such as `Synced` or `Donor/Desynced`. */
  readonly state: string;
  /** Whether it takes queries, as part of the primary component. */
  readonly isReady: boolean;
  /** Nodes in the cluster. */
  readonly size: number;
  /** Whether somebody has set `wsrep_desync`. */
  readonly isDesynced: boolean;
  /** Transactions that it still has to apply. */
  readonly receiveQueue: number;
  /** Such as `4.23(rXXXX)`. */
  readonly providerVersion: string | undefined;
};

/** Opens a session of its own; the work of minutes or hours lies between two of them. */
export type OpenSession = (options: { readonly signal: AbortSignal }) => Promise<Client>;

export type DesyncOptions = {
  /** Where the record lies that survives us; default `/var/lib/twindb-backup`. */
  readonly directory?: string;
  /** Longest wait for the node to catch up before it is taken back. */
  readonly waitSeconds: number;
  /** An abort ends the wait; the node is taken back all the same. */
  readonly signal: AbortSignal;
  readonly warn: (text: string) => void;
};

const POLL_MS = 250;

/** What the statements around the wait may take. */
const GRACE_SECONDS = 30;

const SYNCED = "Synced";

/** The state of a node; `undefined` for a server that is in no cluster. */
export async function clusterState(client: Client): Promise<ClusterState | undefined> {
  const variables = await readVariables(client, ["wsrep_on", "wsrep_desync"]);
  if (variables.get("wsrep_on") !== "ON") return undefined;
  const status = await readStatus(client, STATUS);
  return {
    state: status.get("wsrep_local_state_comment") ?? "",
    isReady: status.get("wsrep_ready") === "ON" && status.get("wsrep_cluster_status") === "Primary",
    size: Number(status.get("wsrep_cluster_size") ?? 0),
    isDesynced: variables.get("wsrep_desync") === "ON",
    receiveQueue: Number(status.get("wsrep_local_recv_queue") ?? 0),
    providerVersion: status.get("wsrep_provider_version") || undefined,
  };
}

const STATUS = [
  "wsrep_local_state_comment",
  "wsrep_ready",
  "wsrep_cluster_status",
  "wsrep_cluster_size",
  "wsrep_local_recv_queue",
  "wsrep_provider_version",
];

/** Why no copy can be taken of a node now; `undefined` when one can. `target` names the node. */
export function refusal(state: ClusterState, target: string): BackupError | undefined {
  const [what, hint] = obstacle(state) ?? [];
  if (what === undefined) return undefined;
  return new BackupError("FAILED", `Cannot copy the cluster's node "${target}": ${what}`, { hint, retryable: true });
}

/** What is unwise about a copy of a node that can be taken; `undefined` when nothing is. */
export function clusterWarning({ size }: ClusterState): string | undefined {
  if (size > 2) return undefined;
  const nodes = size === 1 ? "is the only one" : "is one of two";
  return `the node ${nodes} of its cluster: while it is copied, no healthy one is left to take over all work`;
}

function obstacle({ state, isReady, isDesynced }: ClusterState): readonly [string, string] | undefined {
  if (!isReady) {
    return [
      "it is not part of the primary component",
      "Look at wsrep_cluster_status, and at the error log of the node.",
    ];
  }
  if (isDesynced) {
    return ["somebody has set wsrep_desync=ON on it", 'Run "SET GLOBAL wsrep_desync=OFF" when that work is done.'];
  }
  if (state.startsWith("Donor")) {
    return ["it is sending its data to a node that joins", "Wait for the transfer to end, or copy another node."];
  }
  return state === SYNCED
    ? undefined
    : [`it is not synced, but ${state}`, "Wait for it to be synced, or copy another node."];
}

/**
 * Take a node out of its cluster's flow control, so that a copy slows nobody down. Disposing waits for it to catch up, and takes it back;
 * should we be killed, `undoDesync()` does. A node that somebody else has taken out, and a server in no cluster, are left as they are.
 * @throws {BackupError} LOCKED when another run has done it; NOT_PERMITTED without the privilege SUPER (MySQL: SYSTEM_VARIABLES_ADMIN).
 */
export async function desync(open: OpenSession, options: DesyncOptions): Promise<AsyncDisposable> {
  await using client = await open(options);
  await undoDesync(client, options);
  const record = await recordOf(client, options.directory);
  const state = await clusterState(client);
  if (state === undefined || state.isDesynced) return { [Symbol.asyncDispose]: async () => {} };
  await writeRecord(record);
  const takeBack = async () => {
    const limit = AbortSignal.timeout((options.waitSeconds + GRACE_SECONDS) * 1000);
    await resync(open, record, { ...options, limit });
  };
  try {
    await client.rows("SET GLOBAL wsrep_desync = ON");
  } catch (error) {
    // Whether the server did it is unknown when the session was lost.
    await takeBack().catch((failure: unknown) => options.warn((failure as Error).message));
    throw error;
  }
  let taken: Promise<void> | undefined;
  return {
    [Symbol.asyncDispose]: () => {
      taken ??= takeBack();
      return taken;
    },
  };
}

/**
 * Take a node back that a run which is gone has left out.
 * @returns whether there was one.
 * @throws {BackupError} LOCKED when that run is still at work.
 */
export async function undoDesync(client: Client, { directory }: Pick<DesyncOptions, "directory">): Promise<boolean> {
  const record = await recordOf(client, directory);
  const found = await readRecord(record);
  if (found === undefined) return false;
  if (found.isAtWork) {
    throw new BackupError("LOCKED", `Cannot desync the node "${client.target}": process ${found.pid} has done so`, {
      hint: "Wait for that run to end.",
    });
  }
  await setOff(client, record);
  return true;
}

type Resync = DesyncOptions & { readonly limit: AbortSignal };

async function resync(open: OpenSession, record: DesyncRecord, options: Resync): Promise<void> {
  try {
    await using client = await open({ signal: options.limit });
    await untilApplied(client, options);
    await setOff(client, record);
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : String(cause);
    throw new BackupError("FAILED", `Cannot take "${record.target}" back into its cluster's flow control: ${what}`, {
      hint: 'Run "SET GLOBAL wsrep_desync=OFF" on it; the next run tries so too.',
      cause,
    });
  }
}

/** However long the node lags behind, it is taken back in the end: then the cluster waits for it. */
async function untilApplied(client: Client, { waitSeconds, signal, warn }: DesyncOptions): Promise<void> {
  const deadline = Date.now() + waitSeconds * 1000;
  for (;;) {
    const queue = (await clusterState(client))?.receiveQueue ?? 0;
    if (queue === 0 || signal.aborted) return;
    if (Date.now() >= deadline) {
      return warn(`"${client.target}" had still ${queue} transactions to apply after ${waitSeconds} seconds`);
    }
    await sleep(POLL_MS, undefined, { signal }).catch(() => {
      // An abort: the loop sees it.
    });
  }
}

async function setOff(client: Client, record: DesyncRecord): Promise<void> {
  const state = await clusterState(client);
  if (state?.isDesynced) await client.rows("SET GLOBAL wsrep_desync = OFF");
  await removeRecord(record);
}

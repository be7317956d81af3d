import { setTimeout as pause } from "node:timers/promises";
import { BackupError } from "../domain/errors.ts";
import {
  executedStatements,
  type FollowedSource,
  followStatements,
  isCatchingUp,
  type ReplicaStatus,
  readOnlyStatements,
  readReplicaStatus,
  replicaStatusStatement,
  type StartPoint,
} from "../domain/replication.ts";
import type { Secret } from "../domain/secret.ts";
import type { Client } from "../mysql/client.ts";
import { readVariables } from "../mysql/server-facts.ts";
import type { SourceFacts } from "./source-end.ts";

type CallOptions = { readonly signal: AbortSignal };

const POLL_MS = 250;

/** What a replica follows, from where, and how long it may take to work. */
export type Follow = {
  readonly source: FollowedSource;
  readonly facts: SourceFacts;
  readonly password: Secret;
  /** `undefined` where the server itself knows, after its first start on a clone. */
  readonly start: StartPoint | undefined;
  readonly serverId: number;
  readonly timeoutSeconds: number;
};

/** Prove that the server that was started is the one that was made: on its data, with its id. */
export async function checkStarted(
  client: Client,
  { facts, serverId }: Pick<Follow, "facts" | "serverId">,
): Promise<void> {
  const variables = await readVariables(client, ["server_id", "lower_case_table_names", "datadir"]);
  const id = variables.get("server_id");
  if (id !== String(serverId)) {
    const whose = facts.serverIds.has(Number(id)) ? ", which the source or one of its replicas has" : "";
    throw new BackupError(
      "CONFIG_INVALID",
      `Cannot use the server of "${client.target}": its server_id is ${id}${whose}`,
      {
        hint: "Remove server_id from what overrides its option files, such as the command that starts it.",
      },
    );
  }
  for (const name of ["lower_case_table_names", "datadir"]) {
    const [wanted, found] = [
      name === "datadir" ? facts.datadir : facts.variables.get(name),
      variables.get(name)?.replace(/(?<=.)\/+$/, ""),
    ];
    if (wanted === found) continue;
    throw new BackupError(
      "CONFIG_INVALID",
      `Cannot use the server of "${client.target}": its ${name} is ${found}, the source has ${wanted}`,
      {
        hint: "Remove what overrides the option files of the source there.",
      },
    );
  }
}

/**
 * Have a server that was started on a copy follow the source, and wait until it works and catches up.
 * @returns how far behind it is, in seconds.
 * @throws {BackupError} when it does not within the time, with what the server says.
 */
export async function follow(client: Client, request: Follow, { signal }: CallOptions): Promise<number> {
  const { facts, source, password } = request;
  const start = request.start ?? (await startAfterClone(client, facts));
  if (facts.vendor !== "mariadb" && start.kind === "gtid") await knowExecuted(client, facts, start.gtid);
  for (const { sql, values } of followStatements(facts, source, { start, password: password.reveal() })) {
    await client.rows(sql, values);
  }
  const behind = await untilCatchingUp(client, request, { signal });
  for (const { sql, values } of readOnlyStatements(facts)) await client.rows(sql, values);
  return behind;
}

/** Where a clone of MySQL begins: with GTIDs the server knows what it has, else it notes the place at its first start. */
async function startAfterClone(client: Client, { variables }: SourceFacts): Promise<StartPoint> {
  if (variables.get("gtid_mode") === "ON") {
    return { kind: "gtid", gtid: ((await client.value("SELECT @@GLOBAL.gtid_executed")) ?? "").replaceAll(/\s/g, "") };
  }
  const [row] = await client.rows("SELECT BINLOG_FILE, BINLOG_POSITION FROM performance_schema.clone_status");
  const file = row?.["BINLOG_FILE"];
  if (file) return { kind: "position", binlog: { file, offset: Number(row?.["BINLOG_POSITION"]) } };
  throw new BackupError("FAILED", `Cannot tell where "${client.target}" begins: it has noted no place of its clone`, {
    hint: "Set gtid_mode=ON on the source, or performance_schema=ON.",
  });
}

/** @throws {BackupError} DATA_DAMAGED when the data holds more than the copy of the source did. */
async function knowExecuted(client: Client, facts: SourceFacts, gtid: string): Promise<void> {
  const [row] = await client.rows(
    "SELECT GTID_SUBSET(@@GLOBAL.gtid_executed, ?) AS hasNoMore, GTID_SUBSET(?, @@GLOBAL.gtid_executed) AS hasAll",
    [gtid, gtid],
  );
  if (row?.["hasNoMore"] !== "1") {
    throw new BackupError(
      "DATA_DAMAGED",
      `Cannot use the data of "${client.target}": it holds other transactions than the source`,
      {
        hint: "Run the clone again.",
      },
    );
  }
  if (row["hasAll"] === "1") return;
  for (const { sql, values } of executedStatements(facts, gtid)) await client.rows(sql, values);
}

async function untilCatchingUp(
  client: Client,
  { facts, timeoutSeconds }: Follow,
  { signal }: CallOptions,
): Promise<number> {
  const deadline = Date.now() + timeoutSeconds * 1000;
  const seen: ReplicaStatus[] = [];
  for (;;) {
    const [row = {}] = await client.rows(replicaStatusStatement(facts));
    const status = readReplicaStatus(row);
    seen.push(status);
    if (isCatchingUp(seen)) return status.secondsBehind ?? 0;
    if (isHopeless(row) || Date.now() > deadline) throw notFollowing(client.target, status, timeoutSeconds);
    await pause(POLL_MS, undefined, { signal });
  }
}

/** A login that is refused, a log that is gone, a change that cannot be applied: none of these gets better by itself. */
function isHopeless(row: Readonly<Record<string, string | undefined>>): boolean {
  const [reading, applying] = [Number(row["Last_IO_Errno"] ?? 0), Number(row["Last_SQL_Errno"] ?? 0)];
  return applying !== 0 || [1045, 1236, 1593, 13_114].includes(reading);
}

function notFollowing(
  target: string,
  { isReading, isApplying, problem, secondsBehind }: ReplicaStatus,
  seconds: number,
): BackupError {
  const thread = (name: string, runs: boolean) => `its ${name} thread ${runs ? "runs" : "does not run"}`;
  const state = `${thread("reading", isReading)}, ${thread("applying", isApplying)}, and it is ${secondsBehind ?? "unknown"} seconds behind`;
  return new BackupError(
    "FAILED",
    `Cannot have "${target}" follow the source: ${problem ?? `${state} after ${seconds} seconds`}`,
    {
      hint: "Look at the error, or give more time with --timeout.",
    },
  );
}

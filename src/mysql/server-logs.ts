import { type BinlogFlavour, type GtidState, parseGtidState } from "../domain/binlog.ts";
import type { Vendor } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import { formatGtidPosition, parseGtidPosition } from "../domain/gtid-position.ts";
import { formatGtidSet, parseGtidSet, unionGtids } from "../domain/gtid-set.ts";
import { type Logged, namedBy } from "../domain/logged.ts";
import { parseBinlogName } from "../domain/names.ts";
import type { Client } from "./client.ts";
import { readVariables, readVersion } from "./server-facts.ts";

/** One binary log as the server lists it. */
export type ServerLog = {
  /** Such as `binlog.000012`. */
  readonly name: string;
  /** As the server keeps it; the last one grows. */
  readonly bytes: number;
  /** MySQL has encrypted the file. MariaDB does not say. */
  readonly encrypted: boolean;
};

/** The binary logs of a server, oldest first; the last one is being written to. */
export type ServerLogs = {
  readonly vendor: Vendor;
  readonly flavour: BinlogFlavour;
  readonly version: string;
  /** MariaDB has none. */
  readonly uuid: string | undefined;
  readonly serverId: number;
  /** Absolute path of the directory they lie in, on the server's host. */
  readonly directory: string;
  readonly logs: readonly ServerLog[];
};

const VARIABLES = ["log_bin", "log_bin_basename", "server_uuid", "server_id"];

/**
 * Ask a server for its binary logs; `undefined` when it keeps none. Needs REPLICATION CLIENT (MariaDB: BINLOG MONITOR).
 * @throws {BackupError} DATA_DAMAGED for a log whose name is none, else as `Client.rows()`.
 */
export async function readServerLogs(client: Client): Promise<ServerLogs | undefined> {
  const variables = await readVariables(client, VARIABLES);
  const basename = variables.get("log_bin_basename") ?? "";
  if (variables.get("log_bin") !== "ON" || basename === "") return undefined;
  const { vendor, version } = await readVersion(client);
  const rows = await client.rows("SHOW BINARY LOGS");
  return {
    vendor,
    flavour: vendor === "mariadb" ? "mariadb" : "mysql",
    version,
    uuid: variables.get("server_uuid") || undefined,
    serverId: Number(variables.get("server_id") ?? 0),
    directory: basename.slice(0, basename.lastIndexOf("/")) || "/",
    logs: rows.map((row) => ({
      name: checkedName(row["Log_name"] ?? ""),
      bytes: Number(row["File_size"] ?? 0),
      encrypted: row["Encrypted"] === "Yes",
    })),
  };
}

/** The name becomes a part of paths. */
function checkedName(name: string): string {
  if (!/[/\0]/.test(name) && parseBinlogName(name)?.name === name) return name;
  throw new BackupError("DATA_DAMAGED", `Cannot copy the binary log ${JSON.stringify(name)}: that is no name of one`, {
    hint: "Look at SHOW BINARY LOGS on the server.",
  });
}

/** Events that a log holds besides what was written to it. */
const OWN_EVENTS = /^(?:Format_desc|Gtid_list|Previous_gtids|Binlog_checkpoint|Start_encryption|Rotate|Stop)$/;

/** A log by its name, which was checked. */
type Named = Pick<ServerLog, "name">;

/** Only a name that was checked: a server takes no placeholder here. */
function eventsOf(client: Client, { name }: Named): ReturnType<Client["rows"]> {
  return client.rows(`SHOW BINLOG EVENTS IN '${checkedName(name).replaceAll(/['\\]/g, "")}' LIMIT 30`);
}

/** Whether a transaction was written to a log. Needs REPLICATION SLAVE on MySQL. */
export async function holdsTransactions(client: Client, log: Named): Promise<boolean> {
  return (await eventsOf(client, log)).some((row) => !OWN_EVENTS.test(row["Event_type"] ?? ""));
}

/** What was logged before a log, as `BinlogFacts` has it; `undefined` when it does not say. Needs REPLICATION SLAVE on MySQL. */
export async function previousGtidOf(client: Client, log: Named): Promise<string | undefined> {
  const rows = await eventsOf(client, log);
  const row = rows.find((each) => /^(?:Gtid_list|Previous_gtids)$/.test(each["Event_type"] ?? ""));
  const text = row?.["Info"]?.replaceAll(/[[\]\s]/g, "");
  if (text === undefined) return undefined;
  if (row?.["Event_type"] === "Gtid_list") return formatGtidPosition(parseGtidPosition(text));
  return formatGtidSet(parseGtidSet(text));
}

/** Have the server close the log it writes to, and begin another one. Replicas do not follow. Needs RELOAD. */
export async function rotateLogs(client: Client): Promise<void> {
  await client.rows("FLUSH LOCAL BINARY LOGS");
}

/**
 * Have the server remove all its logs before this one. It leaves those that a connected replica is reading, and those behind them. Needs
 * BINLOG_ADMIN (MariaDB: BINLOG ADMIN).
 */
export async function purgeLogsBefore(client: Client, { name }: Named): Promise<void> {
  await client.rows(`PURGE BINARY LOGS TO '${checkedName(name).replaceAll(/['\\]/g, "")}'`);
}

/** All that a server has applied: its executed set (MySQL), or how far it got as a replica (MariaDB, whose own writes are left out). */
export async function readApplied(client: Client): Promise<GtidState> {
  const { vendor } = await readVersion(client);
  if (vendor === "mariadb") {
    return parseGtidState("mariadb", (await client.value("SELECT @@GLOBAL.gtid_slave_pos")) ?? "");
  }
  return parseGtidState("mysql", (await client.value("SELECT @@GLOBAL.gtid_executed")) ?? "");
}

/** All that a server has logged: its executed set (MySQL), or the last transaction of each domain and server (MariaDB). */
export async function readLogged(client: Client): Promise<Logged> {
  const { vendor } = await readVersion(client);
  if (vendor !== "mariadb") return parseGtidSet((await client.value("SELECT @@GLOBAL.gtid_executed")) ?? "");
  const texts = ((await client.value("SELECT @@GLOBAL.gtid_binlog_state")) ?? "").split(",");
  return unionGtids(...texts.map((text) => namedBy(parseGtidState("mariadb", text))));
}

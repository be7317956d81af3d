import type { BigIntStats } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { BinlogPosition, Vendor } from "../domain/copy.ts";
import { type ServerFacts, versionNumbers } from "../domain/server.ts";
import type { Client } from "./client.ts";

/** Who made a server, and its version: what there is to know before the privileges are checked. Needs none itself. */
export async function readVersion(client: Client): Promise<Pick<ServerFacts, "vendor" | "version">> {
  const [{ version = "", comment = "" } = {}] = await client.rows(
    "SELECT @@version AS version, @@version_comment AS comment",
  );
  return { vendor: vendorOf(version, comment), version };
}

/**
 * Ask a server who it is and where it stands. Needs REPLICATION CLIENT (MariaDB: BINLOG MONITOR).
 * @throws {BackupError} as `Client.rows()`.
 */
export async function readServerFacts(client: Client): Promise<ServerFacts> {
  const { vendor, version } = await readVersion(client);
  const variables = await readVariables(client, VARIABLES);
  const datadir = (variables.get("datadir") ?? "").replace(/(?<=.)\/+$/, "");
  return {
    vendor,
    version,
    uuid: variables.get("server_uuid") || undefined,
    datadir,
    datadirId: await datadirId(datadir),
    dataBytes: (await bytesOnDisk(datadir, variables)) ?? (await bytesOfTables(client)),
    binlog: await binlogPosition(client, vendor, version),
    gtid: await executedGtid(client, vendor),
    galeraVersion: variables.get("wsrep_on") === "ON" ? await galeraVersion(client) : undefined,
  };
}

/** The GTID position at a place in the binary log; MariaDB only. `undefined` when the log is gone, or holds no GTID up to there. */
export async function binlogGtidAt(client: Client, { file, offset }: BinlogPosition): Promise<string | undefined> {
  if (offset === undefined) return undefined;
  return (await client.value("SELECT BINLOG_GTID_POS(?, ?)", [file, offset])) || undefined;
}

/** Values of global variables; one that the server does not have is missing, which is no error. */
export async function readVariables(client: Client, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
  return namedValues(client, "SHOW GLOBAL VARIABLES WHERE Variable_name IN", names);
}

/** Values of global status variables, as `readVariables()`. */
export async function readStatus(client: Client, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
  return namedValues(client, "SHOW GLOBAL STATUS WHERE Variable_name IN", names);
}

/** Percona's builds, its cluster included, say so in the comment only. */
export function vendorOf(version: string, comment: string): Vendor {
  if (/mariadb/i.test(`${version} ${comment}`)) return "mariadb";
  return /percona/i.test(comment) ? "percona" : "oracle";
}

/**
 * Join two positions of MariaDB: the furthest of each domain. Neither is enough: the current position forgets what another server id
 * wrote to the binary log, the log lacks what a replica without `log_slave_updates` applied.
 */
export function joinPositions(...positions: readonly string[]): string {
  const furthest = new Map<string, { readonly gtid: string; readonly sequence: bigint }>();
  for (const gtid of positions.flatMap((position) => position.split(",")).map((each) => each.trim())) {
    const [, domain, digits] = /^(\d+)-\d+-(\d+)$/.exec(gtid) ?? [];
    if (domain === undefined || digits === undefined) continue;
    const sequence = BigInt(digits);
    const known = furthest.get(domain);
    if (known === undefined || known.sequence < sequence) furthest.set(domain, { gtid, sequence });
  }
  const domains = [...furthest].sort(([a], [b]) => Number(a) - Number(b));
  return domains.map(([, { gtid }]) => gtid).join(",");
}

/** The statement that shows where the binary log ends, in the words of that server. */
export function binlogStatement(vendor: Vendor, version: string): string {
  const [major = 0, minor = 0] = versionNumbers(version);
  const isRenamed = vendor !== "mariadb" && (major > 8 || (major === 8 && minor >= 2));
  return isRenamed ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS";
}

const VARIABLES = ["server_uuid", "datadir", "wsrep_on", "log_bin_basename", "relay_log_basename"];

async function namedValues(client: Client, sql: string, names: readonly string[]) {
  const rows = await client.rows(`${sql} (${names.map(() => "?").join(", ")})`, names);
  return new Map(rows.map(({ Variable_name: name = "", Value: value = "" }) => [name.toLowerCase(), value]));
}

/** By SELECT: what SHOW tells of a variable is cut off after a thousand characters. */
async function executedGtid(client: Client, vendor: Vendor): Promise<string | undefined> {
  if (vendor !== "mariadb")
    return (await client.value("SELECT @@GLOBAL.gtid_executed"))?.replaceAll(/\s/g, "") || undefined;
  const [row] = await client.rows("SELECT @@GLOBAL.gtid_current_pos AS current, @@GLOBAL.gtid_binlog_pos AS logged");
  return joinPositions(row?.["current"] ?? "", row?.["logged"] ?? "") || undefined;
}

async function binlogPosition(client: Client, vendor: Vendor, version: string): Promise<BinlogPosition | undefined> {
  const [row] = await client.rows(binlogStatement(vendor, version));
  const file = row?.["File"];
  return file ? { file, offset: Number(row?.["Position"]) } : undefined;
}

async function galeraVersion(client: Client): Promise<string | undefined> {
  return (await readStatus(client, ["wsrep_provider_version"])).get("wsrep_provider_version") || undefined;
}

async function datadirId(datadir: string): Promise<string | undefined> {
  for (const path of [join(datadir, "ibdata1"), datadir]) {
    try {
      return identityOf(await stat(path, { bigint: true }));
    } catch {
      // Not there, or not for us to see: then the directory itself has to do, or nothing.
    }
  }
  return undefined;
}

/** Where no birth time is kept, some systems show the time of the last change in its place. */
function identityOf({ dev, ino, birthtimeMs, birthtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${birthtimeNs === ctimeNs ? 0n : birthtimeMs}`;
}

/** Logs and temporary files, which are not copied. */
const NOT_DATA = /^(?:ib_logfile\d+|ibtmp\d*|aria_log\.\d+|galera\.cache|gcache\..*|core.*|.*\.err|.*\.pid)$/;
const NOT_DATA_DIRECTORIES = ["#innodb_redo", "#innodb_temp", "#tmp", "lost+found"];

/** `undefined` where the directory cannot be read from here. */
async function bytesOnDisk(datadir: string, variables: ReadonlyMap<string, string>): Promise<number | undefined> {
  const logs = [variables.get("log_bin_basename"), variables.get("relay_log_basename")].filter(Boolean);
  const isLog = (path: string) => logs.some((log) => path.startsWith(`${log}.`));
  try {
    const files = await filesBelow(datadir);
    let bytes = 0;
    for (const path of files) if (!isLog(path)) bytes += await sizeOf(path);
    return bytes;
  } catch {
    return undefined; // The server is elsewhere, or we may not look: its own count is used then.
  }
}

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (entry.isDirectory() && !NOT_DATA_DIRECTORIES.includes(entry.name)) found.push(...(await filesBelow(path)));
    else if (entry.isFile() && !NOT_DATA.test(entry.name)) found.push(path);
  }
  return found;
}

async function sizeOf(path: string): Promise<number> {
  // A table may be dropped while we look.
  return (await stat(path).catch(() => undefined))?.size ?? 0;
}

const SIZE = "SELECT SUM(data_length + index_length) FROM information_schema.tables WHERE table_type = 'BASE TABLE'";

async function bytesOfTables(client: Client): Promise<number | undefined> {
  const bytes = await client.value(SIZE);
  return bytes === undefined ? undefined : Number(bytes);
}

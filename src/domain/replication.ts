import type { BinlogPosition, Vendor } from "./copy.ts";
import { versionNumbers } from "./server.ts";

/** The server that becomes a replica; its words depend on what it is. */
export type ReplicaServer = { readonly vendor: Vendor; readonly version: string };

/** Where a replica begins to read. */
export type StartPoint =
  | { readonly kind: "gtid"; readonly gtid: string }
  | { readonly kind: "position"; readonly binlog: BinlogPosition };

/** How the connection to the source is encrypted; paths are those of the replica's host. `undefined` goes in clear. */
export type ReplicationTls = {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  /** Also require that the certificate is for the source's name. */
  readonly verifiesIdentity: boolean;
};

/** The server that is followed, and as whom. The password is no part of it: it is the value of a placeholder. */
export type FollowedSource = {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly tls: ReplicationTls | undefined;
};

/** A statement and the values of its placeholders; one of these may be the password. */
export type Statement = { readonly sql: string; readonly values: readonly (string | number)[] };

/** The words of one server. */
type Words = {
  readonly change: string;
  /** `SOURCE` or `MASTER`, before the name of each option. */
  readonly prefix: string;
  /** `REPLICA` or `SLAVE`. */
  readonly replica: string;
};

function isAtLeast({ version }: ReplicaServer, ...wanted: readonly number[]): boolean {
  const own = versionNumbers(version);
  for (const [index, number] of wanted.entries()) {
    const difference = (own[index] ?? 0) - number;
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/** MySQL renamed the statements in 8.0.22 and 8.0.23, and forgot the old ones in 8.4. MariaDB keeps the old ones. */
function wordsOf(server: ReplicaServer): Words {
  const isMysql = server.vendor !== "mariadb";
  const isRenamed = isMysql && isAtLeast(server, 8, 0, 23);
  return {
    change: isRenamed ? "CHANGE REPLICATION SOURCE" : "CHANGE MASTER",
    prefix: isRenamed ? "SOURCE" : "MASTER",
    replica: isMysql && isAtLeast(server, 8, 0, 22) ? "REPLICA" : "SLAVE",
  };
}

function plain(sql: string): Statement {
  return { sql, values: [] };
}

function tlsOptions(server: ReplicaServer, tls: ReplicationTls | undefined): readonly [string, string | number][] {
  // Written also where it is off: MariaDB from 11.4 on encrypts and verifies by default.
  if (tls === undefined) return [["SSL", 0], ...(server.vendor === "mariadb" ? [] : keyOption(server))];
  const paths: readonly [string, string | undefined][] = [
    ["SSL_CA", tls.ca],
    ["SSL_CERT", tls.cert],
    ["SSL_KEY", tls.key],
  ];
  const named = paths.flatMap(([name, path]): [string, string][] => (path === undefined ? [] : [[name, path]]));
  return [["SSL", 1], ...named, ["SSL_VERIFY_SERVER_CERT", tls.verifiesIdentity ? 1 : 0]];
}

/** Without TLS an account of caching_sha2_password needs the source's key, which from 8.0.3 on may be asked for. */
function keyOption(server: ReplicaServer): [string, number][] {
  if (!isAtLeast(server, 8, 0, 3)) return [];
  return [[isAtLeast(server, 8, 0, 23) ? "GET_SOURCE_PUBLIC_KEY" : "GET_MASTER_PUBLIC_KEY", 1]];
}

function startOptions(server: ReplicaServer, start: StartPoint): string[] {
  const { prefix } = wordsOf(server);
  if (start.kind === "gtid")
    return [server.vendor === "mariadb" ? "MASTER_USE_GTID = slave_pos" : `${prefix}_AUTO_POSITION = 1`];
  const off = server.vendor === "mariadb" ? "MASTER_USE_GTID = no" : `${prefix}_AUTO_POSITION = 0`;
  return [`${prefix}_LOG_FILE = ?`, `${prefix}_LOG_POS = ?`, off];
}

/** The statement that makes a server follow a source. The values hold the password: they go to the server, and nowhere else. */
function followStatement(server: ReplicaServer, source: FollowedSource, { start, password }: Following): Statement {
  const { change, prefix } = wordsOf(server);
  const options: readonly [string, string | number][] = [
    ["HOST", source.host],
    ["PORT", source.port],
    ["USER", source.user],
    ["PASSWORD", password],
    ...tlsOptions(server, source.tls),
  ];
  const named = options.map(([name]) => `${name.startsWith("GET_") ? name : `${prefix}_${name}`} = ?`);
  const place = start.kind === "position" ? [start.binlog.file, start.binlog.offset ?? 4] : [];
  return {
    sql: `${change} TO ${[...named, ...startOptions(server, start)].join(", ")}`,
    values: [...options.map(([, value]) => value), ...place],
  };
}

/** From where, and with what. */
export type Following = { readonly start: StartPoint; readonly password: string };

/** What makes a server that was started on a copy follow the server of the copy, in this order. */
export function followStatements(server: ReplicaServer, source: FollowedSource, following: Following): Statement[] {
  const { start } = following;
  const { replica } = wordsOf(server);
  const isGtidOfMariadb = server.vendor === "mariadb" && start.kind === "gtid";
  return [
    // The copy of a replica brings along what that one followed.
    plain(`STOP ${replica}`),
    plain(`RESET ${replica} ALL`),
    ...(isGtidOfMariadb ? [{ sql: "SET GLOBAL gtid_slave_pos = ?", values: [start.gtid] }] : []),
    followStatement(server, source, following),
    plain(`START ${replica}`),
  ];
}

/** What tells a MySQL server which transactions its data holds, where it does not know; MariaDB is told by `gtid_slave_pos`. */
export function executedStatements(server: ReplicaServer, gtid: string): Statement[] {
  const reset = isAtLeast(server, 8, 2) ? "RESET BINARY LOGS AND GTIDS" : "RESET MASTER";
  return [plain(reset), { sql: "SET GLOBAL gtid_purged = ?", values: [gtid] }];
}

/** Nobody but replication may write to the replica from here on. */
export function readOnlyStatements(server: ReplicaServer): Statement[] {
  const hasSuper = server.vendor !== "mariadb" && isAtLeast(server, 5, 7, 8);
  return [plain("SET GLOBAL read_only = 1"), ...(hasSuper ? [plain("SET GLOBAL super_read_only = 1")] : [])];
}

/** Shows how replication goes; `readReplicaStatus()` reads the row. */
export function replicaStatusStatement(server: ReplicaServer): string {
  return `SHOW ${wordsOf(server).replica} STATUS`;
}

/** Shows the replicas that are connected, each with its `Server_id`. */
export function replicasStatement(server: ReplicaServer): string {
  return wordsOf(server).replica === "REPLICA" ? "SHOW REPLICAS" : "SHOW SLAVE HOSTS";
}

/** How replication goes. */
export type ReplicaStatus = {
  /** The connection to the source, and what applies the changes. */
  readonly isReading: boolean;
  readonly isApplying: boolean;
  /** `undefined` while it is not known. */
  readonly secondsBehind: number | undefined;
  /** What stopped it, or keeps it from connecting. */
  readonly problem: string | undefined;
};

/** Read a row of `SHOW REPLICA STATUS`, or of the older statement. */
export function readReplicaStatus(row: Readonly<Record<string, string | undefined>>): ReplicaStatus {
  const value = (now: string, before: string) => row[now] ?? row[before];
  const behind = value("Seconds_Behind_Source", "Seconds_Behind_Master");
  return {
    isReading: value("Replica_IO_Running", "Slave_IO_Running") === "Yes",
    isApplying: value("Replica_SQL_Running", "Slave_SQL_Running") === "Yes",
    secondsBehind: behind === undefined ? undefined : Number(behind),
    problem: row["Last_IO_Error"] || row["Last_SQL_Error"] || undefined,
  };
}

/** Whether a replica works and draws nearer to its source: it is there, or nearer than it was. @param seen oldest first. */
export function isCatchingUp(seen: readonly ReplicaStatus[]): boolean {
  const last = seen.at(-1);
  if (last?.isReading !== true || !last.isApplying || last.secondsBehind === undefined) return false;
  if (last.secondsBehind <= 1) return true;
  const furthest = Math.max(...seen.map(({ secondsBehind }) => secondsBehind ?? 0));
  return last.secondsBehind < furthest;
}

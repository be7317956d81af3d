import type { Vendor } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import { versionNumbers } from "../domain/server.ts";
import type { Client } from "./client.ts";

/** What is to be done with which server. */
export type GrantNeeds = {
  readonly engine: "mariadb-backup" | "xtrabackup" | "clone";
  readonly vendor: Vendor;
  /** As `@@version` says. */
  readonly version: string;
  /** The node of a cluster, which is desynced for the time of the copy. */
  readonly galera: boolean;
  /** The copy becomes a replica, which the same user sets up. */
  readonly replica?: boolean;
};

/** A privilege and what it is on, such as `SELECT` on `performance_schema.log_status`, or `RELOAD` on `*.*`. */
export type Privilege = { readonly name: string; readonly on: string };

const EVERYTHING = "*.*";

/**
 * The privileges a backup needs that these lines do not give.
 * @param lines of SHOW GRANTS, with those of the active roles.
 */
export function missingGrants(lines: readonly string[], needs: GrantNeeds): Privilege[] {
  const granted = lines.flatMap(parseGrant);
  return needed(needs).filter((privilege) => !isGranted(privilege, granted, needs));
}

/**
 * Prove that the user may take a copy.
 * @throws {BackupError} NOT_PERMITTED, naming what is missing and the statements that grant it.
 */
export async function checkGrants(client: Client, needs: GrantNeeds): Promise<void> {
  const missing = missingGrants(await readGrants(client, needs.vendor), needs);
  if (missing.length === 0) return;
  const account = accountName((await client.value("SELECT CURRENT_USER()")) ?? "");
  const names = missing.map(({ name, on }) => (on === EVERYTHING ? name : `${name} on ${on}`));
  throw new BackupError(
    "NOT_PERMITTED",
    `Cannot copy the server as "${client.target}": the user lacks ${names.join(", ")}`,
    {
      hint: `Run on the server, as its administrator: ${grantStatements(missing, account).join(" ")}`,
    },
  );
}

/** The statements that grant privileges to an account, quoted as SQL wants it. */
export function grantStatements(privileges: readonly Privilege[], account: string): string[] {
  const places = Map.groupBy(privileges, ({ on }) => on);
  return [...places].map(([on, each]) => `GRANT ${each.map(({ name }) => name).join(", ")} ON ${on} TO ${account};`);
}

/** `backup@%` → `'backup'@'%'`. */
export function accountName(user: string): string {
  const at = user.lastIndexOf("@");
  const quote = (text: string) => `'${text.replaceAll("'", "''")}'`;
  return `${quote(user.slice(0, at))}@${quote(user.slice(at + 1))}`;
}

/** MariaDB shows the privileges of roles by itself, MySQL when it is asked to use them. */
async function readGrants(client: Client, vendor: Vendor): Promise<string[]> {
  const lines = async (sql: string) => (await client.rows(sql)).flatMap((row) => Object.values(row)[0] ?? []);
  if (vendor === "mariadb") return lines("SHOW GRANTS");
  const roles = await activeRoles(client);
  return lines(roles === undefined ? "SHOW GRANTS" : `SHOW GRANTS FOR CURRENT_USER() USING ${roles}`);
}

/** As the server quotes them; `undefined` without roles, and for a server that knows none. */
async function activeRoles(client: Client): Promise<string | undefined> {
  const version = await client.value("SELECT VERSION()");
  const [major = 0] = versionNumbers(version ?? "");
  const roles = major < 8 ? undefined : await client.value("SELECT CURRENT_ROLE()");
  return roles === undefined || roles === "NONE" ? undefined : roles;
}

function needed({ engine, vendor, version, galera, replica = false }: GrantNeeds): Privilege[] {
  const global = vendor === "mariadb" ? neededOfMariadb(version, galera) : neededOfMysql(engine, version, galera);
  const more = replica ? neededOfReplica({ vendor, version }) : [];
  const places = engine === "xtrabackup" && isAtLeast(version, 8, 0) ? ["log_status"] : [];
  return [
    ...[...new Set([...global, ...more])].map((name) => ({ name, on: EVERYTHING })),
    ...places.map((table) => ({ name: "SELECT", on: `performance_schema.${table}` })),
  ];
}

function neededOfMariadb(version: string, galera: boolean): string[] {
  if (!isAtLeast(version, 10, 5))
    return ["RELOAD", "PROCESS", "LOCK TABLES", "REPLICATION CLIENT", ...(galera ? ["SUPER"] : [])];
  return ["RELOAD", "PROCESS", "LOCK TABLES", "BINLOG MONITOR", ...(galera ? ["SUPER"] : [])];
}

function neededOfMysql(engine: GrantNeeds["engine"], version: string, galera: boolean): string[] {
  if (engine === "clone") return ["BACKUP_ADMIN", "REPLICATION CLIENT"];
  const common = ["RELOAD", "PROCESS", "LOCK TABLES", "REPLICATION CLIENT"];
  if (!isAtLeast(version, 8, 0)) return [...common, ...(galera ? ["SUPER"] : [])];
  return ["BACKUP_ADMIN", ...common, ...(galera ? ["SYSTEM_VARIABLES_ADMIN"] : [])];
}

/** Sees who follows the source, and has the copy follow it. */
function neededOfReplica({ vendor, version }: Pick<GrantNeeds, "vendor" | "version">): string[] {
  if (vendor === "mariadb") {
    if (!isAtLeast(version, 10, 5)) return ["SUPER", "REPLICATION SLAVE"];
    const readOnly = isAtLeast(version, 10, 11) ? ["READ_ONLY ADMIN"] : ["SUPER"];
    return ["REPLICATION MASTER ADMIN", "REPLICATION SLAVE ADMIN", "REPLICA MONITOR", ...readOnly];
  }
  if (!isAtLeast(version, 8, 0)) return ["SUPER", "REPLICATION SLAVE"];
  return ["REPLICATION SLAVE", "REPLICATION_SLAVE_ADMIN", "SYSTEM_VARIABLES_ADMIN", "RELOAD"];
}

function isAtLeast(version: string, major: number, minor: number): boolean {
  const [ownMajor = 0, ownMinor = 0] = versionNumbers(version);
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}

/** Names that servers show for the same privilege. */
const SAME: Readonly<Record<string, string>> = {
  "REPLICATION CLIENT": "BINLOG MONITOR",
  "SLAVE MONITOR": "REPLICA MONITOR",
  "REPLICATION REPLICA ADMIN": "REPLICATION SLAVE ADMIN",
};

/** What SUPER stands for besides itself. MariaDB 11.0 took these away from it. */
const SUPER_GIVES = [
  "BINLOG MONITOR",
  "REPLICA MONITOR",
  "SYSTEM_VARIABLES_ADMIN",
  "REPLICATION MASTER ADMIN",
  "REPLICATION SLAVE ADMIN",
  "REPLICATION_SLAVE_ADMIN",
  "READ_ONLY ADMIN",
];

const ALL = ["ALL", "ALL PRIVILEGES"];

function isGranted({ name, on }: Privilege, granted: readonly Privilege[], { vendor, version }: GrantNeeds): boolean {
  const wanted = SAME[name] ?? name;
  const places = placesAround(on);
  const names = new Set(granted.filter((each) => places.includes(each.on)).map((each) => SAME[each.name] ?? each.name));
  if (names.has(wanted) || ALL.some((all) => names.has(all))) return true;
  const isGenerous = vendor !== "mariadb" || !isAtLeast(version, 11, 0);
  return isGenerous && names.has("SUPER") && SUPER_GIVES.includes(wanted);
}

/** `a.b` is in `a.*`, and that in `*.*`. */
function placesAround(on: string): string[] {
  return [on, `${on.split(".")[0]}.*`, EVERYTHING];
}

const GRANT = /^GRANT (.+?) ON (?:TABLE )?(\*\.\*|(?:`(?:[^`]|``)+`|[\w$]+)\.(?:\*|`(?:[^`]|``)+`|[\w$]+)) TO /i;

/** The privileges of one line; none for a role that is granted, and for those on columns and routines. */
export function parseGrant(line: string): Privilege[] {
  const [, names = "", place = ""] = GRANT.exec(line) ?? [];
  // An underscore of a schema may stand behind a backslash: alone it would match any character.
  const on = place.replaceAll(/[`\\]/g, "").toLowerCase();
  // A list of columns, which may hold commas, makes a privilege on less than the table.
  const whole = names.replaceAll(/\b[A-Z ]+ \([^)]*\)/gi, "");
  return whole
    .split(",")
    .map((name) => name.trim().toUpperCase())
    .filter((name) => name !== "")
    .map((name) => ({ name, on }));
}

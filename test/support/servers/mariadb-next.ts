import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { type Database, type DatabaseOptions, type Product, startDatabase } from "./database.ts";
import { binDirectory, isUnpacked } from "./elsewhere.ts";
import { MARIADB_LINES } from "./mariadb.ts";

const NAME = "mariadb-11.8";

const SCRIPTS = [
  "mariadb_system_tables",
  "mariadb_performance_tables",
  "mariadb_system_tables_data",
  "maria_add_gis_sp_bootstrap",
  "mariadb_sys_schema",
];

/** Directory of mariadbd, mariadb, mariadb-backup, mbstream and mariadb-binlog of MariaDB 11.8. */
export const NEXT_MARIADB_BIN = binDirectory(NAME);

/** Whether tests of MariaDB 11.8 can run; where REQUIRE is set a missing server is a failure instead. */
export function hasNextMariadb(): boolean {
  return isUnpacked(NAME);
}

/** Start a private MariaDB 11.8 with an empty data directory, or on one that is there. */
export function startNextMariadb(options: DatabaseOptions = {}): Promise<Database> {
  return startDatabase(product(), options);
}

function product(): Product {
  const server = join(NEXT_MARIADB_BIN, "mariadbd");
  const version = /Ver (\S+)/.exec(execFileSync(server, ["--no-defaults", "--version"], { encoding: "utf8" }))?.[1];
  // Its programs may lie where only the user of the tests can go.
  const { username } = userInfo();
  return {
    name: `mariadb-${version}`,
    server,
    client: join(NEXT_MARIADB_BIN, "mariadb"),
    lines: [...MARIADB_LINES, `user=${username}`],
    user: username,
    administrator: username,
    initialise: (datadir) => bootstrap(server, datadir, username),
  };
}

/** What mariadb-install-db does, which cannot run a server through another loader. */
function bootstrap(server: string, datadir: string, user: string): void {
  mkdirSync(datadir);
  const share = join(NEXT_MARIADB_BIN, "..", "root", "usr", "share", "mariadb");
  const scripts = SCRIPTS.map((name) => readFileSync(join(share, `${name}.sql`), "utf8"));
  const input = ["CREATE DATABASE mysql;", "USE mysql;", `SET @auth_root_socket='${user}';`, ...scripts].join("\n");
  const args = [`--user=${user}`, `--datadir=${datadir}`, "--enforce-storage-engine=", "--innodb-log-file-size=16M"];
  execFileSync(server, ["--no-defaults", "--bootstrap", ...args, "--max-allowed-packet=8M"], { input, stdio: "pipe" });
}

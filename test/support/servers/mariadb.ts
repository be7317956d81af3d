import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { userInfo } from "node:os";
import { type Database, type DatabaseOptions, isRoot, type Product, startDatabase } from "./database.ts";
import { copyTemplate } from "./template.ts";

const PROGRAMS = {
  server: "/usr/sbin/mariadbd",
  client: "/usr/bin/mariadb",
  install: "/usr/bin/mariadb-install-db",
  backup: "/usr/bin/mariadb-backup",
} as const;

/** Lines of every release. */
export const MARIADB_LINES = ["innodb_log_file_size=16M", "gtid_strict_mode=1", "log_slave_updates"];

/** A private MariaDB of the system's own packages. */
export type Mariadb = Database;

/** Whether tests of MariaDB can run; where REQUIRE is set a missing program is a failure instead. */
export function hasMariadb(): boolean {
  const missing = Object.values(PROGRAMS).filter((program) => !existsSync(program));
  if (missing.length > 0 && process.env["REQUIRE"] !== undefined) throw new Error(`${missing.join(", ")} is missing`);
  return missing.length === 0;
}

/** Start a private MariaDB with an empty data directory, or on one that is there. */
export function startMariadb(options: DatabaseOptions = {}): Promise<Mariadb> {
  return startDatabase(product(), options);
}

/** Put an empty data directory at a path that is not there yet; root logs in over the socket. */
export function layMariadbData(datadir: string): void {
  copyTemplate(product(), datadir);
}

function product(): Product {
  const version = execFileSync(PROGRAMS.server, ["--no-defaults", "--version"], { encoding: "utf8" });
  const user = isRoot() ? "mysql" : userInfo().username;
  return {
    name: `mariadb-${/Ver (\S+)/.exec(version)?.[1]}`,
    server: PROGRAMS.server,
    client: PROGRAMS.client,
    lines: MARIADB_LINES,
    user,
    administrator: userInfo().username,
    initialise: (datadir) => {
      const args = ["--no-defaults", `--user=${user}`, `--datadir=${datadir}`, "--skip-test-db", "--skip-name-resolve"];
      const login = ["--auth-root-authentication-method=socket", `--auth-root-socket-user=${userInfo().username}`];
      execFileSync(PROGRAMS.install, [...args, ...login, "--innodb-log-file-size=16M"], { stdio: "pipe" });
    },
  };
}

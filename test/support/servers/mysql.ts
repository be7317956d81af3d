import { execFileSync } from "node:child_process";
import { userInfo } from "node:os";
import { join } from "node:path";
import { type Database, type DatabaseOptions, type Product, startDatabase } from "./database.ts";
import { binDirectory, isUnpacked } from "./elsewhere.ts";

const NAME = "mysql-9";

const LINES = [
  "mysqlx=OFF",
  'secure_file_priv=""',
  "innodb_redo_log_capacity=16M",
  "performance_schema=ON",
  "gtid_mode=ON",
  "enforce_gtid_consistency=ON",
];

/** Directory of mysqld, mysql, mysqlbinlog and mysqldump. */
export const MYSQL_BIN = binDirectory(NAME);

/** Whether tests of MySQL 9 can run; where REQUIRE is set a missing server is a failure instead. */
export function hasMysql(): boolean {
  return isUnpacked(NAME);
}

/** Start a private MySQL 9 with an empty data directory, or on one that is there. */
export function startMysql(options: DatabaseOptions = {}): Promise<Database> {
  return startDatabase(product(), options);
}

function product(): Product {
  const server = join(MYSQL_BIN, "mysqld");
  const version = /Ver (\S+)/.exec(execFileSync(server, ["--no-defaults", "--version"], { encoding: "utf8" }))?.[1];
  // Its programs may lie where only the user of the tests can go.
  const { username } = userInfo();
  return {
    name: `mysql-${version}`,
    server,
    client: join(MYSQL_BIN, "mysql"),
    lines: [...LINES, `user=${username}`],
    user: username,
    administrator: "root",
    initialise: (datadir) => {
      const args = [`--user=${username}`, `--datadir=${datadir}`, "--mysqlx=OFF", "--innodb-redo-log-capacity=16M"];
      execFileSync(server, ["--no-defaults", "--initialize-insecure", ...args], { stdio: "pipe" });
    },
  };
}

import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Database, DatabaseOptions } from "./database.ts";
import { hasMariadb, startMariadb } from "./mariadb.ts";
import { hasMysql, MYSQL_BIN, startMysql } from "./mysql.ts";

/** A make of server, and its words for replication. */
export type Make = {
  readonly name: string;
  readonly isThere: boolean;
  readonly start: (options: DatabaseOptions) => Promise<Database>;
  readonly follow: (port: number) => string;
  readonly stopApplying: string;
  readonly goOnApplying: string;
  readonly promote: string;
  /** What the first one logged, and whether the second one has applied that. */
  readonly logged: string;
  readonly hasApplied: (gtid: string) => string;
  readonly gtid: string;
  /** Have a replica log what it applies. */
  readonly logsApplied: string;
  /** Start on data that is there. */
  readonly startOn: (options: DatabaseOptions) => Promise<Database>;
  /** Config of `[mysql]`, and the path its programs are on. */
  readonly config: Readonly<Record<string, string>>;
  readonly path: string;
};

export const MAKES: readonly Make[] = [
  {
    name: "MariaDB",
    isThere: hasMariadb(),
    start: startMariadb,
    follow: (port) =>
      `CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=${port}, MASTER_USER='repl', MASTER_PASSWORD='secret', MASTER_USE_GTID=slave_pos; START SLAVE`,
    stopApplying: "STOP SLAVE SQL_THREAD",
    goOnApplying: "START SLAVE SQL_THREAD",
    promote: "STOP SLAVE; RESET SLAVE ALL",
    logged: "SELECT @@gtid_binlog_pos",
    hasApplied: (gtid) => `SELECT @@gtid_slave_pos = '${gtid}'`,
    gtid: String.raw`0-1-\d+`,
    logsApplied: "log_slave_updates=1",
    startOn: startMariadb,
    config: {},
    path: "/usr/bin:/bin:/usr/sbin",
  },
  {
    name: "MySQL 9",
    isThere: hasMysql(),
    start: startMysqlOfItsOwn,
    follow: (port) =>
      `CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=${port}, SOURCE_USER='repl', SOURCE_PASSWORD='secret', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1; START REPLICA`,
    stopApplying: "STOP REPLICA SQL_THREAD",
    goOnApplying: "START REPLICA SQL_THREAD",
    promote: "STOP REPLICA; RESET REPLICA ALL",
    logged: "SELECT @@gtid_executed",
    hasApplied: (gtid) => `SELECT GTID_SUBSET('${gtid}', @@gtid_executed)`,
    gtid: String.raw`[0-9a-f-]{36}:\d+`,
    logsApplied: "log_replica_updates=1",
    startOn: startMysql,
    config: { engine: "clone" },
    path: `${MYSQL_BIN}:/usr/bin:/bin:/usr/sbin`,
  },
];

/** Data directories of one template share a UUID, until the server has to make one anew. */
async function startMysqlOfItsOwn(options: DatabaseOptions): Promise<Database> {
  const server = await startMysql(options);
  await server.shutDown();
  rmSync(join(server.datadir, "auto.cnf"));
  const again = await startMysql({ ...options, root: server.root, port: server.port });
  return {
    ...again,
    async stop() {
      await again.stop();
      rmSync(server.root, { recursive: true, force: true });
    },
  };
}

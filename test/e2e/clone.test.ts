import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { BACKUP_PASSWORD, type CloneWorld, DROP_IN, openCloneWorld, REPLICATION_PASSWORD } from "../support/cloning.ts";
import { checksums } from "../support/servers/load.ts";
import { hasMachines } from "../support/servers/machine.ts";
import { hasMariadb } from "../support/servers/mariadb.ts";

const quoted = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;

const MARIADB_USERS = `
CREATE USER backup@localhost IDENTIFIED BY ${quoted(BACKUP_PASSWORD)};
GRANT RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR, REPLICATION MASTER ADMIN, REPLICATION SLAVE ADMIN, SLAVE MONITOR, READ_ONLY ADMIN ON *.* TO backup@localhost;
CREATE USER repl@'10.231.7.%' IDENTIFIED BY ${quoted(REPLICATION_PASSWORD)};
GRANT REPLICATION SLAVE ON *.* TO repl@'10.231.7.%';
CREATE DATABASE shop; USE shop;
CREATE TABLE item (id INT PRIMARY KEY, body VARBINARY(700));
INSERT INTO item SELECT seq, RANDOM_BYTES(700) FROM seq_1_to_20000;
`;

describe.runIf(hasMachines() && hasMariadb())("clone mysql, MariaDB", () => {
  const sandbox = new Sandbox();
  let world: CloneWorld;

  beforeAll(async () => {
    world = await openCloneWorld({
      sandbox,
      client: "mariadb",
      server: "mariadbd",
      users: MARIADB_USERS,
      lines: [
        "server_id = 11",
        "log_bin = binlog",
        "bind-address = *",
        "gtid_strict_mode = 1",
        "log_slave_updates",
        "pid-file = /run/mysqld/mysqld.pid",
        "socket = /run/mysqld/mysqld.sock",
        "innodb_buffer_pool_size = 24M",
        "innodb_log_file_size = 16M",
      ],
      initialise: (datadir) => {
        const args = [
          "--no-defaults",
          "--user=mysql",
          `--datadir=${datadir}`,
          "--skip-test-db",
          "--innodb-log-file-size=16M",
        ];
        execFileSync("mariadb-install-db", [...args, "--auth-root-authentication-method=socket"], { stdio: "pipe" });
      },
    });
  });

  afterAll(async () => {
    await world?.stop();
    sandbox[Symbol.dispose]();
  });

  test("a replica of a server under load: one command", async () => {
    const writer = await world.startWriter();
    await writer.more(20);
    const result = await world.clone(["--compress"]);
    expect(result).toMatchObject({ exitCode: 0, stderr: "" });
    expect(result.stdout).toMatch(/^10\.231\.7\.2 follows 10\.231\.7\.1: server_id \d+, \d seconds behind/);
    await writer.more(20);
    await writer.stop();
  });
});

import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type Result, type RunOptions, Sandbox } from "../support/cli.ts";
import {
  BACKUP_PASSWORD,
  type CloneWorld,
  DROP_IN,
  killing,
  openCloneWorld,
  REPLICATION_PASSWORD,
  until,
  watchCommandLines,
} from "../support/cloning.ts";
import { Pages } from "../support/docs/pages.ts";
import { checksums } from "../support/servers/load.ts";
import { hasMachines, type Machine } from "../support/servers/machine.ts";
import { hasMariadb } from "../support/servers/mariadb.ts";
import { hasMysql, MYSQL_BIN } from "../support/servers/mysql.ts";

const pages = new Pages(import.meta.url);
const [MARIADB_GRANT = "", MYSQL_GRANT = ""] = pages.take("docs/clone.md: What it needs 1").split("\n");
const COMMAND = pages.take("docs/clone.md: Clone: a replica from a running server 1");

const quoted = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;

/** In the one row that shows how replication goes: what reads, and what applies. */
const BOTH_RUN = "\tYes\tYes\t";

/** Whether a part of the stream was unpacked there. */
function hasData({ root }: Machine): boolean {
  const staging = join(root, "lib", "mysql", ".twindb-clone");
  return existsSync(staging) && readdirSync(staging).length > 0;
}

const MARIADB_USERS = `
CREATE USER backup@localhost IDENTIFIED BY ${quoted(BACKUP_PASSWORD)};
GRANT RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR ON *.* TO backup@localhost;
${MARIADB_GRANT}
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
      hasUnit: true,
      machine: { path: "/etc/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
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

  /** Run a clone that has to fail, and prove that it left both hosts as they were. */
  async function failing(words: readonly string[] = [], options: RunOptions = {}): Promise<Result> {
    const before = world.look();
    const result = await world.clone(words, options);
    expect(world.look()).toBe(before);
    expect(world.source.sh("ls -A /var/lib")).not.toContain(".twindb");
    expect(result.exitCode).not.toBe(0);
    expect(result.stdout).toBe("");
    for (const secret of [BACKUP_PASSWORD, REPLICATION_PASSWORD]) expect(result.stderr).not.toContain(secret);
    return result;
  }

  /** The same, with something done to it once data arrives; the cable is slow meanwhile. */
  async function failingMidway(disturb: (pid: number) => void): Promise<Result> {
    const { source, destination } = world;
    source.sh("tc qdisc add dev v0 root tbf rate 60mbit burst 256kb latency 400ms");
    let pid = 0;
    let hasCome = false;
    const disturbing = async () => {
      while (!hasData(destination)) await pause(20);
      hasCome = true;
      disturb(pid);
    };
    try {
      const [result] = await Promise.all([failing([], { onStart: (started) => (pid = started) }), disturbing()]);
      return result;
    } finally {
      expect(hasCome).toBe(true);
      source.sh("tc qdisc del dev v0 root");
    }
  }

  test("all that stands in the way is told at once, and nothing is touched", async () => {
    const { destination } = world;
    destination.sh("touch /var/lib/mysql/precious; mount --bind /dev/null /usr/bin/mbstream");
    const result = await failing([], { env: { TWINDB_REPLICATION_PASSWORD: "wrong" } });
    destination.sh("rm /var/lib/mysql/precious; umount /usr/bin/mbstream");
    expect(result.stderr).toContain("3 things stand in the way");
    expect(result.stderr).toContain('"/var/lib/mysql" is not empty, it holds precious');
    expect(result.stderr).toContain("mbstream is not installed");
    expect(result.stderr).toMatch(/Cannot follow "10\.231\.7\.1:3306" .*Access denied for user 'repl'/);
  });

  test("a host that shows another key is not trusted", async () => {
    const known = readFileSync(sandbox.path("known_hosts"), "utf8");
    const [first = "", second = ""] = known.split("\n");
    const [, type = "", key = ""] = first.split(" ");
    writeFileSync(sandbox.path("known_hosts"), `${first}\n${second.split(" ")[0]} ${type} ${key}\n`);
    const result = await failing();
    writeFileSync(sandbox.path("known_hosts"), known);
    expect(result.exitCode).toBe(77);
    expect(result.stderr).toMatch(/Cannot trust "root@10\.231\.7\.2:22": .* is not the one recorded/);
  });

  test("a password of replication that is wrong", async () => {
    const result = await failing([], { env: { TWINDB_REPLICATION_PASSWORD: "wrong" } });
    expect(result.exitCode).toBe(77);
  });

  test("a disk that is too small", async () => {
    world.destination.sh("mount -t tmpfs -o size=8m,mode=750 none /var/lib/mysql");
    const result = await failing();
    world.destination.sh("umount /var/lib/mysql");
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toMatch(/8\.0 MiB are free for "\/var\/lib\/mysql", \d+ MiB are needed/);
  });

  test("a server that runs there", async () => {
    const { destination } = world;
    destination.sh("mariadb-install-db --no-defaults --user=mysql --datadir=/var/lib/mysql --skip-test-db >/dev/null");
    const own = "--no-defaults --user=mysql --socket=/run/mysqld/mysqld.sock --pid-file=/run/mysqld/mysqld.pid";
    destination.sh(`setsid mariadbd ${own} </dev/null >/dev/null 2>&1 & ${until("[ -S /run/mysqld/mysqld.sock ]")}`);
    const look = () =>
      destination.sh("ls -lR /etc/mysql; ls -a /var/lib; ls -A /var/lib/mysql; cat /run/mysqld/mysqld.pid");
    const before = look();
    const result = await world.clone();
    expect(look()).toBe(before);
    destination.sh(
      `kill $(cat /run/mysqld/mysqld.pid); ${until("[ ! -e /run/mysqld/mysqld.pid ]")}; rm -rf /var/lib/mysql/*`,
    );
    expect(result).toMatchObject({ exitCode: 2, stdout: "" });
    expect(result.stderr).toMatch(/a server runs on "\/var\/lib\/mysql", with pid \d+/);
  });

  test("a privilege that is missing", async () => {
    await world.sql(world.source, "REVOKE REPLICATION SLAVE ADMIN ON *.* FROM backup@localhost");
    const result = await failing();
    await world.sql(world.source, "GRANT REPLICATION SLAVE ADMIN ON *.* TO backup@localhost");
    expect(result.exitCode).toBe(77);
    expect(result.stderr).toContain("GRANT REPLICATION SLAVE ADMIN ON *.* TO 'backup'@'localhost'");
  });

  test("a server that cannot be started", async () => {
    const result = await failing(["--start-command", "echo it is a bad day >&2; exit 3"]);
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toContain("starting the server: Cannot start the server");
    expect(result.stderr).toContain("it is a bad day");
  });

  test("a server that takes the id of its source from its command line", async () => {
    const result = await failing(["--start-command", "/etc/start-server --server-id=11"]);
    expect(result.exitCode).toBe(78);
    expect(result.stderr).toContain("its server_id is 11, which the source or one of its replicas has");
  });

  test("a source whose server dies midway", async () => {
    const result = await failingMidway(() => world.source.sh("kill -9 $(cat /run/mysqld/mysqld.pid)"));
    await world.restart(world.source);
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toContain("streaming the data: ");
  });

  test("a source whose tool is killed midway", async () => {
    const result = await failingMidway(() => world.source.sh(killing("mariadb-backup --defaults-file")));
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toContain('Cannot run "mariadb-backup" on "root@10.231.7.1:22": it was ended by signal 9');
  });

  test("a connection to the destination that is cut", async () => {
    const result = await failingMidway(() => world.destination.sh(killing("sshd: root")));
    expect(result.exitCode).toBe(69);
    expect(result.stderr).toContain('Cannot keep the connection to "root@10.231.7.2:22"');
  });

  test("a clone that is asked to end", async () => {
    const result = await failingMidway((pid) => process.kill(pid, "SIGTERM"));
    expect(result.exitCode).toBe(143);
  });

  test("a replica of a server under load: one command, though a killed one left its traces", async () => {
    const { source, destination, sql } = world;
    let pid = 0;
    const killed = world.clone([], { onStart: (started) => (pid = started) });
    while (!hasData(destination)) await pause(20);
    process.kill(pid, "SIGKILL");
    expect(await killed).toMatchObject({ signal: "SIGKILL" });

    const writer = await world.startWriter();
    await writer.more(20);
    const lines = watchCommandLines();
    const result = await world.clone(["--compress"]);
    const seen = lines.stop();
    expect(result).toMatchObject({ exitCode: 0 });
    expect(result.stderr).toMatch(
      /^\S+ \S+ WARN\S*: removed what a killed clone had left on "root@10\.231\.7\.2:22"\n$/,
    );
    expect(result.stdout).toMatch(/^10\.231\.7\.2 follows 10\.231\.7\.1: server_id \d+, \d+ seconds behind/);
    expect(seen).toContain("mariadb-backup");
    for (const secret of ["r3pl", "b4ck"]) expect(seen).not.toContain(secret);

    await writer.more(20);
    const last = await writer.stop();
    await vi.waitUntil(async () => Number(await sql(destination, "SELECT MAX(id) FROM steady.log")) >= last, 20_000);
    const of = async (machine: Machine) => checksums({ sql: (text) => sql(machine, text) });
    expect(await of(destination)).toEqual(await of(source));
    const status = await sql(destination, "SHOW SLAVE STATUS");
    expect(status).toContain(BOTH_RUN);
    expect(status).toContain("\tSlave_Pos\t");
    expect(await sql(destination, "SELECT @@read_only, @@event_scheduler, @@server_id <> 11")).toBe("1\tOFF\t1");
    for (const file of ["my.cnf", "conf.d/server.cnf"]) {
      expect(destination.sh(`cat /etc/mysql/${file}`)).toBe(source.sh(`cat /etc/mysql/${file}`));
    }
    expect(destination.sh(`cat ${DROP_IN}`)).toMatch(/\[mysqld\]\nserver_id = \d+\nread_only = ON\n/);
    expect(destination.sh(`cat ${DROP_IN}`)).not.toContain("skip_slave_start");
    expect(destination.sh("ls -A /var/lib /var/lib/mysql; stat -c '%a %U' /var/lib/mysql")).not.toMatch(
      /twindb|xtrabackup|root/,
    );
    expect(source.sh("ls -A /var/lib")).not.toContain("twindb");

    // It starts as a replica by itself from here on.
    await world.restart(destination);
    await vi.waitUntil(async () => (await sql(destination, "SHOW SLAVE STATUS")).includes(BOTH_RUN), 20_000);
  });
});

const MYSQL_USERS = `
CREATE USER backup@localhost IDENTIFIED BY ${quoted(BACKUP_PASSWORD)};
GRANT BACKUP_ADMIN, REPLICATION CLIENT ON *.* TO backup@localhost;
${MYSQL_GRANT}
GRANT INSERT, DELETE ON mysql.plugin TO backup@localhost;
CREATE USER repl@'10.231.7.%' IDENTIFIED BY ${quoted(REPLICATION_PASSWORD)};
GRANT REPLICATION SLAVE ON *.* TO repl@'10.231.7.%';
CREATE DATABASE shop; USE shop;
CREATE TABLE item (id INT PRIMARY KEY, body VARBINARY(700));
SET SESSION cte_max_recursion_depth = 10000;
INSERT INTO item WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 5000) SELECT id, RANDOM_BYTES(700) FROM n;
`;

describe.runIf(hasMachines() && hasMysql())("clone mysql, MySQL", () => {
  const sandbox = new Sandbox();
  let world: CloneWorld;

  beforeAll(async () => {
    world = await openCloneWorld({
      sandbox,
      client: "/opt/bin/mysql",
      server: "/opt/bin/mysqld",
      users: MYSQL_USERS,
      lines: [
        "server_id = 21",
        "log_bin = binlog",
        "bind-address = *",
        "gtid_mode = ON",
        "enforce_gtid_consistency = ON",
        "mysqlx = OFF",
        'secure_file_priv = ""',
        "pid-file = /run/mysqld/mysqld.pid",
        "socket = /run/mysqld/mysqld.sock",
        "innodb_buffer_pool_size = 24M",
        "innodb_redo_log_capacity = 16M",
      ],
      initialise: (datadir) => {
        const args = ["--user=root", `--datadir=${datadir}`, "--mysqlx=OFF", "--innodb-redo-log-capacity=16M"];
        const server = join(MYSQL_BIN, "mysqld");
        execFileSync(server, ["--no-defaults", "--initialize-insecure", ...args], { stdio: "pipe" });
      },
      // Where the user of the server can go, too.
      machine: { mounts: { "/opt": join(MYSQL_BIN, "..") }, path: "/opt/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
    });
  });

  afterAll(async () => {
    await world?.stop();
    sandbox[Symbol.dispose]();
  });

  test("a server that cannot be started leaves no clone on either host", async () => {
    const before = world.look();
    const result = await world.clone(["--start-command", "exit 3"]);
    expect(world.look()).toBe(before);
    expect(world.source.sh("ls -A /var/lib")).not.toContain(".twindb");
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toContain('Cannot start the server on "root@10.231.7.2:22" by "exit 3"');
  });

  test("a replica of a server under load, by the server's own CLONE", async () => {
    const { source, destination, sql } = world;
    const writer = await world.startWriter();
    await writer.more(20);
    writeFileSync(sandbox.path("repl.password"), `${REPLICATION_PASSWORD}\n`, { mode: 0o600 });
    copyFileSync(join(source.root, "lib", "mysql", "ca.pem"), join(destination.root, "etc", "source-ca.pem"));
    const [, option = ""] = /^twindb-backup clone mysql db1 db2 (\S+) \/root\/repl\.password\n$/.exec(COMMAND) ?? [];
    const words = [option, sandbox.path("repl.password"), "--tls-ca", "/etc/source-ca.pem"];
    const result = await world.clone(words, { env: { TWINDB_REPLICATION_PASSWORD: "wrong" } });
    expect(result).toMatchObject({ exitCode: 0, stderr: "" });
    expect(result.stdout).toMatch(
      /^10\.231\.7\.2 follows 10\.231\.7\.1: server_id \d+, \d+ seconds behind, encrypted$/m,
    );
    await writer.more(20);
    const last = await writer.stop();
    await vi.waitUntil(async () => Number(await sql(destination, "SELECT MAX(id) FROM steady.log")) >= last, 20_000);
    const of = async (machine: Machine) => checksums({ sql: (text) => sql(machine, text) });
    expect(await of(destination)).toEqual(await of(source));
    expect(await sql(destination, "SHOW REPLICA STATUS")).toContain(BOTH_RUN);
    const automatic = "SELECT auto_position FROM performance_schema.replication_connection_configuration";
    expect(await sql(destination, automatic)).toBe("1");
    expect(await sql(destination, automatic.replace("auto_position", "ssl_ca_file"))).toBe("/etc/source-ca.pem");
    const settings = "SELECT @@read_only, @@super_read_only, @@event_scheduler, @@server_id <> 21";
    expect(await sql(destination, settings)).toBe("1\t1\tOFF\t1");
    expect(source.sh("ls -A /var/lib")).not.toContain("twindb");
    expect(destination.sh("ls -A /var/lib /var/lib/mysql; cat /etc/mysql/conf.d/*")).not.toMatch(
      /twindb-clone|skip_replica/,
    );

    await world.restart(destination);
    await vi.waitUntil(async () => (await sql(destination, "SHOW REPLICA STATUS")).includes(BOTH_RUN), 20_000);
  });
});

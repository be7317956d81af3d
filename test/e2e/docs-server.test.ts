import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { grantStatements, missingGrants } from "../../src/mysql/grants.ts";
import { cronCommand, keysOn, quietly, withLines } from "../support/docs/examples.ts";
import { DocumentedHost, hasHosts } from "../support/docs/host.ts";
import { Pages } from "../support/docs/pages.ts";
import { hasGalera, isolatedNodeLines } from "../support/servers/galera.ts";
import { hasMariadb } from "../support/servers/mariadb.ts";
import { hasMysql, startMysql } from "../support/servers/mysql.ts";

const pages = new Pages(import.meta.url);

const CONFIG = "/etc/twindb/twindb-backup.cfg";
const DESTINATION = `
[destination]
backup_destination = local

[local]
backup_dir = /var/backup/twindb

[retention]
hourly_copies = 24
daily_copies = 7
weekly_copies = 4
monthly_copies = 12
yearly_copies = 3
`;
const PATIENT = { timeout: 30_000 };
const ROWS = "SELECT GROUP_CONCAT(id ORDER BY id) FROM shop.orders";

/** The place of a copy in the binary log, as mariadb-backup wrote it down beside the data. */
function positionIn(host: DocumentedHost, directory: string): { file: string; position: string } {
  const [file = "", position = ""] = readFileSync(host.path(`${directory}/xtrabackup_binlog_info`), "utf8").split(/\s/);
  return { file, position };
}

describe.runIf(hasHosts() && hasMariadb())("a host with MariaDB", () => {
  let db1: DocumentedHost;
  /** When three rows were there, and before the fourth. */
  let moment = new Date(0);

  beforeAll(async () => {
    db1 = await DocumentedHost.start();
    await db1.startServer();
    await db1.sql(pages.take("docs/security.md: The database user 1"));
    await db1.sql("CREATE DATABASE shop; CREATE TABLE shop.orders (id INT PRIMARY KEY, item VARCHAR(20))");
    await db1.sql("INSERT INTO shop.orders VALUES (1, 'a'), (2, 'b')");
    db1.write("/etc/twindb/my.cnf", pages.take("docs/security.md: The database user 3"), 0o644);
    await quietly(db1, pages.take("docs/security.md: The database user 4"));
    db1.write(CONFIG, pages.take("docs/quick-start.md: With a database server 1") + DESTINATION);
    expect(pages.take("README.md: The server 1")).toBe(
      "[mysql]\nmysql_defaults_file = /etc/twindb/my.cnf\nfull_backup = daily\n",
    );
  });
  afterAll(async () => db1[Symbol.asyncDispose]());

  test("docs/security.md: the user may do all that a backup needs, and no more", async () => {
    expect(await quietly(db1, "twindb-backup check")).toMatch(/^mysql +ok/m);
    const grants = (await db1.sql("SHOW GRANTS FOR backup@localhost")).split("\n");
    const [given = ""] = /GRANT (.*) ON/.exec(grants[0] ?? "")?.slice(1) ?? [];
    const needs = { engine: "mariadb-backup", vendor: "mariadb", version: "10.11.14-MariaDB", galera: false } as const;
    expect(missingGrants(grants, needs)).toEqual([]);
    for (const name of given.split(", ")) {
      const fewer = grantStatements(
        given.split(", ").flatMap((each) => (each === name ? [] : [{ name: each, on: "*.*" }])),
        "`backup`@`localhost`",
      );
      expect(missingGrants(fewer, needs)).toHaveLength(1);
    }
  });

  test("README: a full copy, an increment, and the binary logs from cron", async () => {
    await quietly(db1, "twindb-backup backup daily");
    await db1.sql("INSERT INTO shop.orders VALUES (3, 'c')");
    await quietly(db1, "twindb-backup backup hourly");
    // MariaDB's log knows whole seconds.
    await pause(1100);
    moment = new Date(Math.floor(Date.now() / 1000) * 1000);
    await pause(1100);
    await db1.sql("INSERT INTO shop.orders VALUES (4, 'd'); DROP TABLE shop.orders");
    expect(await quietly(db1, cronCommand(pages.take("README.md: The server 2")))).toBe("");
  });

  test("docs/restore.md: verify, of the copy and of the logs", async () => {
    expect(await quietly(db1, pages.take("docs/restore.md: MySQL, Percona, MariaDB 4"))).toMatch(/^ok /m);
    expect(pages.take("docs/quick-start.md: Then 4")).toBe("twindb-backup verify mysql latest\n");
    expect(await quietly(db1, pages.take("docs/restore.md: MySQL, Percona, MariaDB: to a moment 2"))).toMatch(/^ok /m);
  });

  test("docs/restore.md: to a moment, and one table out of it", async () => {
    const toMoment = pages.take("docs/restore.md: MySQL, Percona, MariaDB: to a moment 1");
    expect(toMoment.match(/2026-11-21T14:02:59Z/g)).toHaveLength(2);
    const at = `${moment.toISOString().slice(0, 19)}Z`;
    expect(await quietly(db1, toMoment.replaceAll("2026-11-21T14:02:59Z", at))).toContain("binlog.");
    await db1.run(pages.take("docs/restore.md: One table 1"));
    await quietly(db1, pages.take("docs/restore.md: One table 2"));
    expect(await db1.sql("SELECT GROUP_CONCAT(id ORDER BY id) FROM rescue.orders")).toBe("1,2,3");
    await db1.sql(
      "CREATE TABLE shop.orders (id INT PRIMARY KEY, item VARCHAR(20)); INSERT INTO shop.orders VALUES (9, 'after')",
    );
    await quietly(db1, pages.take("docs/restore.md: One table 3"));
    expect(await db1.sql(`${ROWS}; SELECT id FROM rescue.orders_after`)).toBe("1,2,3\n9");
    await db1.sql("DROP DATABASE rescue");
    expect(await quietly(db1, pages.take("docs/restore.md: One table 5"))).toMatch(/rescue\.orders\tcheck\tstatus\tOK/);
    expect(await db1.sql("SELECT GROUP_CONCAT(id ORDER BY id) FROM rescue.orders; DROP DATABASE rescue")).toBe("1,2,3");
    await quietly(db1, pages.take("docs/restore.md: One table 4"));
    await quietly(db1, "until ! [ -e /srv/restored/rescue.sock ]; do sleep 0.1; done; rm -r /srv/*");
  });

  test("docs/restore.md: a server and its logs by hand, without this program", async () => {
    const inDirectory = (block: string) => `mkdir -p /srv/hand; cd /srv/hand\n${block}`;
    const keys = await keysOn(db1);
    const at = (start: string) => `/var/backup/twindb/${keys.find((key) => key.startsWith(start))}`;
    const byHand = pages
      .take("docs/restore.md: By hand 2")
      .replace("FULL.xbstream.zst", at("db1/daily/mysql/"))
      .replace("INCREMENT.xbstream.zst", at("db1/hourly/mysql/"));
    await db1.sh(inDirectory(byHand));
    const { file, position } = positionIn(db1, "/srv/hand/inc");
    const logs = keys.filter((key) => key.startsWith("db1/binlog/") && key >= `db1/binlog/${file}`);
    await quietly(
      db1,
      inDirectory(`for log in ${logs.join(" ")}; do zstd -dqc /var/backup/twindb/$log >$(basename $log .zst); done`),
    );
    const names = logs.map((key) => key.slice("db1/binlog/".length).replace(".zst", ""));
    await db1.sh(inDirectory(PRIVATE_SERVER));
    const replay = pages
      .take("docs/restore.md: By hand 3")
      .replace("POS", position)
      .replace("FILE1 FILE2", names.join(" "))
      .replace("2026-11-21 14:02:59", moment.toISOString().slice(0, 19).replace("T", " "))
      .replace("mariadb --binary-mode", "mariadb --binary-mode --socket=/srv/hand/socket");
    await quietly(db1, inDirectory(replay));
    expect(await quietly(db1, `mariadb --socket=/srv/hand/socket --skip-column-names --execute='${ROWS}'`)).toBe(
      "1,2,3\n",
    );
    await quietly(db1, "mariadb-admin --socket=/srv/hand/socket shutdown; rm -r /srv/hand");
  });

  test("docs/operations.md: preserve", async () => {
    await quietly(db1, pages.take("docs/operations.md: Keep a copy: `preserve` 1"));
    expect(await quietly(db1, "twindb-backup ls --type mysql")).toContain("preserved");
  });

  test("docs/restore.md: the whole server, and the commands that are printed", async () => {
    const whole = pages.take("docs/restore.md: MySQL, Percona, MariaDB 1");
    expect(whole).toContain(pages.take("README.md: Restore 3"));
    const printed = await quietly(db1, whole);
    const steps = printed.slice(printed.indexOf("# What is left to do"));
    expect(steps).toContain("gtid_slave_pos");
    await quietly(db1, steps);
    expect(await db1.sql(ROWS)).toBe("1,2,3");
    await quietly(db1, "rm -r /var/lib/mysql.before-restore /srv/restored.config");
  });

  test("docs/restore.md: an increment by its name, and into the data directory", async () => {
    expect(await quietly(db1, pages.take("docs/restore.md: MySQL, Percona, MariaDB 2"))).toContain("mv /srv/restored");
    await quietly(db1, "rm -r /srv/restored");
    await quietly(db1, pages.take("docs/restore.md: MySQL, Percona, MariaDB 3"));
    expect(await db1.sql(ROWS)).toBe("1,2,3");
  });

  test("docs: a replica from a copy, purging what it has, and a failover to it", async () => {
    await db1.sql(
      "CREATE USER repl@'127.0.0.1' IDENTIFIED BY 'secret'; GRANT REPLICATION SLAVE ON *.* TO repl@'127.0.0.1'",
    );
    // It is another server since it was restored, and says so.
    expect((await db1.run("twindb-backup backup daily")).exitCode).toBe(0);
    await using db2 = await DocumentedHost.start({ name: "db2", network: db1, backups: db1 });
    for (const path of [CONFIG, "/etc/twindb/my.cnf", "/etc/mysql/my.cnf"]) {
      db2.write(
        path,
        readFileSync(db1.path(path), "utf8").replace("server_id=1", "server_id=2").replace("127.0.0.1", "127.0.0.2"),
        path.includes("twindb") ? 0o600 : 0o644,
      );
    }
    await quietly(db2, "install -d -o mysql -g mysql -m 750 /var/lib/mysql");
    const printed = await quietly(db2, pages.take("docs/restore.md: A replica 1"));
    const [, place = ""] = /gtid_slave_pos='([\d,-]+)'/.exec(printed) ?? [];
    await db1.sql("INSERT INTO shop.orders VALUES (5, 'e')");
    const follow = pages.take("docs/restore.md: A replica 2").replace("0-1-1234", place).replace("'…'", "'secret'");
    expect(follow).toContain(`gtid_slave_pos='${place}'`);
    await quietly(db2, follow);
    await expect.poll(() => db2.sql(ROWS), PATIENT).toBe("1,2,3,5");
    expect(await quietly(db2, "mariadb --execute='SHOW SLAVE STATUS\\G'")).toMatch(
      /Slave_IO_Running: Yes\n.*Slave_SQL_Running: Yes\n/,
    );

    await quietly(db1, "twindb-backup binlog push");
    await db1.sql(
      "GRANT BINLOG ADMIN ON *.* TO backup@localhost; CREATE USER backup@'127.0.0.1' IDENTIFIED BY 'a long password'",
    );
    await expect
      .poll(() => db2.sql("SELECT COUNT(*) FROM mysql.user WHERE host='127.0.0.1' AND user='backup'"), PATIENT)
      .toBe("1");
    const purge = pages.take("docs/operations.md: Make room on the server: `binlog purge` 1");
    expect((await quietly(db1, purge)).match(/^nothing to purge\nkept: .* ended less than 1 d ago$/gm)).toHaveLength(1);
    const eager = purge.replaceAll("binlog purge", "binlog purge --keep-hours 0");
    expect(await quietly(db1, eager)).toContain("binlog.000001");

    await quietly(db2, "mariadb --execute='STOP SLAVE; RESET SLAVE ALL'");
    await quietly(db2, pages.take("docs/operations.md: After a failover: `binlog takeover` 1"));
    const { exitCode, stderr } = await db1.run("twindb-backup binlog push");
    expect(stderr).toContain("db2");
    expect(exitCode).toBe(1);
  });

  test("README: the service that follows the log", async () => {
    const service = new URL("../../packaging/twindb-backup-binlog-stream.service", import.meta.url).pathname;
    execFileSync("/usr/bin/systemd-analyze", ["verify", "--man=no", service], { stdio: "pipe" });
    await db1.sql("GRANT REPLICATION SLAVE ON *.* TO backup@localhost");
    db1.write(CONFIG, withLines(readFileSync(db1.path(CONFIG), "utf8"), "source", ["hostname = streamed"]));
    await quietly(db1, `cd /opt/twindb-backup\n${pages.take("README.md: The server 3")}`);
    await expect.poll(() => quietly(db1, "twindb-backup check"), PATIENT).toMatch(/^binlog stream +ok/m);
    await db1.sh("kill $(pgrep -f 'binlog stream' | head -1)");
  });
});

/** A server on the data in the current directory, as the documents ask for. */
const PRIVATE_SERVER = `
chown -R mysql: base
mariadbd --defaults-file=base/backup-my.cnf --user=mysql --datadir=$PWD/base --socket=$PWD/socket --pid-file=$PWD/base/pid \\
  --skip-networking --skip-log-bin --event-scheduler=OFF </dev/null >/dev/null 2>&1 &
chmod 777 .; mariadb-admin --socket=socket --wait=60 --silent ping
`;

describe.runIf(hasHosts() && hasGalera())("a node of a cluster", () => {
  test("docs/restore.md: restored, it founds the cluster anew", async () => {
    await using db1 = await DocumentedHost.start();
    await db1.sh(
      "touch /run/mariadb-wsrep-new-cluster; echo _WSREP_NEW_CLUSTER=--wsrep-new-cluster >/run/mariadb-wsrep-new-cluster",
    );
    await db1.startServer(isolatedNodeLines());
    await db1.sh("rm /run/mariadb-wsrep-new-cluster");
    await db1.sql(
      "CREATE DATABASE shop; CREATE TABLE shop.orders (id INT PRIMARY KEY); INSERT INTO shop.orders VALUES (1), (2)",
    );
    db1.write("/etc/twindb/my.cnf", "[client]\nuser = root\nsocket = /run/mysqld/mysqld.sock\n");
    db1.write(
      CONFIG,
      `[source]\nbackup_mysql = yes\n[mysql]\nmysql_defaults_file = /etc/twindb/my.cnf\n${DESTINATION}`,
    );
    await quietly(db1, "twindb-backup backup daily");
    const printed = await quietly(db1, pages.take("docs/restore.md: A node of a Galera cluster 1"));
    const found = pages.take("docs/restore.md: A node of a Galera cluster 2");
    for (const line of found.split("\n").slice(0, 2)) expect(printed).toContain(line);
    expect(await quietly(db1, found)).toMatch(/wsrep_cluster_status\tPrimary/);
    expect(await db1.sql(ROWS)).toBe("1,2");
  });
});

test.runIf(hasMysql())("docs/security.md: the user on MySQL may do all that XtraBackup needs", async () => {
  const server = await startMysql();
  try {
    await server.sql(pages.take("docs/security.md: The database user 2"));
    const grants = (await server.sql("SHOW GRANTS FOR backup@localhost")).split("\n");
    const needs = { engine: "xtrabackup", vendor: "oracle", version: "9.7.0", galera: false } as const;
    expect(missingGrants(grants, needs)).toEqual([]);
  } finally {
    await server.stop();
  }
});

test.runIf(hasHosts() && hasMariadb() && hasGalera() && hasMysql())(
  "each block that is named for this test was run",
  () => expect(pages.left()).toEqual([]),
);

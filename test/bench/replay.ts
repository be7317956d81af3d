import { execFileSync } from "node:child_process";
import { REPLAY_MARIADB, startReplaySource } from "../support/servers/replay-source.ts";
import type { Bench } from "./mysql.ts";

const ONCE = new URL("replay-once.ts", import.meta.url).pathname;
const ROUNDS_OF_ROWS = 20;

/** Some 100 MB of binary logs: many small transactions, and some large ones. */
const BASE = "create database shop; create table shop.t (id int primary key auto_increment, a varchar(200), b blob)";
const SMALL = `begin not atomic declare n int default 0; while n < 1500 do
  insert into shop.t (a, b) values (md5(n), random_bytes(600)); set n = n + 1; end while; end`;
const LARGE = "insert into shop.t (a, b) select md5(seq), random_bytes(700) from seq_1_to_3000";

/** Replaying on a MariaDB, against the same client fed by the same tool by hand; start and end of the server included. */
export async function benchReplay({ report, shell }: Pick<Bench, "report" | "shell">): Promise<void> {
  await using source = await startReplaySource(REPLAY_MARIADB, BASE);
  for (let round = 0; round < ROUNDS_OF_ROWS; round++) {
    await source.server.sql(`use shop;\ndelimiter //\n${SMALL} //\ndelimiter ;\n${LARGE};`);
    if (round % 10 === 9) await source.server.sql("flush binary logs");
  }
  const logs = await source.logs();
  const copy = source.base();
  const target = `${source.root}/target`;
  const fresh = () => {
    execFileSync("rm", ["-rf", target]);
    execFileSync("cp", ["-a", copy, target]);
  };
  const socket = `${target}/hand.sock`;
  const options =
    "--no-defaults --user=mysql --skip-networking --skip-log-bin --skip-grant-tables --performance-schema=OFF";
  const memory = "--innodb-buffer-pool-size=128M --innodb-flush-log-at-trx-commit=2 --max-allowed-packet=1G";
  const start = `mariadbd ${options} ${memory} --datadir=${target} --socket=${socket} --pid-file=${target}/pid 2>/dev/null &`;
  const wait = `until mariadb --no-defaults -uroot -S ${socket} -e 'select 1' >/dev/null 2>&1; do sleep 0.05; done`;
  const pipe = `mariadb-binlog --no-defaults --verify-binlog-checksum --skip-gtid-strict-mode ${logs.join(" ")} | mariadb --no-defaults -uroot -S ${socket} --binary-mode`;
  const bytes = Math.round(
    Number(
      execFileSync("du", ["-cb", ...logs], { encoding: "utf8" })
        .split("\n")
        .at(-2)
        ?.split("\t")[0],
    ) / 1e6,
  );
  await report(`replay of ${bytes} MB of binary logs`, [
    { name: "twindb-backup", argv: [process.execPath, ONCE, source.version, target, ...logs], before: fresh },
    shell("mariadb-binlog | mariadb", `${start} ${wait}; ${pipe}; kill -TERM %1; wait`, fresh),
  ]);
}

import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { startMariadb } from "../support/servers/mariadb.ts";
import type { Subject } from "./measure.ts";

/** What a group works with; see `bench.ts`. */
export type Bench = {
  readonly scratch: string;
  readonly out: string;
  readonly program: string;
  readonly cpus: string;
  readonly configure: (name: string, sections: Readonly<Record<string, Readonly<Record<string, string>>>>) => string;
  readonly report: (title: string, subjects: readonly Subject[]) => Promise<void>;
  readonly shell: (name: string, script: string, before: () => void) => Subject;
};

const ROWS = 150_000;
const ROUNDS_OF_ROWS = 12;

/** A full copy of a MariaDB of 3 GB, taken and restored, against the same by hand. */
export async function benchMysql({ scratch, out, program, cpus, configure, report, shell }: Bench): Promise<void> {
  const server = await startMariadb({ lines: ["innodb_log_file_size=256M", "skip_log_bin"] });
  try {
    await server.sql(
      "create database shop; use shop; create table t (id int primary key auto_increment, a text, b blob)",
    );
    for (let round = 0; round < ROUNDS_OF_ROWS; round++) {
      await server.sql(
        `use shop; insert into t (a, b) select repeat(md5(seq), 30), random_bytes(700) from seq_1_to_${ROWS}`,
      );
    }
    const copies = join(out, "copies");
    const config = configure("mysql", {
      source: { backup_mysql: "yes" },
      destination: { backup_destination: "local" },
      local: { backup_dir: copies },
      mysql: { mysql_defaults_file: server.defaultsFile },
      compression: { program: "zstd", threads: cpus },
    });
    const clear = () => {
      for (const path of [out, join(scratch, "restored")]) rmSync(path, { recursive: true, force: true });
      mkdirSync(out, { recursive: true });
    };
    const backup = ["--config", config, "backup", "daily", "--lock-file", join(scratch, "lock")];
    const tool = `mariadb-backup --defaults-file=${server.defaultsFile} --backup --stream=xbstream --target-dir=${out}/tmp`;
    const pack = `mkdir ${out}/tmp; ${tool} 2>/dev/null | zstd -3 -T${cpus} -q -c`;
    await report("mysql, backup of MariaDB, zstd", [
      { name: "twindb-backup", argv: [program, ...backup], before: clear },
      shell("mariadb-backup | zstd | cat", `${pack} | cat > ${out}/f`, clear),
      shell("the same with its checksum", `${pack} | tee ${out}/f | sha256sum > ${out}/sum`, clear),
    ]);
    clear();
    execFileSync(program, backup);
    const listed = execFileSync(program, ["--config", config, "ls", "--json"], { encoding: "utf8" });
    const key = (JSON.parse(listed) as { copies: { key: string }[] }).copies[0]?.key ?? "";
    const [object, target] = [join(copies, key), join(scratch, "restored")];
    const fresh = () => rmSync(target, { recursive: true, force: true });
    const unpack = `mkdir ${target}; zstd -dc ${object} | mbstream -x -C ${target}`;
    const prepare = `mariadb-backup --prepare --target-dir=${target} --use-memory=1G 2>/dev/null`;
    await report("mysql, restore and prepare", [
      {
        name: "twindb-backup",
        argv: [program, "--config", config, "restore", "mysql", key, "--dst", target],
        before: fresh,
      },
      shell("zstd | mbstream, prepare", `${unpack}; ${prepare}`, fresh),
      shell("the same with its checksum", `sha256sum ${object} > ${scratch}/sum; ${unpack}; ${prepare}`, fresh),
    ]);
    fresh();
  } finally {
    await server.stop();
  }
}

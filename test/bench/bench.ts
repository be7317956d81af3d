/**
 * Whole commands of ours against the same work done by hand, interleaved, medians of the ratios run by run.
 * Input in the page cache, output on a tmpfs where there is room: the speed of a disk is left out.
 *
 *   node test/bench/bench.ts [start|local|restore|small|ssh|s3|mysql|replay|memory|sample]…    (all of them by default)
 *
 * BENCH_DIR names the scratch directory, BENCH_ROUNDS the counted runs of each command (default 5).
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startSshd } from "../support/servers/sshd.ts";
import { makeMixed, makeSmall } from "./data.ts";
import { compare, type Subject } from "./measure.ts";
import { benchMysql } from "./mysql.ts";
import { benchReplay } from "./replay.ts";
import { benchS3 } from "./s3.ts";
import { makeCopies, medians } from "./start.ts";

const SCRATCH = process.env["BENCH_DIR"] ?? (existsSync("/dev/shm") ? "/dev/shm/twindb-bench" : "/tmp/twindb-bench");
const ROUNDS = Number(process.env["BENCH_ROUNDS"] ?? 5);
const PROGRAM = new URL("../../bin/twindb-backup", import.meta.url).pathname;
const OUT = join(SCRATCH, "out");
const CPUS = String(navigator.hardwareConcurrency);

type Sections = Readonly<Record<string, Readonly<Record<string, string>>>>;

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function configure(name: string, sections: Sections): string {
  const path = join(SCRATCH, `${name}.cfg`);
  const text = Object.entries(sections).map(([section, keys]) =>
    [`[${section}]`, ...Object.entries(keys).map(([key, value]) => `${key}=${value}`)].join("\n"),
  );
  writeFileSync(path, `${text.join("\n")}\n[run]\nmeasures_log=${SCRATCH}/measures.log\n`, { mode: 0o600 });
  return path;
}

function local(name: string, tree: string, more: Sections): string {
  const copies = join(OUT, "copies");
  return configure(name, {
    source: { backup_dirs: tree },
    destination: { backup_destination: "local" },
    local: { backup_dir: copies },
    retention: { daily_copies: "1" },
    ...more,
  });
}

function emptyOut(): void {
  rmSync(OUT, { recursive: true, force: true });
  mkdirSync(OUT, { recursive: true });
}

function ours(config: string): Subject {
  const argv = [PROGRAM, "--config", config, "backup", "daily", "--lock-file", join(SCRATCH, "lock")];
  return { name: "twindb-backup", argv, before: emptyOut };
}

function shell(name: string, script: string, before = emptyOut): Subject {
  return { name, argv: ["bash", "-c", `set -o pipefail; ${script}`], before };
}

async function report(title: string, subjects: readonly Subject[], rounds = ROUNDS): Promise<void> {
  print(title);
  for (const row of await compare(subjects, rounds)) print(row);
}

async function localAgainstShell(tree: string, program: string, filter: string): Promise<void> {
  const tar = `tar cf - ${tree} 2>/dev/null | ${filter}`;
  await report(`local, ${program}, ${tree.split("-").at(-1)} MB mixed`, [
    ours(
      local(program, tree, {
        compression: { program, threads: CPUS, ...(program === "zstd" ? {} : { level: "6" }) },
      }),
    ),
    shell("the same with its checksum", `${tar} | tee ${OUT}/f | sha256sum > ${OUT}/sum`),
    shell("the same without", `${tar} > ${OUT}/f`),
  ]);
}

const groups: Record<string, () => Promise<void>> = {
  async start() {
    emptyOut();
    await makeCopies(join(OUT, "copies"), 1000);
    const config = local("start", OUT, {});
    const nothing = join(SCRATCH, "nothing.mjs");
    writeFileSync(nothing, "");
    const node = process.execPath;
    const [empty = 0, version = 0, ls = 0] = medians(
      [
        [node, nothing],
        [PROGRAM, "--version"],
        [PROGRAM, "--config", config, "ls"],
      ],
      ROUNDS * 8,
    );
    print("start, medians");
    print(`  an empty Node program                      ${empty.toFixed(1)} ms`);
    print(
      `  twindb-backup --version                    ${version.toFixed(1)} ms, ${(version / empty).toFixed(2)} of it`,
    );
    print(
      `  twindb-backup ls, 1,000 copies             ${ls.toFixed(1)} ms, twice it and ${(ls - 2 * empty).toFixed(1)} ms`,
    );
  },
  async local() {
    const [small, large] = [makeMixed(SCRATCH, 2048), makeMixed(SCRATCH, 512)];
    await localAgainstShell(small, "zstd", `zstd -3 -T${CPUS} -q -c`);
    await localAgainstShell(large, "pigz", `pigz -6 -p ${CPUS} -c`);
    await localAgainstShell(large, "gzip", "gzip -6 -c");
  },
  async restore() {
    const tree = makeMixed(SCRATCH, 2048);
    emptyOut();
    const config = local("restore", tree, { compression: { program: "zstd" } });
    execFileSync(PROGRAM, ["--config", config, "backup", "daily", "--lock-file", join(SCRATCH, "lock")]);
    const listed = execFileSync(PROGRAM, ["--config", config, "ls", "--json"], { encoding: "utf8" });
    const key = (JSON.parse(listed) as { copies: { key: string }[] }).copies[0]?.key ?? "";
    const object = join(OUT, "copies", key);
    const target = join(SCRATCH, "restored");
    const clear = () => rmSync(target, { recursive: true, force: true });
    await report("restore, zstd, 2048 MB mixed", [
      {
        name: "twindb-backup",
        argv: [PROGRAM, "--config", config, "restore", "file", key, "--dst", target],
        before: clear,
      },
      shell(
        "zstd | tar, with sha256sum",
        `mkdir ${target}; sha256sum ${object} > ${SCRATCH}/sum; zstd -dc ${object} | tar xf - -C ${target}`,
        clear,
      ),
      shell("zstd | tar", `mkdir ${target}; zstd -dc ${object} | tar xf - -C ${target}`, clear),
    ]);
    clear();
  },
  async small() {
    const tree = makeSmall(SCRATCH, 50_000);
    await report("50,000 small files, uncompressed", [
      ours(local("small", tree, { compression: { program: "none" } })),
      shell("tar", `tar cf - ${tree} 2>/dev/null > ${OUT}/f`),
    ]);
  },
  async ssh() {
    const tree = makeMixed(SCRATCH, 2048);
    emptyOut();
    const sshd = await startSshd();
    const config = configure("ssh", {
      source: { backup_dirs: tree },
      destination: { backup_destination: "ssh" },
      ssh: {
        backup_host: "127.0.0.1",
        ssh_port: String(sshd.port),
        ssh_user: "root",
        ssh_key: sshd.keyFile,
        known_hosts: sshd.knownHostsFile,
        backup_dir: join(OUT, "copies"),
      },
      compression: { program: "none" },
    });
    const ssh = `ssh -p ${sshd.port} -i ${sshd.keyFile} -o UserKnownHostsFile=${sshd.knownHostsFile} root@127.0.0.1`;
    const gcm = ssh.replace("ssh ", "ssh -c aes128-gcm@openssh.com ");
    const tar = `tar cf - ${tree} 2>/dev/null`;
    await report("ssh, uncompressed, 2048 MB mixed", [
      ours(config),
      shell("tar | ssh, its default cipher", `${tar} | ${ssh} 'cat > ${OUT}/f'`),
      shell("tar | ssh, aes128-gcm", `${tar} | ${gcm} 'cat > ${OUT}/f'`),
      shell("tar | ssh, aes128-gcm, sha256sum there", `${tar} | ${gcm} 'tee ${OUT}/f | sha256sum'`),
    ]);
    await sshd.stop();
  },
  s3() {
    return benchS3({ scratch: SCRATCH, out: OUT, program: PROGRAM, cpus: CPUS, configure, report, shell });
  },
  mysql() {
    return benchMysql({ scratch: SCRATCH, out: OUT, program: PROGRAM, cpus: CPUS, configure, report, shell });
  },
  replay() {
    return benchReplay({ report, shell });
  },
  async memory() {
    for (const megabytes of [2048, 8192]) {
      const tree = makeMixed(SCRATCH, megabytes);
      const filter = `zstd -3 -T${CPUS} -q -c`;
      await report(
        `memory and time, local, zstd, ${megabytes} MB mixed`,
        [
          ours(local("memory", tree, { compression: { program: "zstd" } })),
          shell(
            "the same with its checksum",
            `tar cf - ${tree} 2>/dev/null | ${filter} | tee ${OUT}/f | sha256sum > ${OUT}/sum`,
          ),
        ],
        Math.min(ROUNDS, 3),
      );
      if (megabytes > 2048) rmSync(tree, { recursive: true });
    }
  },
  async sample() {
    const tree = makeMixed(SCRATCH, 512);
    const home = join(SCRATCH, "gnupg");
    mkdirSync(home, { recursive: true, mode: 0o700 });
    const gpg = ["--homedir", home, "--batch", "--quiet", "--passphrase", ""];
    if (statSync(join(home, "pubring.kbx"), { throwIfNoEntry: false }) === undefined) {
      execFileSync("gpg", [...gpg, "--quick-gen-key", "bench@example.org", "default", "default", "never"], {
        stdio: "ignore",
      });
    }
    const encrypt = `gpg --homedir ${home} --batch --trust-model always -r bench@example.org --encrypt`;
    await report(
      "the sample config's default (zstd, gpg) against the predecessor's (gzip -9, gpg), 512 MB mixed",
      [
        ours(
          local("sample", tree, {
            compression: { program: "zstd" },
            gpg: { recipient: "bench@example.org", homedir: home },
          }),
        ),
        shell("tar | gzip -9 | gpg", `tar cf - ${tree} 2>/dev/null | gzip -9 | ${encrypt} > ${OUT}/f`),
      ],
      Math.min(ROUNDS, 3),
    );
    execFileSync("gpgconf", ["--homedir", home, "--kill", "all"]);
  },
};

mkdirSync(SCRATCH, { recursive: true });
const wanted = process.argv.slice(2);
for (const [name, group] of Object.entries(groups)) {
  if (wanted.length === 0 || wanted.includes(name)) await group();
}
rmSync(OUT, { recursive: true, force: true });

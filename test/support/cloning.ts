import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Result, RunOptions, Sandbox } from "./cli.ts";
import type { Database } from "./servers/database.ts";
import { startWriter, type Writer } from "./servers/load.ts";
import { knownHosts, type Machine, type MachineOptions, startMachines } from "./servers/machine.ts";

/** A product whose server runs on the first of two hosts, and its data directory that nobody has used yet. */
export type CloneWorldOptions = {
  readonly sandbox: Sandbox;
  readonly client: string;
  readonly server: string;
  readonly lines: readonly string[];
  readonly initialise: (datadir: string) => void;
  /** Statements that let the users of the backup and of replication in. */
  readonly users: string;
  readonly machine?: Pick<MachineOptions, "mounts" | "path">;
  /** The destination has a unit for its server, or what looks like one: no systemd runs in the hosts. */
  readonly hasUnit?: boolean;
};

export const BACKUP_PASSWORD = `b4ck"up\\ s#cret`;
export const REPLICATION_PASSWORD = "r3pl'ica s\\cret";

/** What the replica has of its own. */
export const DROP_IN = "/etc/mysql/conf.d/zz-twindb-replica.cnf";

/** Two hosts: on one a server works under load, on the other a program is installed and its data directory is empty. */
export type CloneWorld = {
  readonly source: Machine;
  readonly destination: Machine;
  /** Run statements on the server of a host, as its administrator. */
  readonly sql: (machine: Machine, text: string) => Promise<string>;
  /** Run the clone from the source's network. */
  readonly clone: (words?: readonly string[], options?: RunOptions) => Promise<Result>;
  readonly startWriter: () => Promise<Writer>;
  /** End the server of a host, if it runs, and start it again. */
  readonly restart: (machine: Machine) => Promise<void>;
  /** All that there is of the destination's data and config, and whether anything works on it. */
  readonly look: () => string;
  stop(): Promise<void>;
};

export async function openCloneWorld(options: CloneWorldOptions): Promise<CloneWorld> {
  const { sandbox, client, server } = options;
  const files = {
    "mysql/my.cnf": "# The administrator's own words.\n!includedir /etc/mysql/conf.d/\n",
    "mysql/conf.d/server.cnf": ["[mysqld]   # and these", ...options.lines, ""].join("\n"),
  };
  const common = { ...options.machine };
  const [source, destination] = await startMachines(
    { ...common, name: "db1", address: "10.231.7.1", files },
    { ...common, name: "db2", address: "10.231.7.2", files: { "mysql/my.cnf": "# The package's.\n" } },
  );
  for (const { root } of [source, destination]) {
    const script = `#!/bin/sh\nsetsid ${server} --user=mysql "$@" </dev/null >/var/lib/server.log 2>&1 &\n`;
    writeFileSync(join(root, "etc", "start-server"), script, { mode: 0o755 });
    chmodSync(join(root, "etc", "start-server"), 0o755);
  }
  if (options.hasUnit === true) layUnit(destination);
  options.initialise(join(source.root, "lib", "mysql"));
  source.sh("chown -R mysql: /var/lib/mysql; /etc/start-server");
  destination.sh("mkdir -m 750 /var/lib/mysql; chown mysql: /var/lib/mysql");
  const sql = (machine: Machine, text: string) => runClient([...machine.inside, client], text);
  await untilReady(() => sql(source, "SELECT 1")).catch((cause: unknown) => {
    throw new Error(source.sh("tail -n 20 /var/lib/server.log"), { cause });
  });
  await sql(source, options.users);
  configure(sandbox, [source, destination]);
  return {
    source,
    destination,
    sql,
    clone: (words = [], run = {}) => {
      const { env, ...rest } = run;
      const isGiven = options.hasUnit === true || words.includes("--start-command");
      const commands = isGiven ? [] : ["--start-command", "/etc/start-server", "--stop-command", STOP];
      return sandbox.run(["clone", "mysql", source.address, destination.address, ...words, ...commands], {
        wrapper: ["nsenter", "-t", String(source.pid), "-n", "--"],
        env: { TWINDB_REPLICATION_PASSWORD: REPLICATION_PASSWORD, ...env },
        ...rest,
      });
    },
    startWriter: () => startWriter(writable(source, client, sql)),
    restart: async (machine) => {
      const pid = "/run/mysqld/mysqld.pid";
      machine.sh(`if kill $(cat ${pid}) 2>/dev/null; then ${until(`[ ! -e ${pid} ]`)}; fi; /etc/start-server`);
      await untilReady(() => sql(machine, "SELECT 1"));
    },
    look: () =>
      destination.sh(
        `find /etc/mysql /var/lib ! -name server.log -printf "%p %y %m %u:%g %l\\n" | sort; cat /etc/mysql/my.cnf; for p in /proc/[0-9]*; do readlink $p/exe || :; done | grep -c -e mariadb -e mbstream -e ld-linux -e tar -e mysql || :`,
      ),
    stop: async () => {
      await source.stop();
      await destination.stop();
    },
  };
}

/** A script that waits, at most for half a minute, until a test is true. */
export function until(test: string): string {
  return `n=0; until ${test}; do n=$((n + 1)); [ $n -lt 300 ] || exit 1; sleep 0.1; done`;
}

/** A script that kills the processes of a host whose command line begins so. */
export function killing(commandLine: string): string {
  return `for p in /proc/[0-9]*; do case $(tr '\\0' ' ' <$p/cmdline) in "${commandLine}"*) kill -9 \${p#/proc/};; esac; done`;
}

/** Collect the command lines of all programs that run from now on until it is stopped. */
export function watchCommandLines(): { stop(): string } {
  const seen = new Set<string>();
  const timer = setInterval(() => {
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      try {
        seen.add(readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " "));
      } catch {
        // It ended between the two looks.
      }
    }
  }, 20);
  return {
    stop: () => {
      clearInterval(timer);
      return [...seen].join("\n");
    },
  };
}

const STOP = "kill $(cat /run/mysqld/mysqld.pid)";

/** What answers as systemd does where it runs: a unit `mariadb`, of which `start` returns when the server answers. */
function layUnit({ root }: Machine): void {
  const started = until("[ -S /run/mysqld/mysqld.sock ]");
  const lines = [
    "#!/bin/sh",
    'case "$1 ${2%.service}" in',
    '"cat mariadb") exit 0;;',
    `"start mariadb") /etc/start-server; ${started}; exit 0;;`,
    `"stop mariadb") ${STOP}; exit 0;;`,
    "esac; exit 1",
    "",
  ];
  mkdirSync(join(root, "etc", "bin"));
  writeFileSync(join(root, "etc", "bin", "systemctl"), lines.join("\n"), { mode: 0o755 });
}

/** What the load needs of a database; its client runs on that host. */
function writable(machine: Machine, client: string, sql: CloneWorld["sql"]): Database {
  const wrapper = join(machine.root, "client");
  writeFileSync(wrapper, `#!/bin/sh\nshift\nexec ${machine.inside.join(" ")} ${client} "$@"\n`, { mode: 0o755 });
  const database = { root: machine.root, client: wrapper, defaultsFile: "", sql: (text: string) => sql(machine, text) };
  return database as unknown as Database;
}

function configure(sandbox: Sandbox, machines: readonly [Machine, Machine]): void {
  writeFileSync(sandbox.path("known_hosts"), knownHosts(machines));
  const password = BACKUP_PASSWORD.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
  writeFileSync(sandbox.path("my.cnf"), `[client]\nuser=backup\npassword="${password}"\n`, { mode: 0o600 });
  sandbox.configure({
    destination: { backup_destination: "local" },
    local: { backup_dir: sandbox.copies },
    ssh: { ssh_user: "root", ssh_key: machines[0].keyFile, known_hosts: sandbox.path("known_hosts") },
    mysql: { mysql_defaults_file: sandbox.path("my.cnf") },
  });
}

async function untilReady(ask: () => Promise<string>): Promise<void> {
  for (let tries = 0; tries < 150; tries += 1) {
    if ((await ask().catch(() => "")) === "1") return;
    await pause(100);
  }
  throw new Error(`the server does not answer: ${await ask()}`);
}

function runClient([file = "", ...words]: readonly string[], text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      file,
      [...words, "--no-defaults", "--user=root", "--socket=/run/mysqld/mysqld.sock", "--batch", "--skip-column-names"],
      (error, stdout) => {
        if (error === null) resolve(stdout.replace(/\n$/, ""));
        else reject(error);
      },
    );
    child.stdin?.on("error", () => {});
    child.stdin?.end(text);
  });
}

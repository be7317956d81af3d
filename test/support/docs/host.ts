import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { isRoot } from "../servers/database.ts";
import { layMariadbData } from "../servers/mariadb.ts";

const HOME = new URL("../../../", import.meta.url).pathname;

/** Directories that the host has for itself, empty at first. */
const OWN = ["home", "mnt", "opt", "root", "run", "srv", "usr/local/sbin", "var/backup", "var/lib", "var/www"] as const;

/** The names that documents use, and where these hosts are. */
const NAMES = { db1: "127.0.0.1", db2: "127.0.0.2", "backup.example.com": "127.0.0.3" } as const;

export type HostOptions = {
  readonly name?: keyof typeof NAMES;
  /** `outside`: the network of the tests, where their stores are; else one of its own, or that of another such host. */
  readonly network?: "outside" | DocumentedHost;
  /** Another host, whose /var/backup it sees as its own. */
  readonly backups?: DocumentedHost;
};

/** Whether such hosts can be had: by root, where namespaces can; where REQUIRE is set their lack is a failure. */
export function hasHosts(): boolean {
  const works = isRoot() && spawnSync("unshare", ["--mount", "--net", "--uts", "--pid", "--fork", "true"]).status === 0;
  if (!works && process.env["REQUIRE"] !== undefined) throw new Error("namespaces are missing");
  return works;
}

/** What came of a script. */
export type Outcome = { readonly exitCode: number | null; readonly stdout: string; readonly stderr: string };

/**
 * A host as the documents describe it, so that their commands run as they are written: called db1, with a copy of this one's /etc, the program
 * installed, and its own /root, /home, /srv, /run, /var/lib and /var/backup. No systemd runs there: what documents ask of it a script does.
 * It ends with the test runner, and all that was started or written in it.
 */
export class DocumentedHost implements AsyncDisposable {
  readonly name: keyof typeof NAMES;
  readonly #root: string;
  readonly #child: ChildProcess;
  #pid = 0;

  private constructor(name: keyof typeof NAMES, root: string, child: ChildProcess) {
    this.name = name;
    this.#root = root;
    this.#child = child;
  }

  static async start({ name = "db1", network, backups }: HostOptions = {}): Promise<DocumentedHost> {
    const root = mkdtempSync(join(tmpdir(), "documented-host-"));
    lay(root, name);
    const isJoining = network instanceof DocumentedHost;
    const net = isJoining ? ["nsenter", "-t", String(network.#pid), "-n"] : [];
    const own = ["--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"];
    const flags = network === undefined ? [...own, "--net"] : own;
    const shared = backups?.path("/var/backup");
    const script = setUp(root, { name, shared, loopback: network === undefined });
    const words = ["--pdeathsig", "KILL", "--", ...net, "unshare", ...flags, "bash", "--norc", "-euc", script];
    const child = spawn("setpriv", words, { stdio: ["ignore", "ignore", "inherit"], cwd: "/" });
    const host = new DocumentedHost(name, root, child);
    host.#pid = await untilUp(child, root);
    return host;
  }

  /** Where a path of one of its own directories lies outside. */
  path(path: string): string {
    return join(this.#root, path);
  }

  /** Put a file there, for root only unless it has another mode. */
  write(path: string, text: string, mode = 0o600): void {
    mkdirSync(dirname(this.path(path)), { recursive: true });
    writeFileSync(this.path(path), text, { mode });
  }

  /** Run a shell script there, as root. */
  run(script: string): Promise<Outcome> {
    const inside = ["-t", String(this.#pid), "-m", "-u", "-n", "-p", "--", "bash", "--norc", "-euo", "pipefail"];
    const child = spawn("nsenter", [...inside, "-c", `cd /root\n${script}`], {
      stdio: ["ignore", "pipe", "pipe"],
      cwd: "/",
      env: {
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        HOME: "/root",
        TMPDIR: "/var/lib/tmp",
        ...(process.env["TZ"] !== undefined && { TZ: process.env["TZ"] }),
      },
    });
    const output = { stdout: "", stderr: "" };
    child.stdout.on("data", (chunk: Buffer) => (output.stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (output.stderr += chunk.toString()));
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (exitCode) => resolve({ exitCode, ...output }));
      child.once("exit", () => {
        const late = () => reject(new Error(`${script}\nleft something behind that holds its output`));
        setTimeout(late, 10_000).unref();
      });
    });
  }

  /** Run a script that has to succeed. @returns what it printed. */
  async sh(script: string): Promise<string> {
    const { exitCode, stdout, stderr } = await this.run(script);
    if (exitCode === 0) return stdout;
    throw new Error(`${script}\nended with ${exitCode}:\n${stdout}${stderr}`);
  }

  /** Put a data directory there that nobody has used yet, and a config of a server that has further lines; start it. */
  async startServer(lines: readonly string[] = []): Promise<void> {
    layMariadbData(this.path("/var/lib/mysql"));
    this.write("/etc/mysql/my.cnf", serverConfig(NAMES[this.name], lines), 0o644);
    await this.sh("chown -R mysql: /var/lib/mysql; systemctl start mariadb");
  }

  /** Run statements on its server as the administrator. @returns rows: values parted by tabs. */
  async sql(text: string): Promise<string> {
    this.write("/root/statements.sql", text);
    return (await this.sh("mariadb --batch --skip-column-names </root/statements.sql")).trimEnd();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGKILL");
    await ended;
    while (existsSync(`/proc/${this.#pid}`)) await pause(10);
    rmSync(this.#root, { recursive: true, force: true });
  }
}

function lay(root: string, name: keyof typeof NAMES): void {
  chmodSync(root, 0o755);
  for (const place of OWN) mkdirSync(join(root, place), { recursive: true });
  mkdirSync(join(root, "etc"));
  execFileSync("cp", ["-a", "/etc/.", join(root, "etc")]);
  rmSync(join(root, "etc/mysql"), { recursive: true, force: true });
  const hosts = Object.entries(NAMES).map(([host, address]) => `${address} ${host}`);
  writeFileSync(join(root, "etc/hosts"), `127.0.0.1 localhost\n${hosts.join("\n")}\n`);
  writeFileSync(join(root, "etc/hostname"), `${name}\n`);
  mkdirSync(join(root, "var/lib/tmp"));
  chmodSync(join(root, "var/lib/tmp"), 0o1777);
  writeFileSync(join(root, "usr/local/sbin/systemctl"), SYSTEMCTL, { mode: 0o755 });
}

type SetUp = { readonly name: string; readonly shared: string | undefined; readonly loopback: boolean };

function setUp(root: string, { name, shared, loopback }: SetUp): string {
  return [
    `hostname ${name}`,
    loopback ? "ip link set lo up" : "",
    // Before anything hides where this project lies.
    `mkdir ${join(root, "opt/twindb-backup")}`,
    `mount --bind ${HOME} ${join(root, "opt/twindb-backup")}`,
    "mkdir -p /var/backup /var/www",
    ...OWN.map((place) => `mount --rbind ${join(root, place)} /${place}`),
    shared === undefined ? "" : `mount --bind ${shared} /var/backup`,
    `mount --bind ${join(root, "etc")} /etc`,
    "ln -s /opt/twindb-backup/bin/twindb-backup /usr/local/sbin/",
    "mkdir /run/sshd /run/mysqld; chown mysql: /run/mysqld",
    `touch ${join(root, "up")}`,
    // The first process has to take note of those that end without their parent.
    "sleep infinity & while :; do wait; done",
  ].join("\n");
}

async function untilUp(child: ChildProcess, root: string): Promise<number> {
  for (let tries = 0; tries < 400; tries += 1) {
    await pause(25);
    if (child.exitCode !== null) break;
    if (!existsSync(join(root, "up"))) continue;
    return lastDescendant(child.pid ?? 0);
  }
  throw new Error("the host did not start");
}

/** The first process of the host: programs before it replaced themselves, but for the one that waits for it. */
function lastDescendant(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ")[0]);
}

function serverConfig(address: string, lines: readonly string[]): string {
  return [
    "[client-server]",
    "socket=/run/mysqld/mysqld.sock",
    "[mysqld]",
    "user=mysql",
    "datadir=/var/lib/mysql",
    "pid-file=/run/mysqld/mysqld.pid",
    `bind-address=${address}`,
    `server_id=${address.split(".").at(-1)}`,
    "log_bin=binlog",
    "binlog_format=ROW",
    "gtid_strict_mode=1",
    "log_slave_updates",
    "skip-name-resolve",
    "innodb_buffer_pool_size=24M",
    "innodb_log_file_size=16M",
    ...lines,
    "",
  ].join("\n");
}

/** What documents ask of systemd: a database server, and services that were installed. */
const SYSTEMCTL = `#!/bin/bash
set -eu
until_true() { for n in {1..600}; do "$@" && return; sleep 0.05; done; tail -n 20 /run/mariadb.log >&2; return 1; }
answers() { mariadb-admin --silent ping >/dev/null 2>&1; }
is_gone() { [ ! -e /run/mysqld/mysqld.pid ]; }
start() {
  if [ -e /run/mariadb-wsrep-new-cluster ]; then . /run/mariadb-wsrep-new-cluster; fi
  setsid mariadbd \${_WSREP_NEW_CLUSTER:-} </dev/null >>/run/mariadb.log 2>&1 &
  until_true answers
}
stop() { is_gone || kill "$(cat /run/mysqld/mysqld.pid)"; until_true is_gone; }
case "$*" in
"start mariadb") start ;;
"stop mariadb") stop ;;
"restart mariadb" | "restart mariadb.service") stop; start ;;
"reload ssh") kill -HUP "$(cat /run/sshd.pid)" ;;
"enable --now "*)
  command=$(sed -n 's/^ExecStart=//p' "/etc/systemd/system/\${3%.service}.service")
  setsid $command </dev/null >>/run/service.log 2>&1 & ;;
*) echo "systemctl $*: nobody taught me that" >&2; exit 1 ;;
esac
`;

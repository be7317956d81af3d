import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { isRoot } from "./database.ts";

/** What a host is given besides what every one has: its config files, and further directories in place of its own. */
export type MachineOptions = {
  readonly name: string;
  readonly address: string;
  /** Files below /etc, by path. */
  readonly files: Readonly<Record<string, string>>;
  /** Directories of this host that it sees elsewhere, by where. */
  readonly mounts?: Readonly<Record<string, string>>;
  readonly path?: string;
};

/**
 * A host of its own in namespaces: with its own network, processes, name, /etc, /run, /tmp and /var/lib, and an sshd on port 22 that lets the user of the
 * test in as root. It ends with the test runner, and everything in it.
 */
export type Machine = {
  readonly name: string;
  readonly address: string;
  /** Its scratch directory here; `lib` below it is its /var/lib. */
  readonly root: string;
  /** Pid of its first process, as it is here. */
  readonly pid: number;
  readonly keyFile: string;
  /** Run a shell script there. @returns what it printed. @throws when it fails. */
  sh(script: string): string;
  /** Words before a command that have it run there, but for its processes. */
  readonly inside: readonly string[];
  stop(): Promise<void>;
};

const SSHD = "/usr/sbin/sshd";

/** Whether hosts can be made: by root, where namespaces and sshd are to be had. */
export function hasMachines(): boolean {
  const works =
    isRoot() &&
    existsSync(SSHD) &&
    spawnSync("unshare", ["--mount", "--net", "--uts", "--pid", "--fork", "true"]).status === 0;
  if (!works && process.env["REQUIRE"] !== undefined) throw new Error("namespaces or sshd are missing");
  return works;
}

/** Start two hosts that are joined by a cable. */
export async function startMachines(first: MachineOptions, second: MachineOptions): Promise<[Machine, Machine]> {
  const key = mkdtempSync(join(tmpdir(), "machine-key-"));
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", join(key, "client")]);
  const one = await start(first, join(key, "client"));
  const two = await start(second, join(key, "client"));
  const there = ["-t", String(one.pid), "-n", "--"];
  execFileSync("nsenter", [
    ...there,
    "ip",
    "link",
    "add",
    "v0",
    "type",
    "veth",
    "peer",
    "name",
    "v0",
    "netns",
    String(two.pid),
  ]);
  for (const { pid, address } of [one, two]) {
    const inside = ["-t", String(pid), "-n", "--", "ip"];
    execFileSync("nsenter", [...inside, "address", "add", `${address}/24`, "dev", "v0"]);
    execFileSync("nsenter", [...inside, "link", "set", "v0", "up"]);
  }
  return [one, { ...two, stop: async () => two.stop().then(() => rmSync(key, { recursive: true })) }];
}

/** A known_hosts with the keys of these. */
export function knownHosts(machines: readonly Machine[]): string {
  return machines
    .map(
      ({ address, root }) =>
        `${address} ${readFileSync(join(root, "host.pub"), "utf8").split(" ").slice(0, 2).join(" ")}\n`,
    )
    .join("");
}

async function start(options: MachineOptions, keyFile: string): Promise<Machine> {
  const root = mkdtempSync(join(tmpdir(), "machine-"));
  lay(root, options, keyFile);
  const unshared = ["--mount", "--net", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "--", "sh", "-ec"];
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", "unshare", ...unshared, setUp(root, options)], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const pid = await untilUp(child, root);
  const sh = (script: string) =>
    execFileSync("nsenter", ["-t", String(pid), "-m", "-n", "-u", "-p", "--", "sh", "-ec", script], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    }).trimEnd();
  return {
    name: options.name,
    address: options.address,
    root,
    pid,
    keyFile,
    sh,
    inside: ["nsenter", "-t", String(pid), "-m", "-n", "-u", "--"],
    stop: async () => {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
      await untilGone(pid);
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function lay(
  root: string,
  { files, path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" }: MachineOptions,
  keyFile: string,
): void {
  execFileSync("chmod", ["755", root]);
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", join(root, "host")]);
  for (const name of ["lib", "etc", "home"]) mkdirSync(join(root, name), { mode: 0o755 });
  execFileSync("cp", ["-a", "/etc/.", join(root, "etc")]);
  rmSync(join(root, "etc", "mysql"), { recursive: true, force: true });
  rmSync(join(root, "etc", "my.cnf"), { force: true });
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(root, "etc", name, ".."), { recursive: true });
    writeFileSync(join(root, "etc", name), text);
  }
  const lines = [
    "Port 22",
    `HostKey ${join(root, "host")}`,
    "PidFile none",
    `AuthorizedKeysFile ${keyFile}.pub`,
    "PermitRootLogin prohibit-password",
    "PasswordAuthentication no",
    "UsePAM no",
    "StrictModes no",
    "MaxStartups 100",
    `SetEnv HOME=${join(root, "home")} PATH=${path}`,
  ];
  writeFileSync(join(root, "sshd_config"), `${lines.join("\n")}\n`);
}

function setUp(root: string, { name, mounts = {} }: MachineOptions): string {
  return [
    `hostname ${name}`,
    "ip link set lo up",
    ...Object.entries(mounts).map(([at, from]) => `mount --bind ${from} ${at}`),
    `mount --bind ${join(root, "lib")} /var/lib`,
    `mount --bind ${join(root, "etc")} /etc`,
    "mount -t tmpfs none /run",
    "mkdir -p /run/sshd && mkdir /run/mysqld && chown mysql /run/mysqld",
    `${SSHD} -f ${join(root, "sshd_config")} -E ${join(root, "sshd.log")}`,
    `touch ${join(root, "up")}`,
    // The first process has to take note of those that end without their parent.
    "sleep infinity & while :; do wait; done",
  ].join("; ");
}

async function untilUp(child: ChildProcess, root: string): Promise<number> {
  for (let tries = 0; tries < 400; tries += 1) {
    await pause(25);
    if (child.exitCode !== null) break;
    if (!existsSync(join(root, "up"))) continue;
    return Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim());
  }
  throw new Error("the host did not start");
}

async function untilGone(pid: number): Promise<void> {
  while (existsSync(`/proc/${pid}`)) await pause(10);
}

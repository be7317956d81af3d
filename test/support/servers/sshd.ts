import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { freePort } from "./ports.ts";

const SSHD = "/usr/sbin/sshd";
const SFTP_SERVER = "/usr/lib/openssh/sftp-server";

/** A private sshd on loopback, and what a client needs to log in to it as the user of the test. */
export type Sshd = {
  readonly port: number;
  readonly user: string;
  readonly keyFile: string;
  readonly knownHostsFile: string;
  /** Scratch directory that goes with `stop()`. */
  readonly root: string;
  /** Ids of the processes that serve connections now. */
  connections(): number[];
  /** Start again with a new host key, on the same port. */
  changeHostKey(): Promise<void>;
  stop(): Promise<void>;
};

export type SshdOptions = {
  /** Further lines of sshd_config, such as `ForceCommand internal-sftp`. */
  readonly lines?: readonly string[];
  /** SFTP requests the server refuses and does not offer, such as `posix-rename,fsync`. */
  readonly withoutSftp?: string;
  /** Shell code that runs before whatever the client asked for. */
  readonly wrapper?: string;
};

/** The section `[ssh]` of a config that stores into a directory of a server, reached on `port`. */
export function sshSection(
  { port, user, keyFile, knownHostsFile }: Pick<Sshd, "port" | "user" | "keyFile" | "knownHostsFile">,
  directory: string,
): Record<string, string | number> {
  return {
    backup_host: "127.0.0.1",
    port,
    ssh_user: user,
    ssh_key: keyFile,
    known_hosts: knownHostsFile,
    backup_dir: directory,
  };
}

/** Whether tests of SSH can run; where REQUIRE is set a missing server is a failure instead. */
export function hasSshd(): boolean {
  const present = existsSync(SSHD) && existsSync(SFTP_SERVER);
  if (!present && process.env["REQUIRE"] !== undefined) throw new Error(`${SSHD} or ${SFTP_SERVER} is missing`);
  return present;
}

/** Start a private sshd. */
export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  if (userInfo().uid === 0) mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
  const root = mkdtempSync(join(tmpdir(), "sshd-"));
  const port = await freePort();
  makeKey(join(root, "client"));
  writeFileSync(join(root, "authorized_keys"), readFileSync(join(root, "client.pub")));
  if (options.wrapper !== undefined) {
    const script = `#!/bin/sh\n${options.wrapper}\nexec /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n`;
    writeFileSync(join(root, "wrapper"), script, { mode: 0o755 });
  }
  writeFileSync(join(root, "config"), config(root, port, options));
  let daemon = await start(root, port);
  return {
    port,
    user: userInfo().username,
    keyFile: join(root, "client"),
    knownHostsFile: join(root, "known_hosts"),
    root,
    connections: () => descendants(daemon.pid),
    changeHostKey: async () => {
      const known = readFileSync(join(root, "known_hosts"));
      await end(daemon);
      daemon = await start(root, port);
      writeFileSync(join(root, "known_hosts"), known);
    },
    stop: async () => {
      await end(daemon);
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function config(root: string, port: number, { lines = [], withoutSftp, wrapper }: SshdOptions): string {
  const refused = withoutSftp === undefined ? "" : ` -P ${withoutSftp}`;
  return [
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
    `HostKey ${join(root, "host")}`,
    "PidFile none",
    `AuthorizedKeysFile ${join(root, "authorized_keys")}`,
    "PermitRootLogin prohibit-password",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "UsePAM no",
    "StrictModes no",
    "PrintMotd no",
    // Keeps the login files of whoever runs the tests out of it; they may print, and take their time.
    `SetEnv HOME=${root}`,
    "MaxStartups 100",
    `Subsystem sftp ${SFTP_SERVER}${refused}`,
    ...(wrapper === undefined ? [] : [`ForceCommand ${join(root, "wrapper")}`]),
    ...lines,
    "",
  ].join("\n");
}

function makeKey(file: string): void {
  rmSync(file, { force: true });
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", file], { stdio: "ignore" });
}

async function start(root: string, port: number): Promise<ChildProcess> {
  makeKey(join(root, "host"));
  const [type, key] = readFileSync(join(root, "host.pub"), "utf8").split(" ");
  writeFileSync(join(root, "known_hosts"), `[127.0.0.1]:${port} ${type} ${key}\n`);
  // It must not outlive a test runner that is killed.
  const sshd = [SSHD, "-D", "-f", join(root, "config"), "-E", join(root, "log")];
  const daemon = spawn("setpriv", ["--pdeathsig", "KILL", "--", ...sshd], { stdio: "ignore" });
  for (let tries = 0; !(await answers(port)); tries += 1) {
    if (daemon.exitCode !== null || tries > 200) throw new Error(readFileSync(join(root, "log"), "utf8"));
    await pause(25);
  }
  return daemon;
}

async function end(daemon: ChildProcess): Promise<void> {
  const children = descendants(daemon.pid);
  const isRunning = daemon.exitCode === null && daemon.signalCode === null;
  const exited = isRunning ? new Promise((resolve) => daemon.once("exit", resolve)) : undefined;
  daemon.kill("SIGKILL");
  await exited;
  signalAll(children, "SIGKILL");
}

/** Send a signal to processes, whichever of them are still there. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended with its connection.
    }
  }
}

function descendants(pid: number | undefined): number[] {
  if (pid === undefined) return [];
  const file = `/proc/${pid}/task/${pid}/children`;
  if (!existsSync(file)) return [];
  const children = readFileSync(file, "utf8").trim().split(" ").filter(Boolean).map(Number);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("data", () => resolve(socket.destroy() !== undefined));
    socket.once("error", () => resolve(false));
    socket.once("close", () => resolve(false));
  });
}

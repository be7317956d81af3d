import { userInfo } from "node:os";
import { join } from "node:path";
import { BackupError } from "../domain/errors.ts";

/** Whom to log in to, how, and which host keys to trust. */
export type SshTarget = {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Private key; tried after the agent's keys, when the file exists. */
  readonly keyFile: string;
  /** `undefined` means the user's and the system's files. */
  readonly knownHostsFile: string | undefined;
  /** `accept-new` records the key of a host that is not known yet. A changed key is always refused. */
  readonly hostKeys: "strict" | "accept-new";
  /** A connection is lost after three of these without an answer. Default 10. */
  readonly keepAliveSeconds?: number;
};

/** Unanswered keep-alives after which a connection is lost. */
export const KEEP_ALIVE_COUNT = 3;

/** How long a connection may take until the login is done. */
export const READY_SECONDS = 20;

export function keepAliveSeconds({ keepAliveSeconds }: SshTarget): number {
  return keepAliveSeconds ?? 10;
}

/** For people: `root@db7:22`. */
export function describeTarget({ user, host, port }: SshTarget): string {
  return `${user}@${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Files that are read for known host keys; new keys are recorded in the first. */
export function knownHostsFiles({ knownHostsFile }: SshTarget): [string, ...string[]] {
  // OpenSSH takes the home directory of the account, not $HOME, and both must read the same file.
  return knownHostsFile === undefined
    ? [join(userInfo().homedir, ".ssh", "known_hosts"), "/etc/ssh/ssh_known_hosts"]
    : [knownHostsFile];
}

/**
 * Refuse names that a program could take for an option or a shell for syntax.
 * @throws {BackupError} CONFIG_INVALID
 */
export function checkTarget({ host, user, port }: SshTarget): void {
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(host) && !/^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9._-]+)?$/.test(host)) {
    throw unusable(host, "as a host: it must be a host name or an IP address");
  }
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]*\$?$/.test(user)) {
    throw unusable(user, "as a user of SSH: only letters, digits, dot, dash and underscore are allowed");
  }
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw unusable(String(port), "as a port of SSH: it must be 1 to 65535");
  }
}

function unusable(value: string, what: string): BackupError {
  return new BackupError("CONFIG_INVALID", `Cannot use ${JSON.stringify(value)} ${what}`, {
    hint: "Correct [ssh] in the config file.",
  });
}

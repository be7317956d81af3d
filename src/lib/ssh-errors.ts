import { BackupError } from "../domain/errors.ts";
import { fingerprint, keyType, knownName } from "./known-hosts.ts";
import { shellQuote } from "./shell-quote.ts";
import {
  describeTarget,
  KEEP_ALIVE_COUNT,
  keepAliveSeconds,
  knownHostsFiles,
  READY_SECONDS,
  type SshTarget,
} from "./ssh-target.ts";

/** What ssh2 adds to its errors: where it happened, and the system's code. */
export type SshFailure = Error & { readonly level?: string; readonly code?: string | number };

const SYSTEM_REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection was refused",
  ECONNRESET: "the connection was reset",
  EHOSTUNREACH: "there is no route to the host",
  ENETUNREACH: "the network is unreachable",
  ENOTFOUND: "the name is unknown",
  EAI_AGAIN: "the name cannot be looked up now",
  ETIMEDOUT: "it does not answer",
};

/** Why no session could be opened. */
export function connectFailure(failure: SshFailure, target: SshTarget): BackupError {
  if (failure.level === "client-authentication" || /authentication fail/i.test(failure.message)) {
    return loginRefused(failure, target);
  }
  return new BackupError("UNREACHABLE", `Cannot connect to "${describeTarget(target)}": ${reason(failure)}`, {
    hint: `Check that sshd runs on ${target.host}, that port ${target.port} is right and that no firewall is between.`,
    cause: failure,
    retryable: true,
  });
}

/** The connection of an open session ended without our doing. */
export function connectionLost(failure: SshFailure | undefined, target: SshTarget): BackupError {
  const silent = `it has not answered for ${keepAliveSeconds(target) * KEEP_ALIVE_COUNT} seconds`;
  const why =
    failure === undefined ? "the far side closed it" : failure.level === "client-timeout" ? silent : reason(failure);
  return new BackupError("UNREACHABLE", `Cannot keep the connection to "${describeTarget(target)}": ${why}`, {
    hint: "Check the network and the log of sshd, then run the command again.",
    cause: failure,
    retryable: true,
  });
}

/** The far side does not run commands. */
export function commandRefused(cause: Error, target: SshTarget): BackupError {
  return new BackupError("FAILED", `Cannot run a command on "${describeTarget(target)}": ${cause.message}`, {
    hint: "Check MaxSessions in sshd_config there, and that the account may run commands.",
    cause,
  });
}

/** The far side does not connect us to where a program listens. */
export function forwardRefused(
  cause: Error,
  address: { readonly path?: string; readonly host?: string; readonly port?: number },
  target: SshTarget,
): BackupError {
  const place = address.path ?? `${address.host}:${address.port}`;
  return new BackupError(
    "UNREACHABLE",
    `Cannot reach "${place}" through "${describeTarget(target)}": ${cause.message}`,
    {
      hint: "Check that the server listens there, and AllowTcpForwarding and AllowStreamLocalForwarding in sshd_config.",
      cause,
    },
  );
}

/** The host showed a key that is not trusted. */
export function hostKeyRefused(
  verdict: "unknown" | "changed" | "revoked",
  key: Uint8Array,
  target: SshTarget,
): BackupError {
  const [file] = knownHostsFiles(target);
  const shown = `its ${keyType(key)} key ${fingerprint(key)}`;
  const what = {
    unknown: `${shown} is not in "${file}"`,
    changed: `${shown} is not the one recorded in "${file}"`,
    revoked: `${shown} is revoked in "${file}"`,
  }[verdict];
  return new BackupError("NOT_PERMITTED", `Cannot trust "${describeTarget(target)}": ${what}`, {
    hint: hostKeyHint(verdict, file, target),
  });
}

function hostKeyHint(verdict: "unknown" | "changed" | "revoked", file: string, target: SshTarget): string {
  const scan = `ssh-keyscan -p ${target.port} ${target.host} >> ${shellQuote(file)}`;
  const forget = `ssh-keygen -R ${shellQuote(knownName(target))} -f ${shellQuote(file)}`;
  return {
    unknown: `Compare the fingerprint with the one on the host itself, then run: ${scan}`,
    changed: `Unless the host was reinstalled, somebody is in between; if it was, run: ${forget} && ${scan}`,
    revoked: "Give the host a new key; somebody else may hold this one.",
  }[verdict];
}

function loginRefused(cause: SshFailure, target: SshTarget): BackupError {
  return new BackupError(
    "NOT_PERMITTED",
    `Cannot log in to "${describeTarget(target)}": it refused the key "${target.keyFile}" and those of the agent`,
    { hint: `Add the public key to ~/.ssh/authorized_keys of "${target.user}" on ${target.host}.`, cause },
  );
}

function reason(failure: SshFailure): string {
  if (failure.level === "client-timeout") return `it did not answer within ${READY_SECONDS} seconds`;
  return SYSTEM_REASONS[String(failure.code)] ?? failure.message;
}

import { existsSync } from "node:fs";
import { BackupError } from "../domain/errors.ts";
import { type Command, CommandError } from "./command.ts";
import { FarError, type FarReason } from "./far-error.ts";
import {
  describeTarget,
  KEEP_ALIVE_COUNT,
  keepAliveSeconds,
  knownHostsFiles,
  READY_SECONDS,
  type SshTarget,
} from "./ssh-target.ts";

/** Fast with AES instructions first; together they are the defaults of OpenSSH, in another order. */
const CIPHERS =
  "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr";

/**
 * The system's ssh running one far command line, under the same rules as a session: same host, key files and
 * known hosts, no user configuration. The key of the host must be known by now.
 */
export function sshProgram(
  target: SshTarget,
  commandLine: string,
  { compress = false }: { readonly compress?: boolean } = {},
): Command {
  const interval = String(Math.max(1, Math.round(keepAliveSeconds(target))));
  const settings = {
    BatchMode: "yes",
    PreferredAuthentications: "publickey",
    IdentityFile: existsSync(target.keyFile) ? configWord(target.keyFile) : "none",
    StrictHostKeyChecking: "yes",
    UserKnownHostsFile: knownHostsFiles(target).map(configWord).join(" "),
    GlobalKnownHostsFile: "/dev/null",
    UpdateHostKeys: "no",
    ConnectTimeout: String(READY_SECONDS),
    ServerAliveInterval: interval,
    ServerAliveCountMax: String(KEEP_ALIVE_COUNT),
    ControlMaster: "no",
    ControlPath: "none",
    LogLevel: "ERROR",
    Compression: compress ? "yes" : "no",
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  const args = ["-F", "none", "-T", "-x", "-a", "-c", CIPHERS, ...options];
  return { file: "ssh", args: [...args, "-p", String(target.port), "-l", target.user, "--", target.host, commandLine] };
}

/** What went wrong when `failure` is the failure of that very ssh; other errors come back as they are. */
export function programFailure(failure: unknown, command: Command, target: SshTarget): unknown {
  if (!(failure instanceof CommandError) || failure.command !== command) return failure;
  const said = failure.stderrTail.trim().split("\n").at(-1) ?? "";
  // 255 is ssh's own; the far command's statuses are smaller.
  if (failure.exitCode !== 255 && failure.signal === null) {
    return new FarError(reasonOf(said), "run a far command", {
      said: said === "" ? failure.message : said,
      error: failure,
    });
  }
  const why = said === "" ? failure.message : said;
  return new BackupError("UNREACHABLE", `Cannot keep the connection to "${describeTarget(target)}": ${why}`, {
    hint: "Check the network and the log of sshd, then run the command again.",
    cause: failure,
    retryable: true,
  });
}

function reasonOf(said: string): FarReason {
  if (/No space left on device|quota exceeded/i.test(said)) return "full";
  return /Permission denied|Read-only file system/i.test(said) ? "denied" : "failure";
}

/** One word of a setting: ssh reads quotes, backslashes and percent signs in it. */
function configWord(path: string): string {
  return `"${path.replaceAll(/["\\]/g, String.raw`\$&`).replaceAll("%", "%%")}"`;
}

import { readFile } from "node:fs/promises";
import { secretsOf } from "../../config/config.ts";
import type { Config, MysqlOptions } from "../../config/options.ts";
import { BackupError } from "../../domain/errors.ts";
import type { ReplicationTls } from "../../domain/replication.ts";
import { Secret } from "../../domain/secret.ts";
import { cloneMysql as clone } from "../../job/clone-mysql.ts";
import type { SshTarget } from "../../lib/ssh-target.ts";
import { type LoginOptions, readDefaultsFile } from "../../mysql/defaults-file.ts";
import { openContext } from "../context.ts";
import { secondsOf } from "../duration.ts";
import type { Invocation } from "../invocation.ts";
import { mysqlBinaries } from "../mysql-reading.ts";
import { progressOn } from "../progress.ts";

/** The options of the command, as typed. */
export type CloneMysqlOptions = {
  readonly source: string;
  readonly destination: string;
  readonly netcatPort?: string;
  readonly replicationUser: string;
  readonly replicationPassword?: string;
  readonly replicationPasswordFile?: string;
  readonly replicationHost?: string;
  readonly compress?: true;
  readonly sshUser?: string;
  readonly sshKey?: string;
  readonly sshPort?: string;
  readonly startCommand?: string;
  readonly stopCommand?: string;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsVerify?: true;
  readonly timeout: string;
};

/** The password, where it is in no file. */
const PASSWORD_VARIABLE = "TWINDB_REPLICATION_PASSWORD";

/** Seed a replica from a running server. */
export async function cloneMysql(options: CloneMysqlOptions, invocation: Invocation): Promise<number> {
  const { signal, terminal } = invocation;
  const { config, log } = await openContext(invocation);
  const mysql = serverOf(config);
  const password = await passwordOf(options);
  const login = await readDefaultsFile(mysql.defaultsFile);
  terminal.hide([...secretsOf(config), password, ...(login.password === undefined ? [] : [login.password])]);
  for (const warning of warningsOf(options)) log.warn(warning);
  const [source, destination] = [placeOf(options.source), placeOf(options.destination)];
  requirePorts(source, destination);
  const binaries = mysqlBinaries(config, invocation);
  const cloned = await clone({
    source: { target: targetOf(source.host, config, options), port: source.port },
    destination: { target: targetOf(destination.host, config, options) },
    login: withoutPlace(login),
    replication: { ...replicationOf(source.host, options), password },
    engine: mysql.engine,
    binaries: { tool: binaries.xtrabackup, extractor: binaries.xbstream },
    commands: { start: options.startCommand, stop: options.stopCommand },
    timeoutSeconds: timeoutOf(options),
    idleSeconds: config.run.idleSeconds,
    compress: options.compress === true,
    parallel: mysql.parallel,
    log,
    onProgress: progressTo(invocation),
    signal,
  });
  terminal.draw("");
  const { serverId, secondsBehind, isEncrypted } = cloned;
  const how = isEncrypted ? "encrypted" : "NOT encrypted, for the source has no TLS";
  terminal.print(
    `${destination.host} follows ${source.host}: server_id ${serverId}, ${secondsBehind} seconds behind, ${how}`,
  );
  return 0;
}

function timeoutOf({ timeout }: CloneMysqlOptions): number {
  const value = secondsOf(timeout);
  if (value !== undefined) return value;
  throw new BackupError("USAGE", `Cannot wait for "${timeout}": it is no length of time`, {
    hint: "Give --timeout such as 90s, 15m or 1h.",
  });
}

function progressTo({ terminal }: Invocation): (what: string, bytes: number) => void {
  const draw = progressOn(terminal, "streaming", undefined);
  return (_what, bytes) => draw(bytes);
}

function serverOf({ mysql }: Config): MysqlOptions {
  if (mysql !== undefined) return mysql;
  throw new BackupError("CONFIG_INVALID", "Cannot clone a server: the config has no section [mysql]", {
    hint: "Write mysql_defaults_file into it, which names the file with user and password of the backup.",
  });
}

/** The place in the option file is that of this host's server; only a socket may mean the same on others. */
function withoutPlace(login: LoginOptions): LoginOptions {
  return { ...login, host: undefined, port: undefined };
}

type Place = { readonly host: string; readonly port: number | undefined };

/** `db1`, `db1:3307`, `[fd00::1]:3306`. */
function placeOf(text: string): Place {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+|[^:]*:[^:]*:.*?))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const number = port === undefined ? undefined : Number(port);
  if (host !== undefined && (number === undefined || (number > 0 && number < 65_536))) return { host, port: number };
  throw new BackupError("USAGE", `Cannot understand "${text}": it is not HOST or HOST:PORT`, {
    hint: "Name a host, and behind a colon the port of its server where it is not 3306.",
  });
}

/** The replica gets the config of its source, and with it the port. */
function requirePorts(source: Place, { port }: Place): void {
  if (port === undefined || port === (source.port ?? 3306)) return;
  throw new BackupError(
    "USAGE",
    `Cannot clone to port ${port}: the replica gets the config of its source, and its port`,
    {
      hint: "Leave the port of the destination out.",
    },
  );
}

function targetOf(host: string, { ssh }: Config, { sshUser, sshKey, sshPort }: CloneMysqlOptions): SshTarget {
  const { knownHostsFile, hostKeys } = ssh;
  return {
    host,
    port: sshPort === undefined ? ssh.port : Number(sshPort),
    user: sshUser ?? ssh.user,
    keyFile: sshKey ?? ssh.keyFile,
    knownHostsFile,
    hostKeys,
  };
}

function replicationOf(source: string, options: CloneMysqlOptions) {
  const host = options.replicationHost ?? source;
  if (/^(localhost|127\..*|::1)$/i.test(host)) {
    throw new BackupError("USAGE", `Cannot follow "${host}": on the destination that name means itself`, {
      hint: "Name the source by an address under which the destination reaches it, or give that with --replication-host.",
    });
  }
  return { host, user: options.replicationUser, tls: tlsOf(options) };
}

function tlsOf({ tlsCa: ca, tlsCert: cert, tlsKey: key, tlsVerify }: CloneMysqlOptions): ReplicationTls | undefined {
  if ((cert === undefined) !== (key === undefined) || (tlsVerify === true && ca === undefined)) {
    throw new BackupError(
      "USAGE",
      "Cannot use TLS: --tls-cert and --tls-key go together, --tls-verify needs --tls-ca",
      {
        hint: "Name the files as they lie on the destination.",
      },
    );
  }
  if (ca === undefined && cert === undefined) return undefined;
  return { ca, cert, key, verifiesIdentity: tlsVerify === true };
}

async function passwordOf(options: CloneMysqlOptions): Promise<Secret> {
  const { replicationPassword: typed, replicationPasswordFile: file } = options;
  if (file !== undefined) return new Secret(await readPassword(file));
  const password = process.env[PASSWORD_VARIABLE] ?? typed;
  if (password !== undefined && password !== "") return new Secret(password);
  throw new BackupError("USAGE", `Cannot replicate as "${options.replicationUser}": no password is given`, {
    hint: `Name a file that holds it with --replication-password-file, or set ${PASSWORD_VARIABLE}.`,
  });
}

/** The first line. */
async function readPassword(file: string): Promise<string> {
  try {
    const [password = ""] = (await readFile(file, "utf8")).split(/\r?\n/);
    if (password !== "") return password;
  } catch (cause) {
    throw new BackupError("CONFIG_INVALID", `Cannot read the password in "${file}": ${(cause as Error).message}`, {
      hint: "Make the file, with the password in its first line, 0600.",
      cause,
    });
  }
  throw new BackupError("CONFIG_INVALID", `Cannot read the password in "${file}": its first line is empty`, {
    hint: "Write the password into its first line.",
  });
}

function warningsOf({ netcatPort, replicationPassword }: CloneMysqlOptions): string[] {
  return [
    ...(netcatPort === undefined ? [] : ["--netcat-port is not needed any more: the data travels inside of SSH"]),
    ...(replicationPassword === undefined
      ? []
      : [
          `every user of this host can see --replication-password; use --replication-password-file or ${PASSWORD_VARIABLE}`,
        ]),
  ];
}

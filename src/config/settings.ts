import { INTERVALS, type Interval } from "../domain/interval.ts";
import { keyProblem } from "../domain/key.ts";
import type { CompressionOptions, Compressor, GpgOptions } from "../modifier/options.ts";
import { destinationOf, exportOf } from "./destination-settings.ts";
import { directoryHolding, distinctDirectories } from "./directories.ts";
import type { Findings } from "./findings.ts";
import type { IniText } from "./ini-text.ts";
import type { Config, MysqlOptions } from "./options.ts";
import type { Settings } from "./schema.ts";
import { freeTextsOf } from "./texts.ts";

/** Where the settings came from, and what the file may leave out. */
type Origin = { readonly ini: IniText; readonly path: string; readonly hostname: string };

/** Levels of each program, and the one used when the file names none. */
const LEVELS: Readonly<Record<Compressor, { least: number; most: number; usual: number | undefined; also?: number }>> =
  {
    gzip: { least: 1, most: 9, usual: 9 },
    pigz: { least: 1, most: 9, usual: 9, also: 11 },
    bzip2: { least: 1, most: 9, usual: 9 },
    lbzip2: { least: 1, most: 9, usual: 9 },
    zstd: { least: 1, most: 19, usual: 3 },
    xz: { least: 0, most: 9, usual: 6 },
    lz4: { least: 1, most: 12, usual: 1 },
    none: { least: 0, most: 0, usual: undefined },
  };

/** Put the sections together. What does not fit together goes to `findings`; the config is usable when no problem did. */
export function configOf(settings: Settings, { ini, path, hostname }: Origin, findings: Findings): Config {
  const has = (name: string) => ini.sections.has(name);
  const config: Config = {
    path,
    hostname: hostnameOf(settings.source.hostname, hostname, findings),
    source: sourceOf(settings.source, findings),
    destination: destinationOf(settings, { has, free: freeTextsOf(ini) }, findings),
    keepLocalPath: settings.destination.keep_local_path,
    removesExpired: settings.destination.remove_expired,
    compression: compressionOf(settings.compression, findings),
    gpg: has("gpg") ? gpgOf(settings.gpg, findings) : undefined,
    retention: byInterval((interval) => settings.retention[`${interval}_copies`]),
    retentionLocal: byInterval((interval) => settings.retention_local[`${interval}_copies`]),
    intervals: byInterval((interval) => settings.intervals[`run_${interval}`]),
    ssh: loginOf(settings.ssh),
    mysql: has("mysql") || settings.source.backup_mysql ? mysqlOf(settings.mysql) : undefined,
    export: has("export") ? exportOf(settings.export, findings) : undefined,
    run: {
      idleSeconds: settings.run.idle_timeout,
      measuresLog: settings.run.measures_log,
      pauseFile: settings.run.pause_file,
    },
  };
  findOddities(config, ini, findings);
  return config;
}

function hostnameOf(configured: string | undefined, ofSystem: string, findings: Findings): string {
  const hostname = configured ?? ofSystem;
  const problem = hostname.includes("/") ? 'it has a "/"' : keyProblem(hostname);
  if (problem === undefined) return hostname;
  const whose = configured === undefined ? "the name of this host" : "the value";
  findings.problem("source", "hostname", `${whose} cannot be a directory on the destination: ${problem}`);
  return hostname;
}

function sourceOf(source: Settings["source"], findings: Findings): Config["source"] {
  return {
    directories: distinctDirectories(source.backup_dirs, findings),
    excludes: source.exclude_dirs,
    tarOptions: source.tar_options,
    mysql: source.backup_mysql,
  };
}

function compressionOf({ program, threads, level }: Settings["compression"], findings: Findings): CompressionOptions {
  const { least, most, usual, also } = LEVELS[program];
  if (program === "none") return { program, threads, level: undefined };
  if (level !== undefined && level !== also && (level < least || level > most)) {
    const range = `${least} to ${most}${also === undefined ? "" : ` or ${also}`}`;
    findings.problem("compression", "level", `${level} is not a level of ${program}, it has ${range}`);
  }
  return { program, threads, level: level ?? usual };
}

function gpgOf(gpg: Settings["gpg"], findings: Findings): GpgOptions {
  if (gpg.recipient === undefined) {
    findings.warning("gpg", "recipient", "it is missing, so copies are not encrypted");
  }
  return {
    recipient: gpg.recipient,
    keyring: gpg.keyring,
    secretKeyring: gpg.secret_keyring,
    homedir: gpg.homedir,
  };
}

function mysqlOf(mysql: Settings["mysql"]): MysqlOptions {
  return {
    defaultsFile: mysql.mysql_defaults_file,
    hostname: mysql.hostname,
    port: mysql.port,
    socket: mysql.socket,
    engine: mysql.engine,
    fullBackup: mysql.full_backup,
    fullBackupDays: mysql.full_backup_days,
    expireLogDays: mysql.expire_log_days,
    rotateSeconds: mysql.rotate_seconds,
    binlogSpool: mysql.binlog_spool,
    binlogSpoolBytes: mysql.binlog_spool_mb * 1024 ** 2,
    parallel: mysql.parallel,
    incrementalFrom: mysql.incremental_from,
    maskSecrets: mysql.mask_secrets,
    recordChecksums: mysql.record_checksums,
    galeraWaitSeconds: mysql.galera_wait,
    xtrabackupBinary: mysql.xtrabackup_binary,
    xbstreamBinary: mysql.xbstream_binary,
  };
}

function loginOf(ssh: Settings["ssh"]): Config["ssh"] {
  return {
    port: ssh.port ?? ssh.ssh_port ?? 22,
    user: ssh.ssh_user,
    keyFile: ssh.ssh_key,
    knownHostsFile: ssh.known_hosts,
    hostKeys: ssh.host_keys,
  };
}

function byInterval<T>(read: (interval: Interval) => T): Record<Interval, T> {
  return {
    hourly: read("hourly"),
    daily: read("daily"),
    weekly: read("weekly"),
    monthly: read("monthly"),
    yearly: read("yearly"),
  };
}

/** What loads but is hardly meant, or meant something else to the predecessor. */
function findOddities(config: Config, ini: IniText, findings: Findings): void {
  for (const interval of INTERVALS.filter((interval) => config.retention[interval] === 0)) {
    findings.warning("retention", `${interval}_copies`, "it is 0, but the newest good copy stays all the same");
  }
  findIgnoredIntervals(config, ini, findings);
  findCopiesOfCopies(config, findings);
  if (!ini.sections.has("source"))
    findings.warning("source", undefined, "the section is missing, nothing is backed up");
  if (config.source.mysql && !ini.sections.has("mysql")) {
    findings.warning("source", "backup_mysql", "it is on, but there is no section [mysql]; the defaults are used");
  }
}

/** The predecessor ignored the whole section when one of its five keys was missing. */
function findIgnoredIntervals({ intervals }: Config, ini: IniText, findings: Findings): void {
  const given = (interval: Interval) =>
    [ini.sections.get("intervals"), ini.defaults].some((section) => section?.entries.has(`run_${interval}`));
  if (!ini.sections.has("intervals") || INTERVALS.every(given)) return;
  for (const interval of INTERVALS.filter((interval) => !intervals[interval])) {
    const text = "it is honoured now; before, all five keys had to be there, so write the others too";
    findings.warning("intervals", `run_${interval}`, text);
  }
}

function findCopiesOfCopies({ source, destination, keepLocalPath }: Config, findings: Findings): void {
  const { directories, excludes } = source;
  const local = destination.kind === "local" ? destination.directory : undefined;
  if (local !== undefined && local === keepLocalPath) {
    findings.problem("destination", "keep_local_path", "it is the same directory as [local] backup_dir");
  }
  for (const root of new Set([local, keepLocalPath])) {
    const holder = directoryHolding({ directories, excludes, root });
    if (holder === undefined) continue;
    const text = `"${holder}" holds the copies in "${root}", name that in exclude_dirs`;
    findings.warning("source", "backup_dirs", text);
  }
}

import { BackupError } from "../domain/errors.ts";
import { quoteShellWord } from "./shell-words.ts";

/** What the first config of a host says. */
export type SampleOptions = {
  /** Absolute path where copies are stored. */
  readonly directory: string;
  /** Absolute paths that are copied. */
  readonly sources: readonly string[];
  /** Name to store copies under, when it is not the one of the system. */
  readonly hostname?: string | undefined;
};

/**
 * Write a commented config for a destination on this host.
 * @throws {BackupError} USAGE when a value has a control character, or `directory` ends with a quote: no line of the
 * file can say that.
 */
export function sampleConfig({ directory, sources, hostname }: SampleOptions): string {
  const dirs = sources.map(quoteShellWord).join(" ");
  return `# twindb-backup. A line that starts with # is a comment; write a plain % as %%.

[source]
# Directories to copy, separated by spaces; quote a name with a space in it.
backup_dirs = ${iniValue(dirs)}
# Directories below them to leave out.
#exclude_dirs = /var/cache
# Copy the MySQL, Percona or MariaDB server of this host; see [mysql].
backup_mysql = no
# Name to store copies under; without it, the name of this host.
${hostname === undefined ? "#hostname = db1" : `hostname = ${iniValue(hostname)}`}

[destination]
# local, ssh, s3, gcs or az; each has a section of that name.
backup_destination = local

[local]
backup_dir = "${iniValue(directory, /\p{Cc}|["']$/u)}"

[mysql]
# Option file with user and password for the server below [client].
mysql_defaults_file = /root/.my.cnf
# Runs of this type and longer ones take full copies, shorter ones take increments.
full_backup = daily

[compression]
# gzip, pigz, bzip2, lbzip2, zstd, xz, lz4 or none.
program = zstd

[retention]
# How many copies of each run type stay. The newest good one always stays.
hourly_copies = 24
daily_copies = 7
weekly_copies = 4
monthly_copies = 12
yearly_copies = 3

[intervals]
# Which run types do anything.
run_hourly = yes
run_daily = yes
run_weekly = yes
run_monthly = yes
run_yearly = yes

# Tell of runs: prometheus, statsd or datadog, and a webhook; docs/monitoring.md has more.
#[export]
#transport = prometheus
#textfile = /var/lib/node_exporter/textfile_collector/twindb_backup.prom
#webhook_url = https://hooks.example.com/services/XXXXX
`;
}

function iniValue(text: string, unsayable = /\p{Cc}/u): string {
  if (!unsayable.test(text)) return text.replaceAll("%", "%%");
  throw new BackupError(
    "USAGE",
    `Cannot write ${JSON.stringify(text)} to a config: it holds a control character or quote`,
    {
      hint: "Rename the directory, or name another one.",
    },
  );
}

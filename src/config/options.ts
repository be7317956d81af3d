import type { DestinationOptions, SshOptions } from "../destination/options.ts";
import type { Interval } from "../domain/interval.ts";
import type { ExportOptions } from "../export/options.ts";
import type { CompressionOptions, GpgOptions } from "../modifier/options.ts";

/** The server whose data is copied, and how. */
export type MysqlOptions = {
  readonly defaultsFile: string;
  /** `undefined` leaves it to the defaults file. So do `port` and `socket`. */
  readonly hostname: string | undefined;
  readonly port: number | undefined;
  readonly socket: string | undefined;
  readonly engine: "auto" | "xtrabackup" | "mariadb-backup" | "clone";
  /** Runs of this type and longer ones take full copies. */
  readonly fullBackup: Interval;
  /** Age in days after which any run takes a full copy; `undefined` sets no limit. */
  readonly fullBackupDays: number | undefined;
  /** Days that copies of binary logs are kept that no copy of the server needs. */
  readonly expireLogDays: number;
  /** Age in seconds from which on a run has the server close its binary log, to copy it. */
  readonly rotateSeconds: number;
  /** Where `binlog stream` writes down what it follows; and how much of it may wait to be archived. */
  readonly binlogSpool: string;
  readonly binlogSpoolBytes: number;
  /** What an increment is taken from: the last full copy, or the last copy whatever it is. */
  readonly incrementalFrom: "full" | "last";
  /** Leave out values that look like secrets from the server's config files: they stand in the status, which is never encrypted. */
  readonly maskSecrets: boolean;
  /** Record checksums of the tables, for a verify to compare: the server reads all its data twice more. */
  readonly recordChecksums: boolean;
  /** Longest wait, in seconds, for a cluster's node to catch up after a copy. */
  readonly galeraWaitSeconds: number;
  readonly parallel: number | undefined;
  readonly xtrabackupBinary: string | undefined;
  readonly xbstreamBinary: string | undefined;
};

/** One config file, checked and with every default filled in. */
export type Config = {
  /** The file it came from. */
  readonly path: string;
  /** First component of every key. */
  readonly hostname: string;
  readonly source: {
    /** Absolute paths, as written. */
    readonly directories: readonly string[];
    /** Absolute paths that are left out. */
    readonly excludes: readonly string[];
    readonly tarOptions: readonly string[];
    readonly mysql: boolean;
  };
  readonly destination: DestinationOptions;
  /** Root of the second copy on this host; `undefined` when none is kept. */
  readonly keepLocalPath: string | undefined;
  /** Whether this host removes what retention no longer wants; otherwise another host or the store does. */
  readonly removesExpired: boolean;
  readonly compression: CompressionOptions;
  /** `undefined` when nothing is encrypted or decrypted. */
  readonly gpg: GpgOptions | undefined;
  /** Copies that stay on the destination. */
  readonly retention: Readonly<Record<Interval, number>>;
  /** Copies that stay below `keepLocalPath`; 0 keeps none. */
  readonly retentionLocal: Readonly<Record<Interval, number>>;
  /** Which run types do anything. */
  readonly intervals: Readonly<Record<Interval, boolean>>;
  /** How to log in to the hosts of a clone: what `[ssh]` says, whatever the destination is. */
  readonly ssh: Pick<SshOptions, "port" | "user" | "keyFile" | "knownHostsFile" | "hostKeys">;
  /** `undefined` when the file has no such section: no binary logs are copied. */
  readonly mysql: MysqlOptions | undefined;
  readonly export: ExportOptions | undefined;
  readonly run: {
    /** Seconds without a byte after which a program is ended; 0 waits for ever. */
    readonly idleSeconds: number;
    readonly measuresLog: string;
    /** Where this host remembers that its runs are paused. */
    readonly pauseFile: string;
  };
};

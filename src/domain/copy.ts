import type { BinlogFacts } from "./binlog.ts";
import type { Interval } from "./interval.ts";
import type { Key } from "./key.ts";

/** What a verify found, and when. */
export type Verification = { readonly at: Date; readonly ok: boolean; readonly level: string };

/** How long retention must leave a copy alone. */
export type Preservation = Date | "forever";

/** What a person said of a copy: that it is broken, or that it is good after all. `by` is the user and the host, for people. */
export type Mark = {
  readonly broken: boolean;
  readonly at: Date;
  readonly by: string;
  readonly reason: string | undefined;
};

/**
 * Facts every copy of ours carries. A copy of the predecessor has none of the optional ones.
 * `suffixes` are those of the stored name, in the order they were applied: `[".zst", ".gpg"]`.
 */
export type StoredFacts = {
  /** Where the object lies, with all suffixes. */
  readonly key: Key;
  readonly host: string;
  readonly suffixes: readonly string[];
  /** Size of the stored object. */
  readonly bytes: number | undefined;
  /** Lower-case hex SHA-256 of the stored object. */
  readonly sha256: string | undefined;
  /** Size before compression; of a server's stream, as last seen within half a second of its end. */
  readonly rawBytes: number | undefined;
  /** Program that read the source, such as `tar`. */
  readonly tool: string | undefined;
  readonly toolVersion: string | undefined;
  readonly verified: Verification | undefined;
  readonly preservedUntil?: Preservation;
  /** The last word of a person; a verify that passes does not take it back. */
  readonly mark?: Mark;
  /** Fields of the record that nobody here knows, such as those of a newer version; saved as they came. */
  readonly extra?: ReadonlyMap<string, unknown>;
};

/** One tar archive of one directory. */
export type FilesCopy = StoredFacts & {
  readonly media: "files";
  readonly interval: Interval;
  /** The configured path, such as `/etc`; unknown for a copy of the predecessor. */
  readonly directory: string | undefined;
  readonly startedAt: Date;
  readonly finishedAt: Date | undefined;
  /** What tar warned of, such as `file changed as we read it`; empty when nothing. */
  readonly warnings: readonly string[];
};

/** The makers of servers, as the predecessor spells them. */
export const VENDORS = ["oracle", "percona", "mariadb"] as const;

export type Vendor = (typeof VENDORS)[number];

/** A place in the binary log. The offset is unknown in a few old records. */
export type BinlogPosition = { readonly file: string; readonly offset: number | undefined };

type MysqlFacts = StoredFacts & {
  readonly media: "mysql";
  readonly interval: Interval;
  readonly vendor: Vendor;
  /** Taken from the name where an old record does not say. */
  readonly startedAt: Date;
  readonly finishedAt: Date | undefined;
  /** The checkpoint an increment on this copy starts from. */
  readonly lsn: bigint | undefined;
  /** The range of log sequence numbers the copy holds, as the tool wrote them down. */
  readonly fromLsn: bigint | undefined;
  readonly toLsn: bigint | undefined;
  /** Binlog position of the copy; unknown without a binary log. */
  readonly binlog: BinlogPosition | undefined;
  /** GTID set (MySQL) or position (MariaDB) of the copy. */
  readonly gtid: string | undefined;
  /** Version of the Galera provider; `undefined` outside a cluster. */
  readonly galeraVersion: string | undefined;
  readonly serverVersion: string | undefined;
  readonly serverUuid: string | undefined;
  /** See `ServerFacts`. */
  readonly datadirId: string | undefined;
  /** What the stream is, `xbstream` or `tar`; unknown for a copy of the predecessor. */
  readonly format: string | undefined;
  /** Text of the server's config files by absolute path. */
  readonly config: ReadonlyMap<string, string>;
  /** `CHECKSUM TABLE` of the tables that did not change while the copy was taken, by `schema.table`; only where that was asked for. */
  readonly checksums?: ReadonlyMap<string, string>;
};

/** A physical copy of a server that restores by itself. */
export type MysqlFullCopy = MysqlFacts & { readonly kind: "full" };

/** What changed in a server since `parent`, which is needed to restore it. */
export type MysqlIncrementalCopy = MysqlFacts & { readonly kind: "incremental"; readonly parent: Key };

export type MysqlCopy = MysqlFullCopy | MysqlIncrementalCopy;

/** What a run of a source learns of a server: its place in the server's time, and what took the copy. */
export type MysqlCaptureFacts = Pick<
  MysqlCopy,
  | "vendor"
  | "lsn"
  | "fromLsn"
  | "toLsn"
  | "binlog"
  | "gtid"
  | "galeraVersion"
  | "serverVersion"
  | "serverUuid"
  | "datadirId"
  | "checksums"
  | "format"
  | "rawBytes"
  | "tool"
  | "toolVersion"
>;

/** What tells servers apart: MariaDB has no UUID, and there no two servers of a replication share an id. */
export type ServerIdentity = { readonly uuid: string | undefined; readonly serverId: number };

/** Where a timeline of binary logs ends because another server took over; the takeover with the highest epoch counts. */
export type TimelineEnd = {
  readonly epoch: number;
  /** What the new primary had applied; what the log holds besides was lost with the old one. */
  readonly gtid: string;
  readonly at: Date;
  /** Who said so, for people. */
  readonly by: string;
  /** The server that alone may archive from then on. */
  readonly to: ServerIdentity & { readonly host: string };
};

/** One closed binary log. */
export type BinlogCopy = StoredFacts & {
  readonly media: "binlog";
  /** The server's own name, such as `mysql-bin.000012`. */
  readonly name: string;
  /** Folder of another incarnation of the server; `undefined` for the first. */
  readonly incarnation: string | undefined;
  /** Time of the first event. */
  readonly createdAt: Date;
  readonly serverUuid: string | undefined;
  readonly serverVersion: string | undefined;
  /** GTIDs of the transactions in the log: a set (MySQL), or the last one of each domain (MariaDB); `undefined` without any. */
  readonly gtid: string | undefined;
  /** What reading it through found out; `undefined` for a copy of the predecessor. */
  readonly log: BinlogFacts | undefined /** The timeline of the log ends in it. */;
  readonly ended?: TimelineEnd;
};

/** One stored copy; told apart by `media`, then `kind`. */
export type Copy = FilesCopy | MysqlCopy | BinlogCopy;

/** What a copy is of; also the kinds of status. */
export type Media = Copy["media"];

/** The copies of one media. */
export type CopyOf<M extends Media> = Extract<Copy, { readonly media: M }>;

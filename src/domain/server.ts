import type { BinlogPosition, Vendor } from "./copy.ts";

/** What a running server says of itself. Read once before a copy, and once after it. */
export type ServerFacts = {
  readonly vendor: Vendor;
  /** As `@@version` says, such as `10.11.14-MariaDB-0+deb12u2-log`. */
  readonly version: string;
  /** `@@server_uuid`; MariaDB has none. */
  readonly uuid: string | undefined;
  /** Absolute, without a slash at the end. */
  readonly datadir: string;
  /**
   * What tells this data directory from one that took its place: device, inode and birth time of its system tablespace. `undefined`
   * where the directory cannot be seen from here.
   */
  readonly datadirId: string | undefined;
  /** Size of the data, for progress and space; `undefined` where nobody knows. */
  readonly dataBytes: number | undefined;
  /** Where the server writes its binary log now; `undefined` without one. */
  readonly binlog: BinlogPosition | undefined;
  /** Executed GTID set (MySQL), or current position (MariaDB); empty is `undefined`. */
  readonly gtid: string | undefined;
  /** Version of the Galera provider; `undefined` outside a cluster. */
  readonly galeraVersion: string | undefined;
};

/** The part of a version that tells what can read its data: `10.11.14-MariaDB` → `10.11`. */
export function seriesOf(version: string): string {
  return versionNumbers(version).slice(0, 2).join(".");
}

/** The entries that are the same in both: what held before a copy and after it held for the copy. */
export function unchanged(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): Map<string, string> {
  return new Map([...before].filter(([table, checksum]) => after.get(table) === checksum));
}

/** A version of a server or tool as its numbers: `10.11.14-MariaDB-log` → `[10, 11, 14]`. */
export function versionNumbers(version: string): readonly number[] {
  return (/\d+(?:\.\d+)*/.exec(version)?.[0] ?? "")
    .split(".")
    .filter((part) => part !== "")
    .map(Number);
}

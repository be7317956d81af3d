import type { BinlogPosition, Vendor } from "./copy.ts";
import type { GaleraPosition } from "./galera-state.ts";
import { versionNumbers } from "./server.ts";

/** What a restore left, for the person who goes on from there. */
export type RestoredServer = {
  /** Where the data is now; absolute. */
  readonly directory: string;
  /** Where the server wants it; absolute. The same as `directory` when it was put in place. */
  readonly datadir: string;
  readonly vendor: Vendor;
  /** Such as `10.11.14-MariaDB-log`; `undefined` for a copy of the predecessor. */
  readonly serverVersion: string | undefined;
  readonly binlog: BinlogPosition | undefined;
  readonly gtid: string | undefined;
  readonly galera: GaleraPosition | undefined;
  /** Whether config files of the server lie in `_config`. */
  readonly hasConfig: boolean;
  /** Whether `backup-my.cnf` lies beside the data. */
  readonly hasSettings: boolean;
};

/** A path as a word of a shell. */
function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}

/** A set of GTIDs as a string of SQL inside of a shell's; it comes from a copy, so only what such a set may hold is kept. */
function literal(gtid: string): string {
  return `'${gtid.replaceAll(/[^\w:,-]/g, "")}'`;
}

/** A text for a remark. */
function plain(text: string): string {
  return text.replaceAll(/[^ -~]/g, "?");
}

function serviceOf({ vendor }: RestoredServer): string {
  return vendor === "mariadb" ? "mariadb" : "mysql";
}

function clientOf({ vendor }: RestoredServer): string {
  return vendor === "mariadb" ? "mariadb" : "mysql";
}

function inPlace(server: RestoredServer): string[] {
  const { directory, datadir } = server;
  if (directory === datadir) return [];
  return [
    `systemctl stop ${serviceOf(server)}`,
    `mv ${quoted(datadir)} ${quoted(`${datadir}.before-restore`)}   # keep it until the restored server is known to be good`,
    ...(server.hasConfig
      ? [
          `mv ${quoted(`${directory}/_config`)} ${quoted(`${directory}.config`)}   # the old server's config files; compare them with those of this host`,
        ]
      : []),
    `mv ${quoted(directory)} ${quoted(datadir)}   # or, to keep it: cp -a --reflink=auto`,
    `chown -R mysql:mysql ${quoted(datadir)}`,
    `chmod 0750 ${quoted(datadir)}`,
  ];
}

function isAtLeast({ serverVersion }: RestoredServer, major: number, minor: number): boolean {
  const [ours = 0, ourMinor = 0] = versionNumbers(serverVersion ?? "");
  return ours > major || (ours === major && ourMinor >= minor);
}

function settingSteps({ hasSettings }: RestoredServer): string[] {
  const names = "innodb_data_file_path, innodb_page_size, innodb_undo_tablespaces, innodb_log_file_size";
  return hasSettings ? [`# my.cnf has to agree with backup-my.cnf beside the data: ${names}`] : [];
}

function replicaSteps(server: RestoredServer): string[] {
  const { vendor, gtid, binlog } = server;
  const client = clientOf(server);
  const place =
    binlog === undefined
      ? []
      : [`# binary log of the copied server: file ${plain(binlog.file)}, position ${binlog.offset ?? "unknown"}`];
  if (gtid === undefined) return place;
  if (vendor === "mariadb")
    return [...place, "# before it becomes a replica:", `${client} -e "SET GLOBAL gtid_slave_pos=${literal(gtid)}"`];
  const reset = isAtLeast(server, 8, 2) ? "RESET BINARY LOGS AND GTIDS" : "RESET MASTER";
  return [
    ...place,
    "# before it becomes a replica, where @@gtid_executed is another set:",
    `${client} -e "${reset}; SET GLOBAL gtid_purged=${literal(gtid)}"`,
  ];
}

function startSteps(server: RestoredServer): string[] {
  const { galera, datadir, vendor } = server;
  const start = `systemctl start ${serviceOf(server)}`;
  if (galera === undefined) return [start];
  return [
    `# Galera: grastate.dat says that this node stands at ${galera.uuid}:${galera.seqno}; a start that fails forgets it.`,
    "# Where its cluster is running, it fetches what it missed, or everything when that is too much:",
    start,
    "# Where no node is left, found the cluster anew, on this node alone:",
    `sed -i 's/^safe_to_bootstrap: 0/safe_to_bootstrap: 1/' ${quoted(`${datadir}/grastate.dat`)}`,
    vendor === "mariadb" ? "galera_new_cluster" : "systemctl start mysql@bootstrap",
  ];
}

/**
 * Say what is left to do after a restore, as commands of a shell and remarks that begin with `#`, in their order.
 * What they quote comes from a status or a copy, and is made harmless.
 */
export function nextSteps(server: RestoredServer): string[] {
  return [...inPlace(server), ...settingSteps(server), ...startSteps(server), ...replicaSteps(server)];
}

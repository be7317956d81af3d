import type { ReplicaServer } from "./replication.ts";
import { versionNumbers } from "./server.ts";

/** Name of the file with what a replica has of its own; sorts behind those of the vendors. */
const DROP_IN = "zz-twindb-replica.cnf";

/** A config file of a server, and where the own one of the replica goes. */
export type ReplicaConfig = {
  /** Absolute path of the drop-in file. */
  readonly dropIn: string;
  /** Files of the source as the replica gets them, by absolute path. */
  readonly files: ReadonlyMap<string, string>;
};

const INCLUDE_DIRECTORY = /^\s*!\s*includedir\s+(\S.*?)\s*$/gm;

function absolute(path: string, from: string): string {
  const whole = path.startsWith("/") ? path : `${from.slice(0, from.lastIndexOf("/"))}/${path}`;
  return whole.replace(/(?<=.)\/+$/, "");
}

/**
 * Put the replica's own file beside the source's, so that it is read last: into the directory that is included last, else by a line at the end
 * of the last file that the server begins with. Nothing else of the source's files changes.
 * @param files of the source, in the order in which its server reads them; @param roots the ones that it begins with.
 */
export function replicaConfig(files: ReadonlyMap<string, string>, roots: readonly string[]): ReplicaConfig | undefined {
  const root = roots.findLast((path) => files.has(path));
  if (root === undefined) return undefined;
  const text = files.get(root) ?? "";
  const directory = [...text.matchAll(INCLUDE_DIRECTORY)].at(-1)?.[1];
  if (directory !== undefined) return { dropIn: `${absolute(directory, root)}/${DROP_IN}`, files };
  const dropIn = absolute(DROP_IN, root);
  if (text.includes(`!include ${dropIn}`)) return { dropIn, files };
  const end = text === "" || text.endsWith("\n") ? "" : "\n";
  return { dropIn, files: new Map([...files, [root, `${text}${end}!include ${dropIn}\n`]]) };
}

/** What a replica's own file says: for its first start, and for good. */
export function dropInText(
  server: ReplicaServer,
  { serverId, isFirst }: { readonly serverId: number; readonly isFirst: boolean },
): string {
  const isMysql = server.vendor !== "mariadb";
  const version = Number(
    versionNumbers(server.version)
      .slice(0, 3)
      .map((part) => String(part).padStart(3, "0"))
      .join(""),
  );
  const first = [isMysql && version >= 8_000_026 ? "skip_replica_start" : "skip_slave_start"];
  const forGood = isMysql && version >= 5_007_008 ? ["super_read_only = ON"] : [];
  return [
    "# Made by twindb-backup clone: what this server has of its own. The other files are those of its source.",
    "[mysqld]",
    `server_id = ${serverId}`,
    "read_only = ON",
    "# Events run on the source; what they change comes from there.",
    "event_scheduler = OFF",
    ...(isFirst ? first : forGood),
    "",
  ].join("\n");
}

/** The largest number a server takes as its id. */
const LARGEST_ID = 2 ** 32 - 1;

/** An id that nobody has. @param random from 0 up to 1. @param taken those of the source and its replicas. */
export function freeServerId(random: () => number, taken: ReadonlySet<number>): number {
  for (;;) {
    const id = 1 + Math.floor(random() * (LARGEST_ID - 1));
    if (!taken.has(id)) return id;
  }
}

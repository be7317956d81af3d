/** Where a node of a cluster stands. */
export type GaleraPosition = { readonly uuid: string; readonly seqno: bigint };

const POSITION = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):(-?\d{1,19})(?:\s|$)/i;

/** Files that belong to the node a copy was taken of, and would mislead the one it is restored to. */
export const NODE_FILES = ["gvwstate.dat", "auto.cnf", "galera.cache"] as const;

/** Names a tool gives to the position of the cluster. */
export const GALERA_INFO_FILES = ["xtrabackup_galera_info", "mariadb_backup_galera_info", "donor_galera_info"] as const;

/** Read what a tool wrote of the cluster: `UUID:SEQNO`, or `UUID:SEQNO DOMAIN`. `undefined` when it is neither. */
export function parseGaleraInfo(text: string): GaleraPosition | undefined {
  const [, uuid, seqno] = POSITION.exec(text.trim()) ?? [];
  return uuid === undefined || seqno === undefined ? undefined : { uuid, seqno: BigInt(seqno) };
}

/**
 * The text of grastate.dat, by which a restored node joins its cluster at this place rather than founding another. It may not found
 * one by itself: of several restored nodes only one may, and that is for people to say.
 * @param version that of the provider; Galera reads over it.
 */
export function grastate({ uuid, seqno }: GaleraPosition, version: string | undefined): string {
  const lines = [
    "# GALERA saved state",
    `version: ${/^[\w.()-]+$/.test(version ?? "") ? version : "2.1"}`,
    `uuid:    ${uuid}`,
    `seqno:   ${seqno}`,
    "safe_to_bootstrap: 0",
  ];
  return `${lines.join("\n")}\n`;
}

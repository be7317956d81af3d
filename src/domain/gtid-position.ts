import { BackupError } from "./errors.ts";

/** A GTID of MariaDB. */
export type DomainGtid = { readonly domain: number; readonly server: number; readonly sequence: bigint };

/**
 * How far a server of MariaDB got: the last GTID of each domain. Sequence numbers may skip, and the server that wrote the last one is no part of
 * the order.
 */
export type GtidPosition = ReadonlyMap<number, DomainGtid>;

const GTID = /^(\d{1,10})-(\d{1,10})-(\d{1,20})$/;

/**
 * Read a list of GTIDs as MariaDB prints it: `0-1-42,1-9-40`. Of several in one domain the furthest counts.
 * @throws {BackupError} DATA_DAMAGED when it is none.
 */
export function parseGtidPosition(text: string): GtidPosition {
  const gtids = text.split(",").map((each) => each.trim());
  return positionOf(gtids.filter((each) => each !== "").map((each) => parseDomainGtid(each, text)));
}

function parseDomainGtid(text: string, whole: string): DomainGtid {
  const [, domain, server, sequence] = GTID.exec(text) ?? [];
  if (domain === undefined || server === undefined || sequence === undefined) {
    throw new BackupError("DATA_DAMAGED", `Cannot read "${whole.slice(0, 200)}" as a GTID position of MariaDB`, {
      hint: "Write it as the server does: 0-1-42.",
    });
  }
  return { domain: Number(domain), server: Number(server), sequence: BigInt(sequence) };
}

/** The furthest of each domain. */
export function positionOf(gtids: Iterable<DomainGtid>): GtidPosition {
  const furthest = new Map<number, DomainGtid>();
  for (const gtid of gtids) {
    const known = furthest.get(gtid.domain);
    if (known === undefined || known.sequence < gtid.sequence) furthest.set(gtid.domain, gtid);
  }
  return furthest;
}

export function formatDomainGtid({ domain, server, sequence }: DomainGtid): string {
  return `${domain}-${server}-${sequence}`;
}

/** Print a position as MariaDB does, domains in order. Empty is the empty text. */
export function formatGtidPosition(position: GtidPosition): string {
  const gtids = [...position.values()].sort((left, right) => left.domain - right.domain);
  return gtids.map(formatDomainGtid).join(",");
}

/** Whether `far` is at or behind `near` in every domain of `near`. */
export function reachesPosition(far: GtidPosition, near: GtidPosition): boolean {
  return [...near.values()].every(({ domain, sequence }) => (far.get(domain)?.sequence ?? -1n) >= sequence);
}

import { type BinlogCatalogue, catalogueOf } from "../domain/binlog-catalogue.ts";
import { hasFollowed } from "../domain/binlog-heirs.ts";
import { expiredBinlogs } from "../domain/binlog-retention.ts";
import type { BinlogCopy, MysqlCopy } from "../domain/copy.ts";
import type { Key } from "../domain/key.ts";
import { nameOf, parseBinlogName, withoutSuffixes } from "../domain/names.ts";
import { type Doubt, locateBinlogs, reconcile, type StoredObject } from "../domain/reconcile.ts";
import type { Log } from "../lib/log.ts";
import { forgetGone, OTHERS_MS, tellRemoval } from "./expire.ts";
import { removeCopies, type Shelf } from "./shelf.ts";
import { untrusted } from "./workshop.ts";

/** Whose binary logs expire, and when. */
type BinlogExpiry = {
  readonly shelf: Shelf<"binlog">;
  readonly removesExpired: boolean;
  /** How long those stay that no kept copy needs. */
  readonly expireDays: number;
  readonly forebears: () => Promise<Forebears>;
  readonly now: () => Date;
  readonly log: Log;
  readonly signal: AbortSignal;
};

/** The hosts that the server of a host took over from: what is there of them, and whether that cannot be trusted. */
export type Forebears = {
  readonly copies: readonly MysqlCopy[];
  readonly logs: readonly BinlogCopy[];
  readonly doubtful: boolean;
};

type Standing = { readonly objects: readonly StoredObject[]; readonly doubts: ReadonlyMap<Key, Doubt> };

type Needs = {
  readonly catalogue: BinlogCatalogue;
  /** The copies of the server that are there. */
  readonly copies: readonly MysqlCopy[];
};

/** Remove the binary logs that no kept copy needs, and that are old enough. */
export async function expireBinlogs(expiry: BinlogExpiry, standing: Standing, needs: Needs): Promise<void> {
  const goners = await gonersOf(expiry, needs);
  if (!expiry.removesExpired) {
    await forgetGone(
      expiry,
      goners.filter(({ key }) => standing.doubts.get(key) === "gone"),
    );
  } else if (goners.length > 0) {
    const { signal } = expiry;
    tellRemoval(await removeCopies(expiry.shelf, withTwins(goners, standing), { signal }), expiry.log);
  }
}

/** Only a server that followed another one can have taken over; then the copies of that one may need its logs too. */
async function gonersOf({ shelf, expireDays, forebears, now, log }: BinlogExpiry, { catalogue, copies }: Needs) {
  const retention = { host: shelf.host, copies, days: expireDays, now: now() };
  const goners = expiredBinlogs(catalogue, retention);
  const own = catalogue.timelines.flatMap(({ logs }) => logs);
  if (goners.length === 0 || !hasFollowed(own)) return goners;
  const others = await forebears();
  if (others.doubtful) {
    log.warn("no binary log is removed: the status of a host that this one may have taken over from cannot be read");
    return [];
  }
  const all = catalogueOf([...own, ...others.logs], catalogue.doubts);
  return expiredBinlogs(all, { ...retention, copies: [...copies, ...others.copies] });
}

/**
 * Remove the binary logs of a host that no kept copy needs, in its stead, and what its runs left more than a day ago.
 * @throws {BackupError} DATA_DAMAGED when its status cannot be trusted; nothing is removed then.
 */
export async function expireHostBinlogs(expiry: BinlogExpiry, { copies }: Pick<Needs, "copies">): Promise<void> {
  const { shelf, signal, log } = expiry;
  const { status: recorded, objects, doubtful, warnings } = await shelf.status.adopt({ signal });
  for (const warning of warnings) log.warn(warning);
  if (doubtful) throw untrusted(shelf.host, "binlog");
  const before = new Date(expiry.now().getTime() - OTHERS_MS);
  const swept = await shelf.manifests.sweep(shelf.host, { media: "binlog", status: recorded, before, signal });
  for (const key of swept) log.info(`removed "${key}", which an interrupted run had left`);
  const status = locateBinlogs(recorded, objects);
  const doubts = reconcile(status, objects);
  await expireBinlogs(expiry, { objects, doubts }, { catalogue: catalogueOf(status.copies, doubts), copies });
}

/** The predecessor's record may stand for several objects, when its compression was changed: all of them go. */
function withTwins(goners: readonly BinlogCopy[], { objects }: Standing): { readonly key: Key }[] {
  const byRecord = Map.groupBy(
    objects.filter(({ key }) => parseBinlogName(nameOf(key)) !== undefined),
    ({ key }) => withoutSuffixes(key),
  );
  return goners.flatMap((copy) => [copy, ...(copy.bytes === undefined ? (byRecord.get(copy.key) ?? []) : [])]);
}

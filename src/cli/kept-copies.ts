import { copyKey, nameOf, parseBinlogName, withoutSuffixes } from "../domain/names.ts";
import { decideLocal, type RetentionPolicy, type TimedCopy } from "../domain/retention.ts";
import type { LocalBinlogs } from "../job/backup-binlogs.ts";
import type { LocalShelf } from "../job/take-copy.ts";
import { keepLocal } from "../modifier/keep-local.ts";
import { listKeptBinlogs, listLocal, removeLocal, sweepKeepLocal } from "../modifier/kept-copies.ts";

/** Whose second copies, and how many stay. */
type Kept = {
  readonly host: string;
  readonly media: TimedCopy["media"];
  readonly policy: RetentionPolicy;
};

/** The second copies below `root` on this host. */
export function keptCopies(root: string, { host, media, policy }: Kept): LocalShelf {
  return {
    open: (key) => keepLocal(root, key),
    async sweep() {
      await sweepKeepLocal(root, host);
    },
    async expire(interval) {
      const names = await listLocal(root, { host, interval, media });
      const keys = names.map(({ name }) => copyKey({ media, host, interval, name }));
      for (const key of decideLocal(keys, policy)) await removeLocal(root, key);
    },
  };
}

/** The second copies of binlogs below `root` on this host. */
export function keptBinlogs(root: string, host: string): LocalBinlogs {
  return {
    open: (key) => keepLocal(root, key),
    async sweep() {
      await sweepKeepLocal(root, host);
    },
    async expire(copies, before) {
      const ages = new Map(copies.map(({ key, createdAt }) => [withoutSuffixes(key), createdAt]));
      for (const { key, modifiedAt } of await listKeptBinlogs(root, host)) {
        const isBinlog = parseBinlogName(nameOf(key)) !== undefined;
        if (isBinlog && (ages.get(withoutSuffixes(key)) ?? modifiedAt) < before) await removeLocal(root, key);
      }
    },
  };
}

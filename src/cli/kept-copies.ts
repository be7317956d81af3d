import { copyKey } from "../domain/names.ts";
import { decideLocal, type RetentionPolicy, type TimedCopy } from "../domain/retention.ts";
import type { LocalShelf } from "../job/take-copy.ts";
import { keepLocal } from "../modifier/keep-local.ts";
import { listLocal, removeLocal, sweepKeepLocal } from "../modifier/kept-copies.ts";

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

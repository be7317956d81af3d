import { copyKey } from "../domain/names.ts";
import { decideLocal, type RetentionPolicy } from "../domain/retention.ts";
import type { LocalShelf } from "../job/take-copy.ts";
import { keepLocal } from "../modifier/keep-local.ts";
import { listLocal, removeLocal, sweepKeepLocal } from "../modifier/kept-copies.ts";

/** The second copies below `root` on this host, and how many stay. */
export function keptCopies(root: string, host: string, policy: RetentionPolicy): LocalShelf {
  return {
    open: (key) => keepLocal(root, key),
    async sweep() {
      await sweepKeepLocal(root, host);
    },
    async expire(interval) {
      const names = await listLocal(root, host, interval);
      const keys = names.map(({ name }) => copyKey({ media: "files", host, interval, name }));
      for (const key of decideLocal(keys, policy)) await removeLocal(root, key);
    },
  };
}

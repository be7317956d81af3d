import type { CallOptions } from "../destination/destination.ts";
import type { BinlogCopy } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import { planTakeover, reopened, type Takeover, withTakeover } from "../domain/takeover.ts";
import type { Shelf } from "./shelf.ts";

/** What became of a takeover: the log in which the old timeline ends, and what of it the new primary never got. */
export type TakenOver = { readonly log: BinlogCopy; readonly lost: string };

type Shelves = {
  /** The archive of the old primary, and that of this host, which may be the same. */
  readonly old: Shelf<"binlog">;
  readonly own: Shelf<"binlog">;
};

/**
 * End the timeline of an old primary, so that it may archive no more, and have this server be the one that may. Done again, it changes nothing that matters.
 * @throws {BackupError} as `planTakeover()`; DATA_DAMAGED when a status cannot be trusted.
 */
export async function takeOver({ old, own }: Shelves, takeover: Takeover, { signal }: CallOptions): Promise<TakenOver> {
  for (const shelf of [old, own]) await requireTrusted(shelf, { signal });
  let plan: TakenOver | undefined;
  const { status } = await old.status.update(
    (now) => {
      plan = planTakeover(now.copies, takeover, old.host);
      return { copies: withTakeover(now.copies, takeover, old.host) };
    },
    { signal },
  );
  if (plan === undefined) throw new TypeError("a change was made and not called");
  // The manifest gives it back when the status is lost.
  const { key } = plan.log;
  const ended = status.copies.find((copy) => copy.key === key);
  if (ended !== undefined) await old.manifests.amend(ended, { signal });
  if (own.host !== old.host) await reopen(own, takeover, { signal });
  return plan;
}

/** This server may have been replaced itself once. */
async function reopen(own: Shelf<"binlog">, takeover: Takeover, { signal }: CallOptions): Promise<void> {
  const before = await own.status.load({ signal });
  const after = await own.status.update((now) => ({ copies: reopened(now.copies, takeover) }), { signal });
  for (const copy of after.status.copies) {
    const epoch = before.status.copies.find(({ key }) => key === copy.key)?.ended?.epoch;
    if (copy.ended !== undefined && copy.ended.epoch !== epoch) await own.manifests.amend(copy, { signal });
  }
}

async function requireTrusted({ host, status }: Shelf<"binlog">, { signal }: CallOptions): Promise<void> {
  const { doubtful } = await status.load({ signal });
  if (!doubtful) return;
  throw new BackupError("DATA_DAMAGED", `Cannot take over: the binlog status of "${host}" is damaged or lost`, {
    hint: `Run "twindb-backup status rebuild --hostname ${host}" first.`,
  });
}

import type { MysqlOptions } from "../../config/options.ts";
import type { Destination } from "../../destination/destination.ts";
import type { TimedCopy } from "../../domain/retention.ts";
import { expireHost } from "../../job/expire.ts";
import { expireHostBinlogs } from "../../job/expire-binlogs.ts";
import type { Shelf } from "../../job/shelf.ts";
import { acquireLock } from "../../lib/lock.ts";
import type { Log } from "../../lib/log.ts";
import { openContext, openDestination, shelfOf } from "../context.ts";
import { exitStatusOf } from "../exit-status.ts";
import { forebearsOf } from "../forebears.ts";
import type { Invocation } from "../invocation.ts";

type ExpireOptions = { readonly hostname?: string; readonly lockFile: string };

const KINDS: readonly TimedCopy["media"][] = ["files", "mysql"];

/** Remove what retention no longer wants of a host, such as one that may not remove anything itself. Silent when all is well. */
export async function expire({ hostname, lockFile }: ExpireOptions, invocation: Invocation): Promise<number> {
  const { terminal } = invocation;
  const { config, log, warnings } = await openContext(invocation);
  for (const warning of warnings) log.warn(warning);
  const lost = new AbortController();
  const signal = AbortSignal.any([invocation.signal, lost.signal]);
  await using _lock = await acquireLock(lockFile, { waitSeconds: 0, signal, onLost: (error) => lost.abort(error) });
  await using destination = await openDestination(config);
  const host = hostname ?? config.hostname;
  await destination.sweep(host, { signal });
  const failures: unknown[] = [];
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      signal.throwIfAborted();
      failures.push(error);
      terminal.fail(error);
    }
  };
  const common = { now: () => new Date(), log, signal };
  for (const media of KINDS) {
    const shelf = shelfOf(destination, host, media);
    const expiry = { ...common, interval: undefined, shelf, retention: config.retention };
    await attempt(() => expireHost(expiry, media));
  }
  const { mysql } = config;
  if (mysql !== undefined) {
    await attempt(() => expireLogs({ ...common, shelf: shelfOf(destination, host, "binlog") }, destination, mysql));
  }
  return failures.length === 0 ? 0 : exitStatusOf(failures[0]);
}

type Common = { readonly now: () => Date; readonly log: Log; readonly signal: AbortSignal };

/** Only when the copies of the server are known for sure is it known which logs they need. */
async function expireLogs(
  expiry: Common & { readonly shelf: Shelf<"binlog"> },
  destination: Destination,
  { expireLogDays: expireDays }: MysqlOptions,
): Promise<void> {
  const { signal, shelf } = expiry;
  const { status, doubtful } = await shelfOf(destination, shelf.host, "mysql").status.load({ signal });
  const forebears = () => forebearsOf(destination, shelf.host, { signal });
  const logs = { ...expiry, expireDays, removesExpired: true, forebears };
  if (!doubtful) await expireHostBinlogs(logs, { copies: status.copies });
}

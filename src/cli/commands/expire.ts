import type { TimedCopy } from "../../domain/retention.ts";
import { expireHost } from "../../job/expire.ts";
import { acquireLock } from "../../lib/lock.ts";
import { openContext, openDestination, shelfOf } from "../context.ts";
import { exitStatusOf } from "../exit-status.ts";
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
  for (const media of KINDS) {
    try {
      const shelf = shelfOf(destination, host, media);
      const { retention } = config;
      await expireHost({ interval: undefined, shelf, retention, now: () => new Date(), log, signal }, media);
    } catch (error) {
      signal.throwIfAborted();
      failures.push(error);
      terminal.fail(error);
    }
  }
  return failures.length === 0 ? 0 : exitStatusOf(failures[0]);
}

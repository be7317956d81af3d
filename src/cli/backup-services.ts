import type { Config } from "../config/options.ts";
import type { Destination } from "../destination/destination.ts";
import type { Interval } from "../domain/interval.ts";
import type { TimedCopy } from "../domain/retention.ts";
import type { Backup, LocalShelf } from "../job/take-copy.ts";
import { compress } from "../modifier/compress.ts";
import { openGpg } from "../modifier/gpg.ts";
import type { Modifier } from "../modifier/modifier.ts";
import { type Context, shelfOf } from "./context.ts";
import type { Invocation } from "./invocation.ts";
import { keptCopies } from "./kept-copies.ts";
import { progressOn } from "./progress.ts";

/** What a part of a run is started with. */
export type PartOptions = { readonly invocation: Invocation; readonly onFailure: (error: unknown) => void };

type Request<M> = PartOptions & {
  readonly media: M;
  readonly interval: Interval;
  readonly destination: Destination;
};

/** What every backup works with, as the config says. */
export async function backupServices<M extends TimedCopy["media"]>(
  { config, log }: Context,
  { media, interval, destination, invocation, onFailure }: Request<M>,
): Promise<Backup<M>> {
  const { signal, terminal } = invocation;
  return {
    interval,
    shelf: shelfOf(destination, config.hostname, media),
    local: localOf(config, interval, media),
    compress: compress(config.compression),
    encrypt: await encryptionOf(config, signal),
    retention: config.retention,
    removesExpired: config.removesExpired,
    idleSeconds: config.run.idleSeconds,
    progress: (label, expected) => progressOn(terminal, label, expected),
    now: () => new Date(),
    log,
    onFailure,
    signal,
  };
}

function encryptionOf({ gpg }: Config, signal: AbortSignal): Promise<Modifier> | undefined {
  return gpg?.recipient === undefined ? undefined : openGpg(gpg, { signal });
}

/** `undefined` when no second copy is kept, also because its retention is 0. */
function localOf(config: Config, interval: Interval, media: TimedCopy["media"]): LocalShelf | undefined {
  const { keepLocalPath: root, retentionLocal: policy, hostname: host } = config;
  if (root === undefined || policy[interval] === 0) return undefined;
  return keptCopies(root, { host, media, policy });
}

import type { Config } from "../config/options.ts";
import type { Destination } from "../destination/destination.ts";
import type { Media } from "../domain/copy.ts";
import type { Interval } from "../domain/interval.ts";
import type { TimedCopy } from "../domain/retention.ts";
import type { Backup, LocalShelf } from "../job/take-copy.ts";
import type { Workshop } from "../job/workshop.ts";
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

/** What every timed backup works with, as the config says. */
export async function backupServices<M extends TimedCopy["media"]>(
  context: Context,
  { interval, ...request }: Request<M>,
): Promise<Backup<M>> {
  const { config } = context;
  return {
    ...(await workshopOf(context, request)),
    interval,
    local: localOf(config, interval, request.media),
    retention: config.retention,
  };
}

/** What every backup works with, as the config says, but for second copies on this host. */
export async function workshopOf<M extends Media>(
  { config, log }: Context,
  { media, destination, invocation, onFailure }: Omit<Request<M>, "interval">,
): Promise<Omit<Workshop<M>, "local">> {
  const { signal, terminal } = invocation;
  return {
    shelf: shelfOf(destination, config.hostname, media),
    compress: compress(config.compression),
    encrypt: await encryptionOf(config, signal),
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

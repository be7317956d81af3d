import type { Config } from "../config/options.ts";
import type { Destination } from "../destination/destination.ts";
import type { Interval } from "../domain/interval.ts";
import { backupFiles } from "../job/backup-files.ts";
import type { Part } from "../job/run.ts";
import type { LocalShelf } from "../job/take-copy.ts";
import { compress } from "../modifier/compress.ts";
import { openGpg } from "../modifier/gpg.ts";
import type { Modifier } from "../modifier/modifier.ts";
import { filesSource } from "../source/files.ts";
import { explainCopying } from "../source/tar.ts";
import { type Context, openDestination, shelfOf } from "./context.ts";
import type { Invocation } from "./invocation.ts";
import { keptCopies } from "./kept-copies.ts";
import { progressOn } from "./progress.ts";

type PartOptions = { readonly invocation: Invocation; readonly onFailure: (error: unknown) => void };

/** The part of a run that backs up directories. */
export function filesPart(interval: Interval, context: Context, { invocation, onFailure }: PartOptions): Part {
  return {
    name: "files",
    async run() {
      await using destination = await openDestination(context.config);
      const encrypt = await encryptionOf(context.config, invocation.signal);
      await backupFiles({
        interval,
        ...partsOf(context.config, destination, interval),
        compress: compress(context.config.compression),
        encrypt,
        progress: (label, expected) => progressOn(invocation.terminal, label, expected),
        now: () => new Date(),
        log: context.log,
        explain: explainCopying,
        onFailure,
        signal: invocation.signal,
      });
    },
  };
}

function encryptionOf({ gpg }: Config, signal: AbortSignal): Promise<Modifier> | undefined {
  return gpg?.recipient === undefined ? undefined : openGpg(gpg, { signal });
}

function partsOf(config: Config, destination: Destination, interval: Interval) {
  const { source, run } = config;
  return {
    directories: source.directories,
    shelf: shelfOf(destination, config.hostname, "files"),
    local: localOf(config, interval),
    retention: config.retention,
    idleSeconds: run.idleSeconds,
    openSource: (directory: string, name: string, onProgress: (bytes: number) => void) =>
      filesSource({
        directory,
        name,
        excludes: source.excludes,
        tarOptions: source.tarOptions,
        idleSeconds: run.idleSeconds,
        onProgress,
      }),
  };
}

/** `undefined` when no second copy is kept, also because its retention is 0. */
function localOf({ keepLocalPath, retentionLocal, hostname }: Config, interval: Interval): LocalShelf | undefined {
  if (keepLocalPath === undefined || retentionLocal[interval] === 0) return undefined;
  return keptCopies(keepLocalPath, hostname, retentionLocal);
}

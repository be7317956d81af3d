import type { Interval } from "../domain/interval.ts";
import { backupFiles } from "../job/backup-files.ts";
import type { Part } from "../job/run.ts";
import { filesSource } from "../source/files.ts";
import { explainCopying } from "../source/tar.ts";
import { backupServices, type PartOptions } from "./backup-services.ts";
import { type Context, openDestination } from "./context.ts";

/** The part of a run that backs up directories. */
export function filesPart(interval: Interval, context: Context, options: PartOptions): Part {
  const { source, run } = context.config;
  return {
    name: "files",
    async run() {
      await using destination = await openDestination(context.config, { log: context.log });
      await backupFiles({
        ...(await backupServices(context, { ...options, media: "files", interval, destination })),
        directories: source.directories,
        openSource: (directory, name, onProgress) =>
          filesSource({
            directory,
            name,
            excludes: source.excludes,
            tarOptions: source.tarOptions,
            idleSeconds: run.idleSeconds,
            onProgress,
          }),
        explain: explainCopying,
      });
    },
  };
}

import { loadConfig, secretsOf } from "../config/config.ts";
import type { Config } from "../config/options.ts";
import type { Destination } from "../destination/destination.ts";
import type { Media } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import type { Shelf } from "../job/shelf.ts";
import type { Log } from "../lib/log.ts";
import { Manifests } from "../status/manifests.ts";
import { StatusStore } from "../status/store.ts";
import type { Invocation } from "./invocation.ts";
import { createLog } from "./log.ts";

/** What every command that reads the config works with. */
export type Context = {
  readonly config: Config;
  readonly log: Log;
  /** What is odd in the config: news for a backup and a check, noise for a restore. */
  readonly warnings: readonly string[];
};

/** Load the config, and keep its secrets out of everything printed from here on. */
export async function openContext({ terminal, configPath, debug }: Invocation): Promise<Context> {
  const { config, warnings } = await loadConfig(configPath, { uid: process.getuid?.() ?? 0 });
  terminal.hide(secretsOf(config));
  const level = debug ? "debug" : terminal.isInteractive ? "info" : "warn";
  const log = createLog({ level, redact: terminal.redact, write: (text) => terminal.note(text) });
  return { config, log, warnings };
}

/** Open the destination of the config; each call is tried again where that can help. */
export async function openDestination({ destination: options }: Config): Promise<Destination> {
  if (options.kind !== "local" && options.kind !== "ssh") {
    throw new BackupError(
      "CONFIG_INVALID",
      `Cannot open a destination of kind "${options.kind}": this version knows local and ssh`,
      {
        hint: "Set backup_destination in [destination] to local or ssh.",
      },
    );
  }
  const [{ openDestination: open }, { retrying }] = await Promise.all([
    import("../destination/open.ts"),
    import("../destination/retrying.ts"),
  ]);
  return retrying(await open(options));
}

/** Where the copies of one media of a host are. */
export function shelfOf<M extends Media>(destination: Destination, host: string, media: M): Shelf<M> {
  return {
    host,
    destination,
    manifests: new Manifests(destination),
    status: new StatusStore(destination, { host, media }),
  };
}

import { loadConfig, secretsOf } from "../config/config.ts";
import type { Config } from "../config/options.ts";
import type { Destination } from "../destination/destination.ts";
import { openDestination as open } from "../destination/open.ts";
import { readOnly } from "../destination/read-only.ts";
import { retrying } from "../destination/retrying.ts";
import type { Media } from "../domain/copy.ts";
import type { Shelf } from "../job/shelf.ts";
import type { Log } from "../lib/log.ts";
import { Manifests } from "../status/manifests.ts";
import { StatusStore } from "../status/store.ts";
import type { Invocation } from "./invocation.ts";

/** What every command that reads the config works with. */
export type Context = {
  readonly config: Config;
  readonly log: Log;
  /** What is odd in the config: news for a backup and a check, noise for a restore. */
  readonly warnings: readonly string[];
};

/** Load the config, and keep its secrets out of everything printed from here on. */
export async function openConfig({ terminal, configPath }: Invocation): Promise<Omit<Context, "log">> {
  const { config, warnings } = await loadConfig(configPath, { uid: process.getuid?.() ?? 0 });
  terminal.hide(secretsOf(config));
  return { config, warnings };
}

/** The log of a command, after its config was opened. Its library takes time to load: a quick command asks when it has something to say. A service tells more. */
export async function openLog({ terminal, debug }: Invocation, isService = false): Promise<Log> {
  const { createLog } = await import("./log.ts");
  const level = debug ? "debug" : terminal.isInteractive || isService ? "info" : "warn";
  return createLog({ level, redact: terminal.redact, write: (text) => terminal.note(text) });
}

/** What a command that does something works with: `openConfig()` and `openLog()`. */
export async function openContext(invocation: Invocation): Promise<Context> {
  const opened = await openConfig(invocation);
  return { ...opened, log: await openLog(invocation) };
}

type OpenOptions = {
  readonly isReadOnly?: boolean;
  /** Where a user's own driver says what it has to say. */
  readonly log?: Log;
};

/**
 * Open the destination of the config; each call is tried again where that can help. A command that only reads says so: then nothing it does
 * can change what is there.
 */
export async function openDestination(
  { destination: options }: Config,
  { isReadOnly = false, log }: OpenOptions = {},
): Promise<Destination> {
  const destination = retrying(await open(options, log));
  return isReadOnly ? readOnly(destination) : destination;
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

import type { Invocation } from "./invocation.ts";

/** The options of every command, as typed. */
export type Globals = {
  readonly config: string;
  readonly debug?: true;
  readonly xtrabackupBinary?: string;
  readonly xbstreamBinary?: string;
};

/** What the options of every command say. */
export function invocationOf(globals: Globals): Omit<Invocation, "terminal" | "signal"> {
  const { config, debug, xtrabackupBinary, xbstreamBinary } = globals;
  const binaries = { xtrabackup: xtrabackupBinary, xbstream: xbstreamBinary };
  return { configPath: config, debug: debug === true, binaries };
}

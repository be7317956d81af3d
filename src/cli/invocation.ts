import type { Terminal } from "./terminal.ts";

/** What every command is given besides its own options. */
export type Invocation = {
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
  readonly configPath: string;
  readonly debug: boolean;
  /** Programs named on the command line; they go before those of the config. */
  readonly binaries: { readonly xtrabackup: string | undefined; readonly xbstream: string | undefined };
};

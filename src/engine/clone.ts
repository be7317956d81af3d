import type { Restorer } from "./engine.ts";

/**
 * Owners go by number: the host that restores may know other users, and the data directory is given to its server afterwards anyway.
 * tar would leave what lies behind its end mark unread; so it reads on.
 */
const UNPACK_ARGS = ["-x", "-f", "-", "--ignore-zeros", "--numeric-owner", "--same-permissions"] as const;

/**
 * Restores what MySQL's CLONE plugin wrote: an archive of a data directory that a server can start on.
 * @param version of the server that took it.
 */
export function cloneRestorer(version: string): Restorer {
  return {
    name: "clone",
    version,
    format: "tar",
    lastFiles: [],
    unpack: (directory) => ({ file: "tar", args: [...UNPACK_ARGS, "-C", directory] }),
    prepare: () => undefined,
    checkPrepared: () => undefined,
  };
}

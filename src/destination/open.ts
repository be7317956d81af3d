import type { Destination } from "./destination.ts";
import type { LocalOptions, SshOptions } from "./options.ts";

/** Open the destination that was configured. Loads only the code, and so the packages, that its kind needs. */
export async function openDestination(options: LocalOptions | SshOptions): Promise<Destination> {
  switch (options.kind) {
    case "local":
      return (await import("./local.ts")).openLocal(options);
    case "ssh":
      return (await import("./ssh.ts")).openSsh(options);
    default:
      return options satisfies never;
  }
}

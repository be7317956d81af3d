import type { Destination } from "./destination.ts";
import type { DestinationOptions } from "./options.ts";

/** Open the destination that was configured. Loads only the code, and so the packages, that its kind needs. */
export async function openDestination(options: DestinationOptions): Promise<Destination> {
  switch (options.kind) {
    case "local":
      return (await import("./local.ts")).openLocal(options);
    case "ssh":
      return (await import("./ssh.ts")).openSsh(options);
    default:
      return options satisfies never;
  }
}

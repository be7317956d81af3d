import type { Destination } from "./destination.ts";
import type { LocalOptions } from "./options.ts";

/** Open the destination that was configured. Loads only the code, and so the packages, that its kind needs. */
export async function openDestination(options: LocalOptions): Promise<Destination> {
  switch (options.kind) {
    case "local":
      return (await import("./local.ts")).openLocal(options);
    default:
      return options.kind satisfies never;
  }
}

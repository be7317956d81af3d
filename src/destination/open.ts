import type { Log } from "../lib/log.ts";
import type { Destination } from "./destination.ts";
import type { DestinationOptions } from "./options.ts";

/** Open the destination that was configured. Loads only the code, and so the packages, that its kind needs. `log` is for a user's own driver. */
export async function openDestination(options: DestinationOptions, log?: Log): Promise<Destination> {
  switch (options.kind) {
    case "local":
      return (await import("./local.ts")).openLocal(options);
    case "ssh":
      return (await import("./ssh.ts")).openSsh(options);
    case "s3":
      return (await import("./s3.ts")).openS3(options);
    case "gcs":
      return (await import("./gcs.ts")).openGcs(options);
    case "az":
      return (await import("./az.ts")).openAz(options);
    case "module":
      return (await import("./module.ts")).openModule(options, log && { log, count: () => {} });
    default:
      return options satisfies never;
  }
}

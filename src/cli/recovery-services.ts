import type { Config } from "../config/options.ts";
import type { Destination } from "../destination/destination.ts";
import type { BinlogCatalogue } from "../domain/binlog-catalogue.ts";
import { listCopies } from "../job/list.ts";
import type { MysqlRecovery } from "../job/recover-mysql.ts";
import type { Log } from "../lib/log.ts";
import { openReplayServer } from "../mysql/replay-server.ts";
import { storedParts } from "./mysql-reading.ts";
import { catalogueIn } from "./windows.ts";

type Listing = { readonly host: string; readonly log: Log; readonly signal: AbortSignal };

/** The archived binary logs of a host, and of those that took over from it. */
export async function catalogueFor(destination: Destination, { host, log, signal }: Listing): Promise<BinlogCatalogue> {
  const listing = await listCopies(destination, { host, media: "binlog", signal });
  for (const warning of listing.warnings) log.warn(warning);
  return catalogueIn(host, listing);
}

type Services = {
  readonly config: Config;
  readonly destination: Destination;
  readonly memoryBytes: number;
  readonly signal: AbortSignal;
};

/** What reads archived logs, and starts the server they are replayed on. */
export function replayServices({
  config,
  destination,
  memoryBytes,
  signal,
}: Services): Pick<MysqlRecovery, "openLog" | "openServer"> {
  return {
    openLog: storedParts({ config, destination, preferKept: false, signal }),
    openServer: ({ vendor, serverVersion = "" }, directory, options) =>
      openReplayServer({ ...options, directory, vendor, serverVersion, memoryBytes, signal }),
  };
}

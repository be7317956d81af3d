/** Replay binary logs on a data directory, as a restore does: `node test/bench/replay-once.ts VERSION DATADIR LOG…`. */
import { createReadStream } from "node:fs";
import { scanBinlog } from "../../src/mysql/binlog-events.ts";
import { openReplayServer } from "../../src/mysql/replay-server.ts";

const [, , serverVersion = "", directory = "", ...logs] = process.argv;
const { signal } = new AbortController();
const request = {
  directory,
  vendor: "mariadb",
  serverVersion,
  held: undefined,
  // As their records say of nearly all logs.
  loadsFiles: false,
  memoryBytes: 128 << 20,
  signal,
} as const;

await using server = await openReplayServer(request);
for (const file of logs) {
  const { log } = await scanBinlog(createReadStream(file), file);
  await server.apply({ file, from: log.firstOffset, to: log.endOffset });
}
await server.complete(undefined);

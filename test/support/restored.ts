import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Database, DatabaseOptions } from "./servers/database.ts";

/** Start a server on a restored data directory as on any other, and remove both afterwards. */
export async function lookInto<T>(
  datadir: string,
  start: (options: DatabaseOptions) => Promise<Database>,
  look: (server: Database) => Promise<T>,
): Promise<T> {
  rmSync(join(datadir, "_config"), { recursive: true, force: true });
  const server = await start({ datadir });
  try {
    return await look(server);
  } finally {
    // It is not needed any more, so there is nothing to shut down cleanly.
    server.kill();
    await server.stop();
    rmSync(datadir, { recursive: true, force: true });
  }
}

import type { MysqlCopy } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import { seriesOf } from "../domain/server.ts";
import { checkTables, type TableProblem } from "../mysql/check-tables.ts";
import { type Client, openClient } from "../mysql/client.ts";
import { startPrivateServer } from "../mysql/private-server.ts";
import { findServer } from "../mysql/server-binary.ts";
import { changedTables, tableChecksums } from "../mysql/table-checksums.ts";

type Options = { readonly signal: AbortSignal };

function wantedBy({ vendor, serverVersion = "" }: MysqlCopy) {
  return { vendor, serverVersion };
}

/** Whether a server is installed here that can read the data of a copy. */
export async function canBoot(copy: MysqlCopy, { signal }: Options): Promise<boolean> {
  try {
    await findServer(wantedBy(copy), signal);
    return true;
  } catch (error) {
    if (error instanceof BackupError && error.code === "CONFIG_INVALID") return false;
    throw error;
  }
}

/**
 * Start a server on a restored copy, let it read every table, and compare the checksums that were recorded.
 * @throws {BackupError} DATA_DAMAGED when the server refuses the data, CONFIG_INVALID when none is installed that could read it.
 */
export async function bootAndCheck(
  copy: MysqlCopy,
  directory: string,
  { signal }: Options,
): Promise<readonly TableProblem[]> {
  await using server = await startPrivateServer({ ...wantedBy(copy), directory, signal });
  try {
    await using client = await openClient({ socket: server.socket }, { signal });
    return [...(await checkTables(client, { signal })), ...(await compareChecksums(client, copy, { signal }))];
  } catch (error) {
    throw await server.explain(error);
  }
}

/** Another series of the server may sum up the same rows otherwise, so nothing is compared there. */
async function compareChecksums(client: Client, { checksums, serverVersion }: MysqlCopy, options: Options) {
  if (checksums === undefined || serverVersion === undefined) return [];
  const found = (await client.value("SELECT @@version")) ?? "";
  return seriesOf(found) === seriesOf(serverVersion)
    ? changedTables(checksums, await tableChecksums(client, options))
    : [];
}

import type { Vendor } from "../domain/copy.ts";
import { containsGtids, formatGtidSet, parseGtidSet, subtractGtids } from "../domain/gtid-set.ts";
import type { Client } from "./client.ts";
import { DROP_ACCOUNT } from "./private-account.ts";

const SYSTEM_SCHEMAS = "('mysql', 'information_schema', 'performance_schema', 'sys')";

/** The GTID set a server of MySQL has executed. */
export async function executedGtids(client: Client): Promise<string> {
  return ((await client.value("SELECT @@GLOBAL.gtid_executed")) ?? "").replaceAll(/\s+/g, "");
}

/**
 * Have a restored server of MySQL know the GTIDs its copy holds, so that those are skipped and the next ones keep theirs.
 * @param held what is recorded of the copy; `undefined` leaves it to what the data tells.
 * @returns the set it has executed then.
 */
export async function takeUpGtids(client: Client, held: string | undefined): Promise<string> {
  const executed = await executedGtids(client);
  const recorded = parseGtidSet(held ?? "");
  if (containsGtids(parseGtidSet(executed), recorded)) return executed;
  const missing = formatGtidSet(subtractGtids(recorded, parseGtidSet(executed)));
  await client.rows("SET GLOBAL gtid_purged = ?", [`+${missing}`]);
  return executedGtids(client);
}

/** Whether all tables of users are of InnoDB: then what a killed server holds is a whole number of transactions, and its GTIDs tell which. */
export async function isTransactional(client: Client): Promise<boolean> {
  const others = await client.value(
    `SELECT COUNT(*) FROM information_schema.tables
      WHERE table_type = 'BASE TABLE' AND engine <> 'InnoDB' AND table_schema NOT IN ${SYSTEM_SCHEMAS}`,
  );
  return others === "0";
}

/**
 * Leave a server as one that has executed what was replayed, without the account of the replay. MySQL keeps GTIDs by itself; MariaDB is told
 * `position`, which it goes on from when it writes a binary log, and asks its source for what follows as a replica.
 */
export async function settle(client: Client, vendor: Vendor, position: string | undefined): Promise<void> {
  if (vendor === "mariadb" && position !== undefined) await client.rows("SET GLOBAL gtid_slave_pos = ?", [position]);
  await client.rows(DROP_ACCOUNT);
}

import { quoteName, type TableProblem } from "./check-tables.ts";
import type { Client } from "./client.ts";

/** The users' own tables; the server writes to its own whenever it likes. */
const TABLES = `SELECT table_schema AS s, table_name AS t FROM information_schema.tables
  WHERE table_type NOT LIKE '%VIEW' AND table_schema NOT IN ('information_schema', 'performance_schema', 'mysql', 'sys')
  ORDER BY table_schema, table_name`;

/** Checksums of tables' rows as `CHECKSUM TABLE` gives them, by `schema.table`. */
export type TableChecksums = ReadonlyMap<string, string>;

/** Have the server read all rows of every table. Tables that went away meanwhile, or whose engine cannot, are absent. */
export async function tableChecksums(client: Client, { signal }: { signal: AbortSignal }): Promise<TableChecksums> {
  const found = new Map<string, string>();
  for (const { s: schema = "", t: table = "" } of await client.rows(TABLES)) {
    signal.throwIfAborted();
    const [row] = await client.rows(`CHECKSUM TABLE ${quoteName(schema)}.${quoteName(table)}`);
    const checksum = row?.["Checksum"];
    if (checksum !== undefined) found.set(`${schema}.${table}`, checksum);
  }
  return found;
}

/** The tables whose recorded checksum is not what the server finds now, or that are not there. */
export function changedTables(recorded: TableChecksums, found: TableChecksums): TableProblem[] {
  return [...recorded].flatMap(([table, checksum]) => {
    const now = found.get(table);
    if (now === checksum) return [];
    const what = now === undefined ? "it is not there" : `its checksum is ${now}`;
    return [{ table, message: `${what}, ${checksum} was recorded` }];
  });
}

import type { Client, Row } from "./client.ts";

/** What a server found wrong with a table. */
export type TableProblem = {
  /** Such as `shop.orders`. */
  readonly table: string;
  /** The server's own words. */
  readonly message: string;
};

/** Views have no data, and the tables of these schemas live in memory. */
const TABLES = `SELECT table_schema AS s, table_name AS t FROM information_schema.tables
  WHERE table_type NOT LIKE '%VIEW' AND table_schema NOT IN ('information_schema', 'performance_schema')
  ORDER BY table_schema, table_name`;

/** InnoDB's own list, on servers that keep definitions of tables in files beside it. */
const HAS_OWN_LIST = `SELECT COUNT(*) FROM information_schema.tables
  WHERE table_schema = 'information_schema' AND table_name = 'INNODB_SYS_TABLES'`;

/** Its names are written as those of files: \`odd@0020db/t#P#p0\`. Indexes of words and rests of a broken ALTER are no tables. */
const OWN_LIST = `SELECT DISTINCT ${fromFileName("SUBSTRING_INDEX(name, '/', 1)")} AS s,
  ${fromFileName("SUBSTRING_INDEX(SUBSTRING_INDEX(SUBSTRING_INDEX(name, '/', -1), '#P#', 1), '#p#', 1)")} AS t
  FROM information_schema.innodb_sys_tables
  WHERE name LIKE '%/%' AND name NOT LIKE '%/FTS\\_0%' AND name NOT LIKE '%/#sql%' ORDER BY name`;

/** Without it nobody can log in; a server that asks for no password does not miss it. */
const ACCOUNTS = "mysql.db";

function fromFileName(name: string): string {
  return `CONVERT(CONVERT(CAST(${name} AS BINARY) USING filename) USING utf8mb4)`;
}

/** A table of an older server is read all the same; to rewrite it is up to its owner. */
const OLD_FORMAT = /(?:upgrade|rebuild) required/i;

const SOUND = new Set(["OK", "Table is already up to date"]);

/** Write a name so that no character of it means anything to the server. */
export function quoteName(name: string): string {
  return `\`${name.replaceAll("`", "``")}\``;
}

/**
 * Have the server read every table of every schema to its end, and miss those that ought to be there. Tables of an engine that cannot
 * check are left out.
 * @returns one entry per table with a problem.
 * @throws {BackupError} UNREACHABLE when the session is lost, which is how a server answers that crashes on what it reads.
 */
export async function checkTables(client: Client, { signal }: { signal: AbortSignal }): Promise<TableProblem[]> {
  const tables = (await client.rows(TABLES)).map(toTable);
  const problems = await findMissing(client, new Set(tables.map(({ name }) => name)));
  for (const { name, quoted } of tables) {
    signal.throwIfAborted();
    const message = problemOf(await client.rows(`CHECK TABLE ${quoted}`));
    if (message !== undefined) problems.push({ table: name, message });
  }
  return problems;
}

function toTable({ s: schema = "", t: table = "" }: Row): { readonly name: string; readonly quoted: string } {
  return { name: `${schema}.${table}`, quoted: `${quoteName(schema)}.${quoteName(table)}` };
}

async function findMissing(client: Client, listed: ReadonlySet<string>): Promise<TableProblem[]> {
  const missing = listed.has(ACCOUNTS) ? [] : [{ table: ACCOUNTS, message: "the table is not there" }];
  if ((await client.value(HAS_OWN_LIST)) !== "1") return missing;
  const orphans = (await client.rows(OWN_LIST)).map(toTable).filter(({ name }) => !listed.has(name));
  return [
    ...missing,
    ...orphans.map(({ name }) => ({ table: name, message: "InnoDB has its data, its definition is not there" })),
  ];
}

/**
 * What the rows of one `CHECK TABLE` complain of. Warnings count only beside an error: tables of MyISAM and Aria warn of not having been
 * closed in every hot copy.
 */
export function problemOf(rows: readonly Row[]): string | undefined {
  const said = rows.map((row) => ({ type: (row["Msg_type"] ?? "").toLowerCase(), text: row["Msg_text"] ?? "" }));
  const isBad = said.some(
    ({ type, text }) => (type === "error" || (type === "status" && !SOUND.has(text))) && !OLD_FORMAT.test(text),
  );
  if (!isBad) return undefined;
  const texts = said.filter(({ type, text }) => type !== "note" && !SOUND.has(text)).map(({ text }) => text);
  return [...new Set(texts)].join("; ");
}

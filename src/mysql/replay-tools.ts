import { dirname, join, resolve } from "node:path";
import type { Vendor } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import { text } from "../lib/command.ts";
import { findProgram } from "../lib/programs.ts";

/** The programs that bring binary logs to a server. */
export type ReplayTools = {
  /** Reads binary logs and writes statements. */
  readonly reader: string;
  /** Reads statements and runs them. */
  readonly client: string;
};

type Pair = readonly [reader: string, client: string];

const PAIRS: Readonly<Record<"mariadb" | "mysql", readonly Pair[]>> = {
  mariadb: [
    ["mariadb-binlog", "mariadb"],
    ["mysqlbinlog", "mysql"],
  ],
  mysql: [["mysqlbinlog", "mysql"]],
};

/**
 * Find the tools of a server: those that lie beside its program, else installed ones of its family.
 * @param program absolute path of the server's program.
 * @throws {BackupError} CONFIG_INVALID when they are not installed.
 */
export async function findReplayTools(program: string, vendor: Vendor, signal: AbortSignal): Promise<ReplayTools> {
  const pairs = PAIRS[vendor === "mariadb" ? "mariadb" : "mysql"];
  const beside = [dirname(program), resolve(dirname(program), "../bin")];
  const places = [...beside.map((directory) => (name: string) => join(directory, name)), (name: string) => name];
  for (const place of places) {
    for (const [reader, client] of pairs) {
      const tools = { reader: findProgram(place(reader)), client: findProgram(place(client)) };
      if (tools.reader === undefined || tools.client === undefined) continue;
      if (await isOf(vendor, tools.client, signal)) return { reader: tools.reader, client: tools.client };
    }
  }
  const [wanted = ["", ""]] = pairs;
  throw new BackupError("CONFIG_INVALID", `Cannot replay binary logs: ${wanted.join(" and ")} are not installed`, {
    hint: `Install the client programs of the server "${program}" on this host.`,
  });
}

async function isOf(vendor: Vendor, client: string, signal: AbortSignal): Promise<boolean> {
  const said = await text({ file: client, args: ["--no-defaults", "--version"] }, { signal });
  return /mariadb/i.test(said.replace(client, "")) === (vendor === "mariadb");
}

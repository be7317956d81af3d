import { BackupError } from "../domain/errors.ts";
import {
  extractorNames,
  hasClone,
  labelOf,
  mismatch,
  type Need,
  neverFits,
  programNames,
  type Server,
  seriesFor,
  toolOf,
} from "./choose.ts";
import { cloneRestorer } from "./clone.ts";
import type { Engine, EngineName, Restorer } from "./engine.ts";
import { mariadbBackup } from "./mariadb-backup.ts";
import { type Program, readOptions, readVersion, type Tool } from "./tool.ts";
import { xtrabackup } from "./xtrabackup.ts";

/** Another host, asked about its programs. */
export type FarPrograms = {
  /** For people, such as `root@db7:22`. */
  readonly name: string;
  /** All that a program says when it is run, whatever its status; `undefined` when it is not installed. */
  readonly ask: (file: string, args: readonly string[]) => Promise<string | undefined>;
};

/** Programs that the user named for a host; `undefined` looks them up. */
export type FarBinaries = { readonly tool: string | undefined; readonly extractor: string | undefined };

const UNPACK_THREADS = 4;

async function extractorOn(
  host: FarPrograms,
  need: Need,
  binaries: FarBinaries & { readonly file: string },
): Promise<Program> {
  const names = binaries.extractor === undefined ? extractorNames(need.name, binaries.file) : [binaries.extractor];
  for (const file of names) {
    const help = await host.ask(file, ["--help"]);
    if (help !== undefined) return { file, options: readOptions(help) };
  }
  throw new BackupError("CONFIG_INVALID", `Cannot unpack on "${host.name}": ${names.join(" or ")} is not installed`, {
    hint: `Install ${labelOf(need)} there, which brings it.`,
  });
}

async function toolOn(
  host: FarPrograms,
  server: Server,
  binaries: FarBinaries,
): Promise<Tool & { readonly need: Need }> {
  const name = toolOf(server.vendor);
  const need = { name, series: seriesFor(name, server.version) };
  const hint = `Install ${labelOf(need)} there.`;
  let why = `${labelOf(need)} is not installed`;
  for (const file of binaries.tool === undefined ? programNames(need) : [binaries.tool]) {
    const version = readVersion((await host.ask(file, ["--no-defaults", "--version"])) ?? "");
    if (version === undefined) continue;
    const wrong = mismatch(version, server);
    if (wrong !== undefined) {
      why = `"${file}" does not fit, ${wrong}`;
      continue;
    }
    const help = (await host.ask(file, ["--no-defaults", "--help"])) ?? "";
    const nothing: Program = { file, options: new Map() };
    return {
      file,
      version: version.version,
      options: readOptions(help),
      extractor: nothing,
      threads: UNPACK_THREADS,
      need,
    };
  }
  throw new BackupError("CONFIG_INVALID", `Cannot copy by "${host.name}": ${why}`, { hint });
}

function build(tool: Tool & { readonly need: Need }): Engine {
  return tool.need.name === "xtrabackup" ? xtrabackup(tool) : mariadbBackup(tool);
}

/**
 * Choose what streams a server of another host: the tool of its vendor there, or the server's own CLONE where that is asked for, or no tool is there.
 * @throws {BackupError} CONFIG_INVALID when nothing fits, naming what to install.
 */
export async function openFarEngine(
  host: FarPrograms,
  server: Server,
  { wanted, ...binaries }: FarBinaries & { readonly wanted: "auto" | EngineName },
): Promise<Engine | "clone"> {
  if (wanted === "clone" && hasClone(server)) return "clone";
  const never =
    wanted === "auto" ? undefined : wanted === "clone" ? `${server.version} has no CLONE` : neverFits(wanted, server);
  if (never !== undefined) {
    throw new BackupError("CONFIG_INVALID", `Cannot copy the server with "${wanted}": ${never}`, {
      hint: "Set engine=auto under [mysql].",
    });
  }
  try {
    return build(await toolOn(host, server, binaries));
  } catch (error) {
    if (wanted === "auto" && binaries.tool === undefined && hasClone(server)) return "clone";
    throw error;
  }
}

/**
 * Find what unpacks and prepares the stream of `engine` on another host: the same tool in the same series, and what unpacks for it.
 * @throws {BackupError} CONFIG_INVALID when it is not installed there, naming it.
 */
export async function openFarRestorer(
  host: FarPrograms,
  server: Server,
  { engine, ...binaries }: FarBinaries & { readonly engine: EngineName },
): Promise<Restorer> {
  if (engine === "clone") {
    if ((await host.ask("tar", ["--version"])) !== undefined) return cloneRestorer(server.version);
    throw new BackupError("CONFIG_INVALID", `Cannot unpack on "${host.name}": tar is not installed`, {
      hint: "Install GNU tar there.",
    });
  }
  const tool = await toolOn(host, server, binaries);
  return build({ ...tool, extractor: await extractorOn(host, tool.need, { ...binaries, file: tool.file }) });
}

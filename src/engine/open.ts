import { realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { BackupError } from "../domain/errors.ts";
import { text } from "../lib/command.ts";
import { findProgram, requireProgram } from "../lib/programs.ts";
import {
  type CopyOrigin,
  canPrepare,
  extractorNames,
  hasClone,
  isClone,
  labelOf,
  mismatch,
  type Need,
  needOf,
  neverFits,
  programNames,
  type Server,
  seriesFor,
  toolOf,
} from "./choose.ts";
import { cloneRestorer } from "./clone.ts";
import type { Engine, EngineName, Restorer } from "./engine.ts";
import { mariadbBackup } from "./mariadb-backup.ts";
import { type Program, readOptions, readVersion, type Tool, type ToolName } from "./tool.ts";
import { xtrabackup } from "./xtrabackup.ts";

/** Programs that the user named; `undefined` looks them up. */
export type Binaries = { readonly xtrabackup: string | undefined; readonly xbstream: string | undefined };

type Options = { readonly signal: AbortSignal };

/** An installed tool, and which it is. */
type Found = { readonly name: ToolName; readonly tool: Tool };

/** More threads do not unpack faster. */
const UNPACK_THREADS = 4;

/** All that a program says. Option files are left out: a bad line in them would be blamed on the program. */
async function ask(file: string, { option, signal }: Options & { readonly option: string }): Promise<string> {
  let stderr = "";
  const stdout = await text(
    { file, args: ["--no-defaults", option] },
    { signal, onFinish: (finished) => (stderr = finished.stderr) },
  );
  return `${stdout}\n${stderr}`;
}

/** The options of an extractor, which takes no `--no-defaults`; none where it does not tell. */
async function openExtractor(file: string, { signal }: Options): Promise<Program> {
  const help = await text({ file, args: ["--help"], warningStatuses: [1, 2] }, { signal });
  return { file, options: readOptions(help) };
}

/** The program that unpacks: the configured one, else the one beside the tool, else any. */
async function extractorOf(
  { name, file }: { readonly name: ToolName; readonly file: string },
  configured: string | undefined,
  options: Options,
): Promise<Program> {
  if (configured !== undefined) return openExtractor(required(configured, "xbstream_binary"), options);
  const names = extractorNames(name, file);
  const beside = file.includes("/") ? names.map((each) => join(dirname(file), each)) : [];
  const found = [...beside, ...names].find((each) => findProgram(each) !== undefined);
  // A host that only takes copies can do without; unpacking tells that it is not installed.
  return found === undefined ? { file: names.at(-1) ?? file, options: new Map() } : openExtractor(found, options);
}

function required(file: string, setting: string): string {
  if (findProgram(file) !== undefined) return file;
  throw new BackupError("CONFIG_INVALID", `Cannot run "${file}": it is not installed, ${setting} names it`, {
    hint: `Install it, or correct ${setting} under [mysql].`,
  });
}

/** Find out what a program is. @throws {BackupError} CONFIG_INVALID when it is no tool we know. */
async function probe(file: string, binaries: Binaries, options: Options): Promise<Found> {
  const version = readVersion(await ask(file, { ...options, option: "--version" }));
  if (version === undefined) {
    throw new BackupError("CONFIG_INVALID", `Cannot use "${file}": it is neither XtraBackup nor mariadb-backup`, {
      hint: "Correct xtrabackup_binary under [mysql].",
    });
  }
  // The two settings name a pair: what unpacks for the configured tool may not know the streams of another.
  const isPair = binaries.xtrabackup === undefined || binaries.xtrabackup === file;
  const extractor = await extractorOf({ name: version.name, file }, isPair ? binaries.xbstream : undefined, options);
  const known = readOptions(await ask(file, { ...options, option: "--help" }));
  return {
    name: version.name,
    tool: { file, version: version.version, options: known, extractor, threads: UNPACK_THREADS },
  };
}

function build({ name, tool }: Found): Engine {
  return name === "xtrabackup" ? xtrabackup(tool) : mariadbBackup(tool);
}

/** Every installed tool under one of the names. */
async function* installed(names: readonly string[], binaries: Binaries, options: Options): AsyncGenerator<Found, void> {
  const seen = new Set<string>();
  for (const file of names) {
    const path = findProgram(file);
    // mariabackup is a link to mariadb-backup.
    const real = path === undefined ? undefined : realpathSync(path);
    if (real === undefined || seen.has(real)) continue;
    seen.add(real);
    yield await probe(file, binaries, options);
  }
}

function noTool(server: Server, need: Need): BackupError {
  const what = `Cannot copy the server: ${labelOf(need)} is not installed`;
  const or = hasClone(server) ? "; or set engine=clone under [mysql], which takes full copies only" : "";
  return new BackupError("CONFIG_INVALID", what, { hint: `Install ${labelOf(need)} on this host${or}.` });
}

/** The first installed tool that fits the server; `undefined` where none is installed at all. */
async function toolForServer(server: Server, need: Need, asked: Options & { readonly binaries: Binaries }) {
  const { binaries, signal } = asked;
  const configured = binaries.xtrabackup;
  const names = configured === undefined ? programNames(need) : [required(configured, "xtrabackup_binary")];
  let reason: BackupError | undefined;
  for await (const found of installed(names, binaries, { signal })) {
    const why = mismatch({ name: found.name, version: found.tool.version }, server);
    if (why === undefined) return found;
    const or = hasClone(server) ? ", or set engine=clone" : "";
    reason ??= new BackupError("CONFIG_INVALID", `Cannot copy the server with "${found.tool.file}": ${why}`, {
      hint: `Install ${labelOf(need)}, or name it with xtrabackup_binary under [mysql]${or}.`,
    });
  }
  if (reason !== undefined) throw reason;
  return undefined;
}

/**
 * Choose what copies a server. `auto` takes the tool of the vendor; only where none is installed and MySQL brings its own plugin
 * it is `"clone"`, which is another source. A tool that does not fit is never passed over in silence.
 * @throws {BackupError} CONFIG_INVALID when nothing fits, with the reason.
 */
export async function openEngine(
  request: { readonly server: Server; readonly wanted: "auto" | EngineName; readonly binaries: Binaries },
  { signal }: Options,
): Promise<Engine | "clone"> {
  const { server, wanted, binaries } = request;
  if (wanted === "clone") {
    if (hasClone(server)) return "clone";
    throw new BackupError("CONFIG_INVALID", `Cannot copy the server with "clone": ${server.version} does not have it`, {
      hint: "Set engine=auto under [mysql]; the CLONE plugin came with MySQL 8.0.17.",
    });
  }
  const name = wanted === "auto" ? toolOf(server.vendor) : wanted;
  const never = neverFits(name, server);
  if (never !== undefined) {
    throw new BackupError("CONFIG_INVALID", `Cannot copy the server with "${name}": ${never}`, {
      hint: "Set engine=auto under [mysql].",
    });
  }
  const need = { name, series: seriesFor(name, server.version) };
  const found = await toolForServer(server, need, { binaries, signal });
  if (found !== undefined) return build(found);
  if (wanted === "auto" && hasClone(server)) return "clone";
  throw noTool(server, need);
}

/**
 * Find what unpacks and prepares a copy: a tool of the series that took it, among the configured and the installed ones.
 * @throws {BackupError} CONFIG_INVALID when it is not installed, naming what to install. Says nothing about the copy.
 */
export async function openRestorer(
  copy: CopyOrigin,
  { binaries, signal }: Options & { readonly binaries: Binaries },
): Promise<Restorer> {
  if (isClone(copy)) return cloneRestorer(copy.serverVersion ?? copy.toolVersion ?? "unknown");
  const need = needOf(copy);
  const configured = binaries.xtrabackup === undefined ? [] : [required(binaries.xtrabackup, "xtrabackup_binary")];
  const others: string[] = [];
  for await (const found of installed([...configured, ...programNames(need)], binaries, { signal })) {
    const { file, version, extractor } = found.tool;
    if (canPrepare({ name: found.name, version }, need)) {
      requireProgram(extractor.file, "unpacking copies");
      return build(found);
    }
    others.push(`${file} is ${version}`);
  }
  const there = others.length === 0 ? "" : `, ${others.join(", ")}`;
  throw new BackupError("CONFIG_INVALID", `Cannot prepare "${copy.key}": ${labelOf(need)} is not installed${there}`, {
    hint: `Install ${labelOf(need)} on this host, or name it with --xtrabackup-binary.`,
  });
}

import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { BROUGHT_SETTINGS, broughtProblem } from "../domain/brought-settings.ts";
import { CONFIG_DIRECTORY, configFileTarget } from "../domain/config-files.ts";
import type { MysqlCopy } from "../domain/copy.ts";
import { CopyError } from "../domain/copy-error.ts";
import {
  GALERA_INFO_FILES,
  type GaleraPosition,
  grastate,
  NODE_FILES,
  parseGaleraInfo,
} from "../domain/galera-state.ts";
import { CHECKPOINT_FILES, type LsnRange, lsnProblem, parseLsnRange } from "../domain/lsn-range.ts";
import type { RestorePlan } from "../domain/restore-plan.ts";
import type { Restorer } from "../engine/engine.ts";
import { text } from "../lib/command.ts";
import { blame, explainPreparing } from "./blame.ts";
import type { CachePoint, RestoreCache } from "./restore-cache.ts";
import { freeBytesAt, requireSpace } from "./space.ts";
import { Staging } from "./staging.ts";
import { type PartReading, unpackPart } from "./unpack-part.ts";

/** What a restore of MySQL works with. */
export type MysqlRestore = {
  readonly plan: RestorePlan;
  /** How to read one part. */
  readonly openPart: (copy: MysqlCopy) => Promise<PartReading>;
  /** The tool that can unpack and prepare one part. */
  readonly openRestorer: (copy: MysqlCopy) => Promise<Restorer>;
  readonly cache: RestoreCache | undefined;
  /** How much memory preparing may take. */
  readonly memoryBytes: number;
  readonly idleSeconds: number;
  readonly signal: AbortSignal;
  /** Told what is being done, and how many bytes were read. */
  readonly onProgress?: (what: string, bytes: number) => void;
};

/** What is known of a restored data directory. */
export type RestoredFacts = {
  /** Texts the tool left in it, such as `xtrabackup_info`, by name. */
  readonly infoFiles: ReadonlyMap<string, string>;
  readonly galera: GaleraPosition | undefined;
  /** Whether config files of the server were put below it. */
  readonly hasConfig: boolean;
  /** Whether the tool left the settings that the server has to agree with. */
  readonly hasSettings: boolean;
  /** What could not be brought back, one sentence each. */
  readonly warnings: readonly string[];
};

export type RestoreTarget = {
  /** New or empty directory. */
  readonly target: string;
  /** Whether the server's config files are wanted beside the data; a server takes their directory for a database. */
  readonly withConfig: boolean;
  /** Called with the complete directory before it takes its place, such as to give it to the server's user. */
  readonly finish?: (directory: string) => Promise<void>;
};

/** Nobody but the server's own group has to look into a data directory. */
const DIRECTORY_MODE = 0o750;

/** Texts of a tool: its checkpoints and coordinates, by their old and new names. */
const INFO_FILE =
  /^(?:(?:xtrabackup|mariadb_backup)_(?:checkpoints|info|binlog_info|slave_info|galera_info|binlog_pos_innodb)|donor_galera_info)$/;

/**
 * Restore a copy with all its parts into `target`, which appears or is filled only when everything succeeded.
 * @throws {CopyError} naming the part that is to blame.
 */
export async function restoreMysql(restore: MysqlRestore, to: RestoreTarget): Promise<RestoredFacts> {
  await using staging = await Staging.open(to.target);
  requireSpace(restore.plan, await freeBytesAt(staging.directory), to.target);
  const { parts } = restore.plan;
  const copies = parts.map(({ copy }) => copy);
  await using whole = restore.cache?.open(copies, "prepared");
  if (!(await whole?.copyInto(staging.directory))) {
    await using base = parts.length > 1 ? restore.cache?.open(copies.slice(0, 1), "base") : undefined;
    await buildUp(staging, base, restore);
    await whole?.keep(staging.directory);
    await base?.publish();
  }
  const facts = await dress(staging.directory, restore.plan.copy, to);
  await to.finish?.(staging.directory);
  await whole?.publish();
  await staging.promote(DIRECTORY_MODE);
  return facts;
}

/** The full copy, then one increment after the other; each is gone again before the next is fetched. */
async function buildUp(staging: Staging, base: CachePoint | undefined, restore: MysqlRestore): Promise<void> {
  const { parts } = restore.plan;
  for (const [index, { copy }] of parts.entries()) {
    const isLast = index === parts.length - 1;
    if (index === 0) {
      if (await base?.copyInto(staging.directory)) continue;
      await addPart(copy, { base: staging.directory, increment: undefined, isLast }, restore);
      await base?.keep(staging.directory);
      continue;
    }
    await using scratch = await staging.scratch();
    await addPart(copy, { base: staging.directory, increment: scratch.directory, isLast }, restore);
  }
}

type Place = { readonly base: string; readonly increment: string | undefined; readonly isLast: boolean };

async function addPart(copy: MysqlCopy, { base, increment, isLast }: Place, restore: MysqlRestore): Promise<void> {
  const restorer = await restore.openRestorer(copy);
  const { memoryBytes, onProgress, signal } = restore;
  await unpackPart(copy, increment ?? base, { ...restore, restorer });
  if (restorer.format === "xbstream") await requireFit(copy, { base, increment });
  const command = restorer.prepare({ directory: base, incremental: increment, isLast, memoryBytes });
  if (command === undefined) return;
  onProgress?.(`preparing ${copy.key}`, 0);
  let stderr = "";
  try {
    await text(command, { signal, onFinish: (finished) => (stderr = finished.stderr) });
    restorer.checkPrepared({ stderr, files: await infoFilesOf(base) });
  } catch (error) {
    throw blame(copy.key, explainPreparing(error, copy.key));
  }
}

/** @throws {CopyError} when what was unpacked is another copy than was recorded, belongs to another base, or would have foreign code run. */
async function requireFit(copy: MysqlCopy, { base, increment }: Pick<Place, "base" | "increment">): Promise<void> {
  const below = increment === undefined ? undefined : await lsnRangeIn(base);
  const unpacked = increment ?? base;
  const settings = await readFile(join(unpacked, BROUGHT_SETTINGS), "utf8").catch(() => "");
  const problem = lsnProblem(copy, await lsnRangeIn(unpacked), below) ?? broughtProblem(settings);
  if (problem === undefined) return;
  throw new CopyError(copy.key, "DATA_DAMAGED", {
    message: `Cannot use "${copy.key}": ${problem}`,
    hint: "Verify the copies of this host, and restore another one.",
  });
}

async function lsnRangeIn(directory: string): Promise<LsnRange | undefined> {
  const files = await infoFilesOf(directory);
  const text = CHECKPOINT_FILES.map((name) => files.get(name)).find((each) => each !== undefined);
  return text === undefined ? undefined : parseLsnRange(text);
}

/** The texts a tool left in a directory, by name. */
export async function infoFilesOf(directory: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const name of (await readdir(directory)).filter((each) => INFO_FILE.test(each)))
    files.set(name, await readFile(join(directory, name), "utf8"));
  return files;
}

/** Add what a server needs besides its data, and take away what belongs to the one that was copied. */
async function dress(directory: string, copy: MysqlCopy, { withConfig }: RestoreTarget): Promise<RestoredFacts> {
  for (const name of NODE_FILES) await rm(join(directory, name), { force: true });
  const infoFiles = await infoFilesOf(directory);
  const galera = await placeInCluster(directory, copy, infoFiles);
  const config = withConfig ? await writeConfig(directory, copy.config) : { written: 0, warnings: [] };
  const lacksPosition = copy.galeraVersion !== undefined && galera === undefined;
  return {
    infoFiles,
    galera,
    hasConfig: config.written > 0,
    hasSettings: (await readdir(directory)).includes(BROUGHT_SETTINGS),
    warnings: [
      ...config.warnings,
      ...(lacksPosition
        ? [`"${copy.key}" does not tell its place in the cluster: the node will fetch everything`]
        : []),
    ],
  };
}

/** Preparing may move the position on, so it is read afterwards. */
async function placeInCluster(
  directory: string,
  copy: MysqlCopy,
  infoFiles: ReadonlyMap<string, string>,
): Promise<GaleraPosition | undefined> {
  const text = GALERA_INFO_FILES.map((name) => infoFiles.get(name)).find((each) => each !== undefined);
  const position = text === undefined ? undefined : parseGaleraInfo(text);
  // One of another node would be worse than none.
  await rm(join(directory, "grastate.dat"), { force: true });
  if (position !== undefined)
    await writeFile(join(directory, "grastate.dat"), grastate(position, copy.galeraVersion), {
      mode: 0o640,
      flag: "wx",
    });
  return position;
}

type Written = { readonly written: number; readonly warnings: readonly string[] };

/** Put the server's config files below its data. They may hold passwords: nobody else may read them. */
export async function writeConfig(directory: string, config: ReadonlyMap<string, string>): Promise<Written> {
  const warnings: string[] = [];
  let written = 0;
  if (config.size === 0) return { written, warnings };
  try {
    // Made anew, so that nothing in the copy, such as a link of this name, leads outside.
    await mkdir(join(directory, CONFIG_DIRECTORY), { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return {
      written,
      warnings: [`the config files of the copy are left out: its data has a ${CONFIG_DIRECTORY} of its own`],
    };
  }
  for (const [path, content] of config) {
    const refused = await writeConfigFile(directory, path, content);
    if (refused === undefined) written++;
    else warnings.push(`the config file ${JSON.stringify(path)} of the copy is left out: ${refused}`);
  }
  return { written, warnings };
}

/** @returns why it is not written: a status may say anything. */
async function writeConfigFile(directory: string, path: string, content: string): Promise<string | undefined> {
  const target = configFileTarget(path);
  if (target === undefined) return "it is no absolute path";
  try {
    await mkdir(dirname(join(directory, target)), { recursive: true, mode: 0o700 });
    await writeFile(join(directory, target), content, { mode: 0o600, flag: "wx" });
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" || code === "ENOTDIR" || code === "EISDIR") return "another one has its place";
    throw error;
  }
}

import type { Stats } from "node:fs";
import { lstat, realpath } from "node:fs/promises";
import { dirname, isAbsolute } from "node:path";
import { pathToFileURL } from "node:url";
import { BackupError } from "../domain/errors.ts";
import type { Destination } from "./destination.ts";
import { driven } from "./driven.ts";
import { driverError } from "./driven-error.ts";
import type { Driver, DriverContext, DriverFactory } from "./driver.ts";
import { asDriver, driverProblems } from "./driver-shape.ts";
import type { ModuleOptions } from "./options.ts";

/** What a driver is given besides its settings. Without it nothing is logged or counted. */
export type ModuleTools = Pick<DriverContext, "log" | "count">;

const SILENT: ModuleTools = { log: { debug: () => {}, warn: () => {} }, count: () => {} };

/** Bits of a mode that let the group or others write. */
const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

/**
 * Open the store behind a driver that the user brings. Its code runs with our rights: so nobody but root and us may be able to change it.
 * @throws {BackupError} CONFIG_INVALID when the file cannot be trusted, or is no driver.
 */
export async function openModule({ path, settings }: ModuleOptions, tools: ModuleTools = SILENT): Promise<Destination> {
  await checkTrust(path);
  const make = await factoryOf(path);
  const open = async () => checkShape(path, await make({ settings, ...tools }));
  const opened = await explained(path, open);
  return driven(open, { url: opened.url, opened });
}

async function explained<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw driverError(error, { verb: "open", object: path, url: path });
  }
}

function invalid(path: string, what: string, facts: { readonly hint: string; readonly cause?: unknown }): BackupError {
  return new BackupError("CONFIG_INVALID", `Cannot use "${path}" as a driver: ${what}`, facts);
}

async function checkTrust(path: string): Promise<void> {
  if (!isAbsolute(path)) throw invalid(path, "it is not an absolute path", { hint: "Write it with a leading slash." });
  const real = await resolved(path);
  if (real !== path) {
    throw invalid(path, `it leads to "${real}" by a link`, { hint: `Set backup_destination to module:${real}.` });
  }
  if (!(await lstat(path)).isFile()) throw invalid(path, "it is no regular file", { hint: "Name an .mjs file." });
  for (let each = path; ; each = dirname(each)) {
    const problem = trustProblem(await lstat(each), each === path);
    if (problem !== undefined) {
      throw invalid(path, `"${each}" ${problem}`, {
        hint: `Run "chown root ${each}" and "chmod go-w ${each}", for whoever can change it can run what he likes.`,
      });
    }
    if (each === dirname(each)) return;
  }
}

async function resolved(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    throw invalid(path, "it is not there, or cannot be reached", {
      hint: "Correct the path behind module: in backup_destination.",
      cause: error,
    });
  }
}

/** In a sticky directory, such as /tmp, what is ours cannot be taken away or replaced by others. */
function trustProblem(found: Stats, isModule: boolean): string | undefined {
  const owners = [0, process.geteuid?.() ?? 0];
  if (!owners.includes(found.uid)) return "belongs to another user";
  const isShared = (found.mode & WRITABLE_BY_OTHERS) !== 0;
  const isSticky = !isModule && (found.mode & STICKY) !== 0;
  return isShared && !isSticky ? "can be changed by other users" : undefined;
}

async function factoryOf(path: string): Promise<DriverFactory> {
  const hint = "Correct the module: docs/drivers.md says what it must export.";
  let loaded: { readonly default?: unknown };
  try {
    loaded = (await import(pathToFileURL(path).href)) as typeof loaded;
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    throw invalid(path, `it cannot be loaded: ${what}`, { hint, cause: error });
  }
  if (typeof loaded.default !== "function") throw invalid(path, "its default export is no function", { hint });
  return loaded.default as DriverFactory;
}

function checkShape(path: string, made: unknown): Driver {
  const problems = driverProblems(made);
  if (problems.length === 0) return asDriver(made);
  throw invalid(path, `what it makes is no driver: ${problems.join(", ")}`, {
    hint: "Correct the module: docs/drivers.md says what a driver must have.",
  });
}

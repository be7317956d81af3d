import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Engine, Outcome } from "../../../src/engine/engine.ts";
import { mariadbBackup } from "../../../src/engine/mariadb-backup.ts";
import { readOptions, readVersion, type Tool } from "../../../src/engine/tool.ts";
import { xtrabackup } from "../../../src/engine/xtrabackup.ts";

export const SAMPLES = new URL("../../golden/engine/", import.meta.url).pathname;

/** The tools there are samples of: what they say of themselves, and what they wrote down and said of a full copy, an increment and a prepare. */
export const TOOLS = [
  "mariadb-backup-10.5",
  "mariadb-backup-10.11",
  "mariadb-backup-11.8",
  "xtrabackup-2.4",
  "xtrabackup-8.0",
  "xtrabackup-8.4",
  "xtrabackup-9.7",
] as const;

export function sample(...path: readonly string[]): string {
  return readFileSync(join(SAMPLES, ...path), "utf8");
}

/** A tool as it would be found installed. */
export function sampleTool(name: string): Tool {
  const { version = "" } = readVersion(sample(name, "version.txt")) ?? {};
  const extractor = name.startsWith("xtrabackup") ? "xbstream" : "mbstream";
  return {
    file: name.slice(0, name.lastIndexOf("-")),
    version,
    options: readOptions(sample(name, "help.txt")),
    extractor: { file: extractor, options: readOptions("  -p, --parallel=#    Number of worker threads.\n") },
    threads: 4,
  };
}

export function sampleEngine(name: string): Engine {
  return name.startsWith("xtrabackup") ? xtrabackup(sampleTool(name)) : mariadbBackup(sampleTool(name));
}

/** What a run of a tool left: `full`, `increment` or `prepared`. */
export function sampleOutcome(name: string, run: string): Outcome {
  const files = readdirSync(join(SAMPLES, name, run)).filter((file) => file !== "stderr.log");
  return {
    stderr: sample(name, run, "stderr.log"),
    files: new Map(files.map((file) => [file, sample(name, run, file)])),
  };
}

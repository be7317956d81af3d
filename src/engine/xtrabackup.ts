import type { Command } from "../lib/command.ts";
import type { BackupRequest, Engine, PrepareStep } from "./engine.ts";
import { adviceFor } from "./hints.ts";
import { backupArgs, checkPrepared, NEEDED_OPTIONS, option, readFacts, unpackArgs } from "./physical.ts";
import { nameOf, requireOptions, type Tool } from "./tool.ts";

/** Options that were renamed, newest name first: the old ones go away, and both at once are an error. */
const KEEP_OPEN = ["apply-redo-only", "apply-log-only"] as const;
const INCREMENT = ["prepare-incremental-from-dir", "incremental-dir"] as const;

/**
 * With backup locks the position of the cluster is written by the prepare, from what InnoDB has stored; so `--no-backup-locks`, which
 * would block all writes instead, is not needed.
 */
function backup(tool: Tool, request: BackupRequest): Command {
  const args = [
    ...backupArgs(tool, request),
    ...(tool.options.has("no-version-check") ? ["--no-version-check"] : []),
    ...(request.galera ? ["--galera-info"] : []),
  ];
  return { file: tool.file, args };
}

/** Every step but the last must leave transactions open: one that rolls back ends the chain. */
function prepare(tool: Tool, step: PrepareStep): Command {
  const keepOpen = step.isLast ? undefined : nameOf(tool, KEEP_OPEN);
  const args = [
    "--prepare",
    ...(keepOpen === undefined ? [] : [`--${keepOpen}`]),
    `--target-dir=${step.directory}`,
    ...option(nameOf(tool, INCREMENT) ?? INCREMENT[1], step.incremental),
    `--use-memory=${step.memoryBytes}`,
  ];
  return { file: tool.file, args };
}

/**
 * Percona XtraBackup 2.4 and newer; by what the installed one can do.
 * @throws {BackupError} CONFIG_INVALID when it lacks what nothing can do without.
 */
export function xtrabackup(tool: Tool): Engine {
  requireOptions(tool, [...NEEDED_OPTIONS, nameOf(tool, KEEP_OPEN) ?? KEEP_OPEN[1]]);
  return {
    name: "xtrabackup",
    version: tool.version,
    format: "xbstream",
    canIncrement: tool.options.has("incremental-lsn") && nameOf(tool, INCREMENT) !== undefined,
    // Versions from 8.0 write their list of tablespaces behind it.
    lastFiles: ["xtrabackup_info"],
    backup: (request) => backup(tool, request),
    unpack: (directory) => ({ file: tool.extractor.file, args: unpackArgs(tool, directory) }),
    prepare: (step) => prepare(tool, step),
    facts: (outcome) => readFacts(tool, outcome),
    checkPrepared: (outcome) => checkPrepared(tool, outcome),
    hintFor: adviceFor,
  };
}

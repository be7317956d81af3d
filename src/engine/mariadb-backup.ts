import type { Command } from "../lib/command.ts";
import type { BackupRequest, Engine, PrepareStep } from "./engine.ts";
import { adviceFor } from "./hints.ts";
import { backupArgs, checkPrepared, NEEDED_OPTIONS, option, readFacts, unpackArgs } from "./physical.ts";
import { requireOptions, type Tool } from "./tool.ts";

/** Newer tools say that the option is obsolete; those before need it to write the position of the cluster down. */
function galeraArgs(tool: Tool): string[] {
  const noLocks = tool.options.get("no-backup-locks");
  const isWanted = noLocks !== undefined && !/obsolete|deprecated/i.test(noLocks);
  return ["--galera-info", ...(isWanted ? ["--no-backup-locks"] : [])];
}

/** There is no `--apply-log-only`: increments may follow any prepare. The tool reads the options that the copy brought along. */
function prepare(tool: Tool, step: PrepareStep): Command {
  const args = [
    "--prepare",
    `--target-dir=${step.directory}`,
    ...option("incremental-dir", step.incremental),
    `--use-memory=${step.memoryBytes}`,
  ];
  return { file: tool.file, args };
}

/**
 * mariadb-backup, and mariabackup as it was called before; by what the installed one can do.
 * @throws {BackupError} CONFIG_INVALID when it lacks what nothing can do without.
 */
export function mariadbBackup(tool: Tool): Engine {
  requireOptions(tool, NEEDED_OPTIONS);
  return {
    name: "mariadb-backup",
    version: tool.version,
    format: "xbstream",
    canIncrement: tool.options.has("incremental-lsn") && tool.options.has("incremental-dir"),
    lastFiles: ["mariadb_backup_info", "xtrabackup_info"],
    backup: (request: BackupRequest) => ({
      file: tool.file,
      args: [...backupArgs(tool, request), ...(request.galera ? galeraArgs(tool) : [])],
    }),
    unpack: (directory) => ({ file: tool.extractor.file, args: unpackArgs(tool, directory) }),
    prepare: (step) => prepare(tool, step),
    facts: (outcome) => readFacts(tool, outcome),
    checkPrepared: (outcome) => checkPrepared(tool, outcome),
    hintFor: adviceFor,
  };
}

import { BackupError } from "../domain/errors.ts";
import type { BackupRequest, Outcome, StreamFacts } from "./engine.ts";
import { adviceFor } from "./hints.ts";
import {
  type Blame,
  type Checkpoints,
  findInfoFile,
  parseCheckpoints,
  parseSummary,
  type Summary,
} from "./info-files.ts";
import type { Tool } from "./tool.ts";

/** What every tool of the family has to know; the rest is asked for where it is used. */
export const NEEDED_OPTIONS = ["backup", "prepare", "target-dir", "stream", "extra-lsndir", "use-memory"] as const;

/** An option with its value, where there is one. */
export function option(name: string, value: string | number | bigint | undefined): string[] {
  return value === undefined ? [] : [`--${name}=${value}`];
}

/** The arguments of a streamed copy that all tools share. The option file has to be the very first. */
export function backupArgs(tool: Tool, request: BackupRequest): string[] {
  return [
    `--defaults-file=${request.defaultsFile}`,
    "--backup",
    "--stream=xbstream",
    `--target-dir=${request.scratchDirectory}`,
    `--extra-lsndir=${request.lsnDirectory}`,
    ...option("incremental-lsn", request.incrementalLsn),
    ...option("parallel", tool.options.has("parallel") ? request.parallel : undefined),
    ...option("host", request.hostname),
    ...option("port", request.port),
    ...option("socket", request.socket),
  ];
}

/** The arguments that unpack a stream; the directory has to be empty, for the tools pass over what is there. */
export function unpackArgs({ extractor, threads }: Tool, directory: string): string[] {
  return ["-x", "-C", directory, ...option("parallel", extractor.options.has("parallel") ? threads : undefined)];
}

function lastLine(stderr: string): string {
  return stderr.trimEnd().split("\n").at(-1)?.trim() ?? "";
}

/** @throws {BackupError} unless the last thing a tool said is that all went well. */
function requireCompleted(tool: Tool, { stderr }: Outcome): void {
  const last = lastLine(stderr);
  if (/(?:^|\s)completed OK!$/.test(last)) return;
  const said = last === "" ? "it said nothing" : `its last words are: ${last.slice(0, 300)}`;
  throw new BackupError("PROGRAM_FAILED", `Cannot trust "${tool.file}": it did not end with "completed OK!", ${said}`, {
    hint: adviceFor(stderr) ?? "Look at what the tool said before, and run it again.",
  });
}

/** Options of the option file that make a copy which cannot be restored as it is. */
function requireWhole(tool: Tool, summary: Summary): void {
  const wrong = [
    { is: summary.isPartial, what: "only a part of the server", options: "tables and databases" },
    { is: summary.isCompressed, what: "files that the tool compressed itself", options: "compress" },
    { is: summary.isEncrypted, what: "files that the tool encrypted itself", options: "encrypt" },
  ].find(({ is }) => is);
  if (wrong === undefined) return;
  throw new BackupError("PROGRAM_FAILED", `Cannot keep the copy of "${tool.file}": it holds ${wrong.what}`, {
    hint: `Remove ${wrong.options} from the group of the tool in the option file; [compression] and [gpg] do that here.`,
  });
}

/** Whether what the two files say fits together. */
function isConsistent({ type, fromLsn }: Checkpoints, { isIncremental }: Summary): boolean {
  if (type === "full-backuped") return fromLsn === 0n && !isIncremental;
  return type === "incremental" && fromLsn > 0n && isIncremental;
}

/** See `Engine.facts()`. */
export function readFacts(tool: Tool, outcome: Outcome): StreamFacts {
  const blame: Blame = "PROGRAM_FAILED";
  requireCompleted(tool, outcome);
  const file = findInfoFile(outcome.files, "checkpoints", blame);
  const checkpoints = parseCheckpoints(file, blame);
  const summary = parseSummary(findInfoFile(outcome.files, "info", blame), blame);
  requireWhole(tool, summary);
  if (!isConsistent(checkpoints, summary)) {
    const said = `${checkpoints.type} from ${checkpoints.fromLsn}, incremental ${summary.isIncremental ? "Y" : "N"}`;
    throw new BackupError(blame, `Cannot trust "${file.name}": it contradicts itself or the summary, ${said}`, {
      hint: "Run the backup again, with --full where it was an increment.",
    });
  }
  return {
    fromLsn: checkpoints.fromLsn,
    toLsn: checkpoints.toLsn,
    binlog: summary.binlog,
    gtid: summary.gtid,
    serverVersion: summary.serverVersion,
    toolVersion: summary.toolVersion,
  };
}

/** See `Restorer.checkPrepared()`. */
export function checkPrepared(tool: Tool, outcome: Outcome): void {
  requireCompleted(tool, outcome);
  const file = findInfoFile(outcome.files, "checkpoints", "DATA_DAMAGED");
  const { type } = parseCheckpoints(file, "DATA_DAMAGED");
  if (type === "log-applied" || type === "full-prepared") return;
  throw new BackupError("PROGRAM_FAILED", `Cannot use what "${tool.file}" prepared: it is still "${type}"`, {
    hint: "Look at what the tool said; nothing was applied to these files.",
  });
}

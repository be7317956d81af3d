import { BackupError } from "../domain/errors.ts";
import { type Command, CommandError, text } from "../lib/command.ts";
import { requireProgram } from "../lib/programs.ts";
import { readReport } from "./tar-report.ts";

/** The tar of this host. Options are given as far as it knows them. */
export type Tar = {
  /** Such as `1.34`; `unknown` when it does not tell. */
  readonly version: string;
  /** Its `--help`. */
  readonly help: string;
};

/** What to read, as `filesSource()` has found it. */
export type Request = {
  /** Absolute path, without a slash at its end. */
  readonly path: string;
  /** A link as the configured path would be stored as such; what it leads to is wanted, under the configured name. */
  readonly kind: "plain" | "link to directory" | "link to file";
  /** Absolute paths below `path`, taken literally. */
  readonly excludes: readonly string[];
  /** The user's own options. */
  readonly options: readonly string[];
};

/**
 * What makes an archive keep all there is: times below the second, extended attributes and holes. ACLs travel as
 * extended attributes; tar's `--acls` stores them a second time and costs half as much again as all the rest.
 */
const CREATE_OPTIONS = [
  "--format=posix",
  "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime",
  "--xattrs",
  "--sparse",
  "--totals",
  "--no-unquote",
] as const;

/** tar leaves what lies behind its end mark unread, such as the padding of larger records; with these it reads on, and refuses garbage. */
const READ_OPTIONS = ["--ignore-zeros", "--no-unquote"] as const;

/**
 * `--acls` is left out on purpose: it takes away the ACLs that were stored as extended attributes. Names of owners go before
 * their numbers, as tar does it, so that a copy also fits a host with other numbers.
 */
const EXTRACT_OPTIONS = [
  ...READ_OPTIONS,
  "--same-permissions",
  "--delay-directory-restore",
  "--xattrs",
  "--xattrs-include=*",
] as const;

function knows({ help }: Tar, option: string): boolean {
  const name = option.split("=")[0] ?? option;
  return new RegExp(`${name}(?![\\w-])`).test(help);
}

function known(tar: Tar, options: readonly string[]): string[] {
  return options.filter((option) => knows(tar, option));
}

/** Ask the installed tar what it can do. @throws {BackupError} CONFIG_INVALID when there is none. */
export async function openTar({ signal }: { readonly signal: AbortSignal }): Promise<Tar> {
  requireProgram("tar", "copying directories");
  let stderr = "";
  const ask = async (option: string): Promise<string> => {
    const onFinish = (finished: { readonly stderr: string }) => {
      stderr += finished.stderr;
    };
    return text({ file: "tar", args: [option], warningStatuses: [1, 2, 64] }, { signal, onFinish });
  };
  const version = await ask("--version");
  const help = await ask("--help");
  const number = /(?:GNU tar\)|bsdtar|BusyBox) v?(\d[\w.]*)/.exec(version + help + stderr)?.[1];
  return { version: number ?? "unknown", help: help + stderr };
}

/** Why copies of this tar lack something, one sentence each. */
export function shortcomings(tar: Tar): string[] {
  if (knows(tar, "--xattrs")) return [];
  return ["this tar stores neither extended attributes nor ACLs; GNU tar 1.27 or newer does"];
}

/** Quote what stands behind the comma in `s,…,…,`. */
function asReplacement(path: string): string {
  return path.replaceAll(/[\\&,]/g, "\\$&");
}

function excludeArgs(tar: Tar, { path, kind, excludes }: Request): string[] {
  if (excludes.length === 0) return [];
  if (!knows(tar, "--anchored") || !knows(tar, "--no-wildcards")) {
    throw new BackupError("CONFIG_INVALID", `Cannot leave out "${excludes[0]}": this tar takes no literal names`, {
      hint: "Install GNU tar, or remove exclude_dirs under [source].",
    });
  }
  const named = excludes.map((each) => (kind === "link to directory" ? `.${each.slice(path.length)}` : each));
  return ["--anchored", "--no-wildcards", "--no-ignore-case", ...named.map((each) => `--exclude=${each}`)];
}

/** Names below a link are read from inside it, as `./…`, and stored under the configured path. */
function pathArgs({ path, kind }: Request): string[] {
  if (kind === "plain") return ["--", path];
  if (kind === "link to file") return ["--dereference", "--", path];
  return [`--directory=${path}`, `--transform=s,^\\.,${asReplacement(path.slice(1))},S`, "--", "."];
}

/** The command that writes an archive on stdout. Names are stored without their leading slash. */
export function createCommand(tar: Tar, request: Request): Command {
  const own = known(tar, CREATE_OPTIONS);
  // The user's options come first, so that how our names match does not change how theirs do.
  const args = ["-c", "-f", "-", ...own, ...request.options, ...excludeArgs(tar, request), ...pathArgs(request)];
  return { file: "tar", args, warningStatuses: [1] };
}

/** The command that writes all that is in `directory` on stdout, under names relative to it. Nobody may change it meanwhile. */
export function packCommand(tar: Tar, directory: string): Command {
  return { file: "tar", args: ["-c", "-f", "-", ...known(tar, CREATE_OPTIONS), `--directory=${directory}`, "--", "."] };
}

/** The name a path has in an archive: without slashes around it. `undefined` for the archive as a whole. */
function memberOf(path: string): string | undefined {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  return parts.length === 0 ? undefined : parts.join("/");
}

function memberArgs(paths: readonly string[]): string[] {
  const members = paths.map(memberOf);
  const all = members.length === 0 || members.includes(undefined);
  return all ? [] : ["--", ...members.filter((member) => member !== undefined)];
}

/**
 * The command that restores an archive from stdin. Reads to the end of its input.
 * @param request.directory an existing, empty directory; nothing outside of it is written.
 * @param request.paths what to restore, each with all below it; taken literally. Empty means everything.
 */
export function extractCommand(
  tar: Tar,
  request: { readonly directory: string; readonly paths: readonly string[] },
): Command {
  const options = known(tar, EXTRACT_OPTIONS);
  return {
    file: "tar",
    args: ["-x", "-f", "-", "-C", request.directory, ...options, ...memberArgs(request.paths)],
  };
}

/**
 * The command that lists an archive from stdin, one member a line. Reads to the end of its input.
 * It cannot tell an archive that was cut between two members; the recorded size and digest do.
 */
export function listCommand(tar: Tar, paths: readonly string[] = []): Command {
  return { file: "tar", args: ["-t", "-f", "-", ...known(tar, READ_OPTIONS), ...memberArgs(paths)] };
}

/**
 * Say why a copy failed in tar's own words.
 * @returns PROGRAM_FAILED naming the directory when it was tar that failed, otherwise `error` as it is.
 */
export function explainCopying(error: unknown, directory: string): unknown {
  if (!(error instanceof CommandError) || error.command.file !== "tar") return error;
  const { warnings } = readReport(error.stderrTail, Number.POSITIVE_INFINITY);
  if (warnings.length === 0) return error;
  const more = warnings.length > 3 ? `, and ${warnings.length - 3} more` : "";
  return new BackupError("PROGRAM_FAILED", `Cannot copy "${directory}": ${warnings.slice(0, 3).join(", ")}${more}`, {
    hint: "Make these readable, or leave them out with exclude_dirs under [source].",
    cause: error,
  });
}

/** A failure of `extractCommand()` in words that name where it unpacks, where that is what failed. */
export function explainUnpacking(error: unknown, target: string): unknown {
  if (!(error instanceof CommandError) || error.command.file !== "tar") return error;
  // A disk that fills up in the middle of a block shows as a short write.
  if (!/: (No space left on device|Disk quota exceeded|Wrote only \d+ of \d+ bytes)$/m.test(error.stderrTail))
    return error;
  return new BackupError("NO_SPACE", `Cannot restore into "${target}": no space is left there`, {
    hint: "Name a directory on a larger disk with --dst; nothing half restored is left.",
    cause: error,
  });
}

/** Whether tar failed because a wanted path is not in the archive. */
export function isNotInArchive(error: unknown): boolean {
  return error instanceof CommandError && /: Not found in archive$/m.test(error.stderrTail);
}

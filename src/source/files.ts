import type { Stats } from "node:fs";
import { access, constants, lstat, stat } from "node:fs/promises";
import { posix } from "node:path";
import { BackupError, type ErrorCode } from "../domain/errors.ts";
import type { ByteStream } from "../lib/bytes.ts";
import { type Command, type Finished, type RunOptions, run } from "../lib/command.ts";
import type { Capture, Source } from "./source.ts";
import { createCommand, openTar, type Request, shortcomings, type Tar } from "./tar.ts";
import { readReport } from "./tar-report.ts";

export type FilesFacts = {
  /** Size of the archive before compression; `undefined` when this tar does not tell. */
  readonly rawBytes: number | undefined;
  /** What tar warned of, at most 100 lines; empty when nothing. */
  readonly warnings: readonly string[];
  readonly tool: "tar";
  readonly toolVersion: string;
};

export type FilesOptions = {
  /** Absolute path of a directory, or of a file. A link is followed, what lies below it is not. */
  readonly directory: string;
  /** Start of the stored name, such as `_etc-2026-11-21_02_36_45.tar`. */
  readonly name: string;
  /** Absolute paths to leave out with all below them, taken literally. Those elsewhere do not matter. */
  readonly excludes: readonly string[];
  /** The user's own options for tar. */
  readonly tarOptions: readonly string[];
  /** See `RunOptions`. */
  readonly idleSeconds?: number;
  readonly onProgress?: (bytes: number) => void;
};

/** How much of a program's stderr the pipeline keeps, in characters. */
const STDERR_LIMIT = 16 * 1024;

const HINT = "Correct backup_dirs under [source] in the config file.";

function refused(path: string, error: unknown): BackupError {
  const { code, message } = error as NodeJS.ErrnoException;
  const known: Readonly<Record<string, [ErrorCode, string]>> = {
    ENOENT: ["CONFIG_INVALID", "there is no such file or directory"],
    ENOTDIR: ["CONFIG_INVALID", "there is no such file or directory"],
    ELOOP: ["CONFIG_INVALID", "it is a link that leads to itself"],
    EACCES: ["NOT_PERMITTED", "it cannot be read by the user who runs this"],
  };
  const [errorCode, what] = known[code ?? ""] ?? ["FAILED", message];
  const hint = errorCode === "NOT_PERMITTED" ? "Run as root, or as a user who may read it." : HINT;
  return new BackupError(errorCode, `Cannot copy "${path}": ${what}`, { hint, cause: error });
}

function kindOf(path: string, itself: Stats, target: Stats): Request["kind"] {
  if (!target.isDirectory() && !target.isFile()) {
    throw new BackupError("CONFIG_INVALID", `Cannot copy "${path}": it is neither a directory nor a file`, {
      hint: HINT,
    });
  }
  if (!itself.isSymbolicLink()) return "plain";
  return target.isDirectory() ? "link to directory" : "link to file";
}

async function inspect(path: string): Promise<Request["kind"]> {
  try {
    const itself = await lstat(path);
    const target = await stat(path);
    await access(path, target.isDirectory() ? constants.R_OK | constants.X_OK : constants.R_OK);
    return kindOf(path, itself, target);
  } catch (error) {
    throw error instanceof BackupError ? error : refused(path, error);
  }
}

/** `/var//lib/mysql/` → `/var/lib/mysql`. */
function normalize(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith("/") ? normal.slice(0, -1) : normal;
}

function isBelow(path: string, directory: string): boolean {
  return path.startsWith(directory === "/" ? "/" : `${directory}/`);
}

/** The excludes that lie in `path`. @throws {BackupError} CONFIG_INVALID when nothing would be left. */
function excludesIn(path: string, excludes: readonly string[]): string[] {
  const normal = excludes.map(normalize);
  const covering = normal.find((each) => each === path || isBelow(path, each));
  if (covering === undefined) return normal.filter((each) => isBelow(each, path));
  throw new BackupError("CONFIG_INVALID", `Cannot copy "${path}": exclude_dirs leaves it out with "${covering}"`, {
    hint: "Remove it from backup_dirs, or from exclude_dirs under [source].",
  });
}

/** One run of tar. */
class FilesCapture implements Capture<FilesFacts> {
  readonly content: ByteStream;
  readonly #tar: Tar;
  readonly #controller = new AbortController();
  #finished: Finished | undefined;

  constructor(tar: Tar, command: Command, options: RunOptions) {
    this.#tar = tar;
    this.content = run(command, {
      ...options,
      signal: AbortSignal.any([options.signal, this.#controller.signal]),
      onFinish: (finished) => {
        this.#finished = finished;
      },
    });
  }

  facts(): FilesFacts {
    if (this.#finished === undefined) throw new Error("the archive was not read to its end");
    const { rawBytes, warnings } = readReport(this.#finished.stderr, STDERR_LIMIT);
    return {
      rawBytes,
      warnings: [...shortcomings(this.#tar), ...warnings],
      tool: "tar",
      toolVersion: this.#tar.version,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#controller.abort(new Error("the capture was given up"));
  }
}

/** A directory, or a file, as one tar archive. Names are stored as tar does: the path without its leading slash. */
export function filesSource(options: FilesOptions): Source<FilesFacts> {
  return {
    name: options.name,
    async open({ signal }) {
      signal.throwIfAborted();
      const path = normalize(options.directory);
      if (!path.startsWith("/")) throw new RangeError(`"${options.directory}" is not an absolute path`);
      const excludes = excludesIn(path, options.excludes);
      const kind = await inspect(path);
      const tar = await openTar({ signal });
      const command = createCommand(tar, {
        path,
        kind,
        excludes,
        options: options.tarOptions.filter((each) => each !== ""),
      });
      const { idleSeconds = 0, onProgress } = options;
      return new FilesCapture(tar, command, { signal, idleSeconds, ...(onProgress && { onProgress }) });
    },
  };
}

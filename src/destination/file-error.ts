import { constants } from "node:os";
import { BackupError, type ErrorCode } from "../domain/errors.ts";

/** What was being done when a file operation failed. */
export type Doing = {
  /** Such as `store`. */
  readonly verb: string;
  /** Such as a key. */
  readonly object: string;
  /** The directory that people have to look at. */
  readonly path: string;
};

type Meaning = {
  readonly code: ErrorCode;
  readonly what: (path: string) => string;
  readonly hint?: (path: string) => string;
  readonly retryable?: boolean;
};

const LOOK_AT_DISK = (path: string): string => `Look at the kernel log and the disk below "${path}".`;
const GIVE_ACCESS = (path: string): string => `Give the user that runs twindb-backup write access to "${path}".`;
const MAKE_SPACE = (path: string): string => `Free space in "${path}" or keep fewer copies.`;

/** What the error numbers mean that are worth more than their name. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  ENOSPC: { code: "NO_SPACE", what: (path) => `no space is left in "${path}"`, hint: MAKE_SPACE },
  EDQUOT: { code: "NO_SPACE", what: (path) => `the disk quota in "${path}" is used up`, hint: MAKE_SPACE },
  EFBIG: {
    code: "NO_SPACE",
    what: (path) => `the file is larger than is allowed in "${path}"`,
    hint: () => 'Raise the limit ("ulimit -f"), or use a file system that takes larger files.',
  },
  EACCES: { code: "NOT_PERMITTED", what: (path) => `access to "${path}" is denied`, hint: GIVE_ACCESS },
  EPERM: { code: "NOT_PERMITTED", what: (path) => `the operation is not permitted in "${path}"`, hint: GIVE_ACCESS },
  EROFS: {
    code: "NOT_PERMITTED",
    what: (path) => `"${path}" is on a read-only file system`,
    hint: (path) => `Find out why it is read-only, then mount "${path}" for writing.`,
  },
  ENOENT: {
    code: "FAILED",
    what: (path) => `"${path}" is not there any more, or cannot be made`,
    hint: (path) => `Find out whether the disk of "${path}" is mounted.`,
  },
  ENOTDIR: {
    code: "FAILED",
    what: (path) => `"${path}" is not a directory, or does not lie in one`,
    hint: () => "Correct backup_dir in the config file, or move the file out of the way.",
  },
  EIO: { code: "FAILED", what: (path) => `the disk below "${path}" reports an input/output error`, hint: LOOK_AT_DISK },
  EMFILE: { code: "FAILED", what: () => "too many files are open", hint: () => 'Raise the limit with "ulimit -n".' },
  ESTALE: { code: "FAILED", what: (path) => `the mount of "${path}" is stale`, hint: LOOK_AT_DISK, retryable: true },
  ETIMEDOUT: { code: "UNREACHABLE", what: (path) => `the server of "${path}" does not answer`, retryable: true },
  EHOSTDOWN: { code: "UNREACHABLE", what: (path) => `the server of "${path}" is down`, retryable: true },
};

/**
 * The name of a system error, such as `ENOENT`; `undefined` for other errors.
 * libuv knows no name for some that matter here, EDQUOT and ESTALE among them; the system does.
 */
function systemErrorName(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("syscall" in error) || !("code" in error)) return undefined;
  const number = "errno" in error ? -Number(error.errno) : undefined;
  const [name] = Object.entries(constants.errno).find(([, value]) => value === number) ?? [String(error.code)];
  return name;
}

/** Whether `error` is a system error of one of the given names, such as `ENOENT`. */
export function isSystemError(error: unknown, ...names: readonly string[]): boolean {
  const name = systemErrorName(error);
  return name !== undefined && names.includes(name);
}

/** A system error as people can read it; anything else as it is. */
export function fileError(error: unknown, { verb, object, path }: Doing): unknown {
  const name = systemErrorName(error);
  if (name === undefined) return error;
  const meaning = MEANINGS[name];
  const what = meaning?.what(path) ?? `${(error as Error).message} in "${path}"`;
  return new BackupError(meaning?.code ?? "FAILED", `Cannot ${verb} "${object}": ${what}`, {
    hint: meaning?.hint?.(path),
    retryable: meaning?.retryable,
    cause: error,
  });
}

/** Run file operations; their system errors come out as `fileError()`s. */
export async function during<T>(doing: Doing, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fileError(error, doing);
  }
}

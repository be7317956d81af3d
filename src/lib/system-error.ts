import type { ErrorCode } from "../domain/errors.ts";

/** What a failed system call means: the class of the failure, and words for people. */
export type Meaning = { readonly code: ErrorCode; readonly what: string };

const MEANINGS: Readonly<Record<string, Meaning>> = {
  EACCES: { code: "NOT_PERMITTED", what: "permission is denied" },
  EDQUOT: { code: "NO_SPACE", what: "the disk quota is used up" },
  EIO: { code: "FAILED", what: "the disk reports an input/output error" },
  ELOOP: { code: "FAILED", what: "its symbolic links lead in a circle" },
  ENAMETOOLONG: { code: "FAILED", what: "the name is too long" },
  ENOENT: { code: "FAILED", what: "there is no such file or directory, or a link leads nowhere" },
  ENOSPC: { code: "NO_SPACE", what: "no space is left on the disk" },
  ENOTDIR: { code: "FAILED", what: "a part of the path is not a directory" },
  EPERM: { code: "NOT_PERMITTED", what: "the operation is not permitted" },
  EROFS: { code: "NOT_PERMITTED", what: "the file system is read-only" },
};

/** Explain a failed system call; what is unknown, in its own words. */
export function meaningOf(error: unknown): Meaning {
  if (!(error instanceof Error)) return { code: "FAILED", what: String(error) };
  const known = "code" in error ? MEANINGS[String(error.code)] : undefined;
  return known ?? { code: "FAILED", what: error.message };
}

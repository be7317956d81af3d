import type { Interval } from "./interval.ts";
import type { Key } from "./key.ts";

/** What a verify found, and when. */
export type Verification = { readonly at: Date; readonly ok: boolean; readonly level: string };

/**
 * Facts every copy of ours carries. A copy of the predecessor has none of the optional ones.
 * `suffixes` are those of the stored name, in the order they were applied: `[".zst", ".gpg"]`.
 */
export type StoredFacts = {
  readonly key: Key;
  readonly host: string;
  readonly suffixes: readonly string[];
  /** Size of the stored object. */
  readonly bytes: number | undefined;
  /** Lower-case hex SHA-256 of the stored object. */
  readonly sha256: string | undefined;
  /** Size before compression. */
  readonly rawBytes: number | undefined;
  /** Program that read the source, such as `tar`. */
  readonly tool: string | undefined;
  readonly toolVersion: string | undefined;
  readonly verified: Verification | undefined;
};

/** One tar archive of one directory. */
export type FilesCopy = StoredFacts & {
  readonly media: "files";
  readonly interval: Interval;
  /** The configured path, such as `/etc`; unknown for a copy of the predecessor. */
  readonly directory: string | undefined;
  readonly startedAt: Date;
  readonly finishedAt: Date | undefined;
  /** What tar warned of, such as `file changed as we read it`; empty when nothing. */
  readonly warnings: readonly string[];
};

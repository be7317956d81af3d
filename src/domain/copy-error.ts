import { BackupError } from "./errors.ts";
import type { Key } from "./key.ts";

/** A failure that one copy is to blame for: it is damaged, or not there. */
export class CopyError extends BackupError {
  override readonly name: string = "CopyError";
  /** The culprit; not always the copy that was asked for. */
  readonly key: Key;

  constructor(
    key: Key,
    code: "DATA_DAMAGED" | "NOT_FOUND",
    { message, ...facts }: { readonly message: string; readonly hint?: string | undefined; readonly cause?: unknown },
  ) {
    super(code, message, facts);
    this.key = key;
  }
}

import { BackupError } from "../domain/errors.ts";

/** Why a receiver was not reached, as the end of a sentence that names the receiver. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ("code" in error && error.code === "ECONNREFUSED") return "nothing listens there";
  // The object it names is named already.
  return error instanceof BackupError ? (error.message.split('": ').at(-1) ?? "") : error.message;
}

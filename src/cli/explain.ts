import { BackupError } from "../domain/errors.ts";

/** A failure as people read it: what is and what to do where it is one of ours, the stack where it is a defect. */
export function explain(error: unknown): string {
  if (error instanceof BackupError) return error.hint === undefined ? error.message : join(error.message, error.hint);
  if (error instanceof Error) return error.stack ?? error.message;
  return String(error);
}

function join(message: string, hint: string): string {
  if (message.includes("\n")) return `${message}\n  ${hint}`;
  return message.endsWith("?") ? `${message} ${hint}` : `${message}. ${hint}`;
}

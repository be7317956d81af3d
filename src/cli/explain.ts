import { BackupError } from "../domain/errors.ts";
import { printable } from "../domain/human.ts";
import { Interruption } from "./interruption.ts";

/** A failure as people read it: what is and what to do where it is one of ours, the stack where it is a defect. */
export function explain(error: unknown): string {
  if (error instanceof BackupError) return join(lines(error.message), error.hint);
  if (error instanceof Interruption) return error.message;
  if (error instanceof Error) return error.stack ?? error.message;
  return String(error);
}

/** Names in a message may come from anywhere; its line breaks are ours. */
function lines(message: string): string {
  return message.split("\n").map(printable).join("\n");
}

function join(message: string, hint: string | undefined): string {
  if (hint === undefined) return message;
  if (message.includes("\n")) return `${message}\n  ${hint}`;
  return message.endsWith("?") ? `${message} ${hint}` : `${message}. ${hint}`;
}

/** A failure in one line, be it a defect. */
export function explainShortly(error: unknown): string {
  if (error instanceof BackupError || !(error instanceof Error)) return explain(error);
  return printable(error.message);
}

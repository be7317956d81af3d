import type { Mark } from "../../domain/copy.ts";
import { BackupError } from "../../domain/errors.ts";
import { withMark } from "../../domain/soundness.ts";
import { amendNamed } from "../amend.ts";
import type { Invocation } from "../invocation.ts";
import { whoAmI } from "../who.ts";

/** The options of the command, as typed. */
export type MarkOptions = {
  readonly copy: string;
  readonly broken?: true;
  readonly ok?: true;
  readonly reason?: string;
};

const LONGEST_REASON = 500;

/** Record what a person knows of a copy: that it is broken, or good after all. */
export async function mark(options: MarkOptions, invocation: Invocation): Promise<number> {
  const word = markOf(options);
  const { key } = await amendNamed(options.copy, (copy) => withMark(copy, word), invocation);
  const meaning = word.broken
    ? "broken: it is not the latest, no parent of increments, and not counted by retention"
    : "good: it counts again";
  invocation.terminal.print(`${key} is marked as ${meaning}`);
  return 0;
}

function markOf({ copy, broken, ok, reason }: MarkOptions): Mark {
  if ((broken === true) === (ok === true)) {
    throw new BackupError("USAGE", `Cannot mark "${copy}": it is not said as what`, {
      hint: "Give one of --broken and --ok.",
    });
  }
  if (reason !== undefined && reason.length > LONGEST_REASON) {
    throw new BackupError("USAGE", `Cannot mark "${copy}": the reason is longer than ${LONGEST_REASON} characters`, {
      hint: "Say it shorter.",
    });
  }
  return { broken: broken === true, at: new Date(), by: whoAmI(), reason: reason?.trim() || undefined };
}

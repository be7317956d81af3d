import type { Preservation } from "../../domain/copy.ts";
import { BackupError } from "../../domain/errors.ts";
import { humanTime } from "../../domain/human.ts";
import { withPreservation } from "../../domain/preservation.ts";
import { parseUntil } from "../../domain/until.ts";
import { amendNamed } from "../amend.ts";
import type { Invocation } from "../invocation.ts";

/** The options of the command, as typed. */
export type PreserveOptions = {
  readonly copy: string;
  readonly until?: string;
  readonly forever?: true;
  readonly clear?: true;
};

/** Have retention leave a copy alone, with all that it needs, or take that back. */
export async function preserve(options: PreserveOptions, invocation: Invocation): Promise<number> {
  const until = untilOf(options, new Date());
  const { key } = await amendNamed(options.copy, (copy) => withPreservation(copy, until), invocation);
  invocation.terminal.print(`${key} is ${stateText(until)}`);
  return 0;
}

function untilOf({ copy, until, forever, clear }: PreserveOptions, now: Date): Preservation | undefined {
  if ([until, forever, clear].filter((each) => each !== undefined).length !== 1) {
    throw new BackupError("USAGE", `Cannot preserve "${copy}": it is not said for how long`, {
      hint: "Give one of --until DATE, --forever and --clear.",
    });
  }
  if (until !== undefined) return parseUntil(until, now);
  return forever === true ? "forever" : undefined;
}

function stateText(until: Preservation | undefined): string {
  if (until === undefined) return "no longer preserved; retention counts it again";
  return `preserved ${until === "forever" ? "forever" : `until ${humanTime(until)}`}, with every copy that it needs`;
}

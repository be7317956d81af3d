import type { Mark, StoredFacts } from "./copy.ts";
import { printable } from "./human.ts";

type Judged = Pick<StoredFacts, "verified" | "mark">;

/**
 * Whether a copy is known to be bad: a person marked it as broken, or a verify failed. Such a copy stays listed, and counts nowhere: it is not the
 * latest, no parent of an increment, and none of those that retention keeps for their age.
 */
export function isBroken({ verified, mark }: Judged): boolean {
  return mark?.broken === true || verified?.ok === false;
}

/** Why a copy is known to be bad, as the end of a sentence: `was marked as broken by root@db1 at …: taken during the migration`. */
export function whyBroken({ verified, mark }: Judged): string | undefined {
  if (mark?.broken === true) {
    const reason = mark.reason === undefined ? "" : `: ${mark.reason}`;
    // Both come from a status, and go to a terminal.
    return printable(`was marked as broken by ${mark.by} at ${mark.at.toISOString()}${reason}`);
  }
  return verified?.ok === false ? `was found broken by a verify at ${verified.at.toISOString()}` : undefined;
}

/** The copy with a person's word on it. That it is good also takes back what a verify found wrong; what one found right stays. */
export function withMark<C extends Judged>(copy: C, mark: Mark): C {
  return { ...copy, mark, verified: mark.broken || copy.verified?.ok === true ? copy.verified : undefined };
}

import type { Media } from "./copy.ts";
import { BackupError } from "./errors.ts";
import type { AgeLimits } from "./freshness.ts";

/** Ages in seconds that a person set; what they did not set is `undefined`. */
export type SetLimits = Partial<AgeLimits>;

/** How old the newest good copy of each kind may get; a kind nobody set anything for is absent. */
export type AgeThresholds = ReadonlyMap<Media, SetLimits>;

const KINDS: readonly Media[] = ["files", "mysql", "binlog"];

/** The kinds that an age without one is for: nobody knows how often a server has anything to log. */
const COPIES: readonly Media[] = ["files", "mysql"];

type Typed = Readonly<Record<keyof AgeLimits, readonly string[]>>;

/**
 * Read thresholds as they are typed: an age for every copy, or `KIND=AGE` for one kind; several are separated by commas. The more special
 * one counts.
 * @param secondsOf reads an age.
 * @throws {BackupError} USAGE when one is neither.
 */
export function parseThresholds(typed: Typed, secondsOf: (age: string) => number | undefined): AgeThresholds {
  const limits = new Map<Media, SetLimits>();
  for (const level of ["warning", "critical"] as const) {
    const items = typed[level]
      .flatMap((text) => text.split(","))
      .map((text) => readItem(text.trim(), level, secondsOf));
    const special = items.filter(({ media }) => media.length === 1);
    for (const { media, seconds } of [...items.filter(({ media }) => media.length > 1), ...special]) {
      for (const each of media) limits.set(each, { ...limits.get(each), [level]: seconds });
    }
  }
  return limits;
}

function readItem(text: string, level: string, secondsOf: (age: string) => number | undefined) {
  const [age = "", kind] = text.split("=", 2).toReversed();
  const media = kind === undefined ? COPIES : KINDS.filter((each) => each === kind);
  const seconds = secondsOf(age);
  if (seconds !== undefined && media.length > 0) return { media, seconds };
  throw new BackupError("USAGE", `Cannot use "--${level} ${text}": it is no age`, {
    hint: "Give an age such as 36h or 90m, or one for a kind of copies, such as mysql=2h,files=36h.",
  });
}

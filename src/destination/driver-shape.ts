import type { Driver, DriverLimits } from "./driver.ts";

const METHODS = ["list", "stat", "read", "start", "write", "remove", "close"] as const satisfies (keyof Driver)[];
const OPTIONAL_METHODS = ["unfinished", "discard", "share", "now"] as const satisfies (keyof Driver)[];
const TEXTS = ["kind", "url"] as const satisfies (keyof Driver)[];
const NUMBERS = [
  "leastPartBytes",
  "mostPartBytes",
  "mostParts",
  "mostObjectBytes",
  "parallelParts",
] as const satisfies (keyof DriverLimits)[];

/** What keeps a value from being a driver, such as `no method list()`; nothing when it is one. */
export function driverProblems(made: unknown): string[] {
  if (typeof made !== "object" || made === null) return ["it is no object"];
  const found = made as Readonly<Record<string, unknown>>;
  const isGone = (name: string) => found[name] === undefined || found[name] === null;
  return [
    ...TEXTS.filter((name) => typeof found[name] !== "string" || found[name] === "").map((name) => `no text ${name}`),
    ...METHODS.filter((name) => typeof found[name] !== "function").map((name) => `no method ${name}()`),
    ...OPTIONAL_METHODS.filter((name) => !isGone(name) && typeof found[name] !== "function").map(
      (name) => `${name} is no method`,
    ),
    ...(isGone("unfinished") === isGone("discard") ? [] : ["unfinished() and discard() go together"]),
    ...limitProblems(found["limits"]),
  ];
}

/** A value without `driverProblems()`. */
export function asDriver(made: unknown): Driver {
  return made as Driver;
}

function limitProblems(limits: unknown): string[] {
  if (typeof limits !== "object" || limits === null) return ["no limits"];
  const found = limits as Readonly<Record<string, unknown>>;
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) > 0;
  const missing = NUMBERS.filter((name) => !isCount(found[name])).map(
    (name) => `limits.${name} is no whole number above 0`,
  );
  if (found["parallelReads"] !== undefined && !isCount(found["parallelReads"])) {
    missing.push("limits.parallelReads is no whole number above 0");
  }
  if (typeof found["isConditional"] !== "boolean") missing.push("limits.isConditional is neither true nor false");
  const { leastPartBytes: least, mostPartBytes: most } = found;
  if (isCount(least) && isCount(most) && least > most) missing.push("limits.leastPartBytes is above mostPartBytes");
  return missing;
}

import { Argument, Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { keyProblem } from "../domain/key.ts";
import { secondsOf } from "./duration.ts";
import type { Invocation } from "./invocation.ts";

export { Argument, Command, CommanderError, Option };

export const DEFAULT_LOCK = "/var/run/twindb-backup.lock";

/** A command's own work. @returns the exit status. */
export type Work = (invocation: Invocation) => Promise<number>;

/** For commander: a whole number of seconds. */
export function seconds(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError(`"${text}" is not a whole number of seconds.`);
}

/** For commander: such as `15m`, in seconds. */
export function duration(text: string): number {
  const value = secondsOf(text);
  if (value !== undefined) return value;
  throw new InvalidArgumentError(`"${text}" is no length of time, such as 90s, 15m, 1h or 7d.`);
}

/** For commander: the name of a host as it stands in keys. */
export function host(text: string): string {
  const problem = text.includes("/") ? 'it holds a "/"' : keyProblem(text);
  if (problem === undefined) return text;
  throw new InvalidArgumentError(`"${text}" is no name of a host: ${problem}.`);
}

/** For commander: an option that may be given again. */
export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

export const typeOption = (): Option =>
  new Option("--type <type>", "only copies of this kind").choices(["files", "mysql", "binlog"]);
export const jsonOption = (): Option => new Option("--json", "print JSON, whose form is stable");

/** Adds each command to the tree. `start` remembers what was asked for; it runs after parsing. */
export type Add = (program: Command, start: (work: Work) => void) => void;

import type { Argument, Command, Option } from "../src/cli/command-line.ts";
import { commandTree } from "../src/cli/program.ts";

/** One value that a command takes, with a dash or without. */
export type Word = {
  /** As it is typed: `--dst <dir>`, `<copy>`. */
  readonly usage: string;
  /** `--dst`; nothing for an argument. */
  readonly flag?: string;
  readonly meaning: string;
  /** What the value may be: one of these words, a file, a directory, anything, or there is none. */
  readonly value: readonly string[] | "file" | "directory" | "any" | "none";
};

/** A command of the tree; the program itself is the one without words. */
export type Entry = {
  /** Such as `["restore", "file"]`. */
  readonly words: readonly string[];
  readonly meaning: string;
  readonly arguments: readonly Word[];
  readonly options: readonly Word[];
  /** The commands right below it. */
  readonly below: readonly Entry[];
};

const HELP: Word = { usage: "-h, --help", flag: "--help", meaning: "print the help of the command", value: "none" };

function valueOf(name: string, choices: readonly string[] | undefined): Word["value"] {
  if (choices !== undefined) return choices;
  if (/<(path|file|html)>/.test(name)) return "file";
  return /<dir>/.test(name) ? "directory" : "any";
}

/** A default that the description does not tell already. */
function defaultOf({ defaultValue, defaultValueDescription }: Argument | Option): string {
  const value: unknown = defaultValueDescription ?? defaultValue;
  return typeof value === "string" || typeof value === "number" ? ` (default: ${value})` : "";
}

function choicesOf(choices: readonly string[] | undefined): string {
  return choices === undefined ? "" : `: ${choices.join(", ")}`;
}

function wordOf(option: Option): Word {
  const { flags, long, description, argChoices, required, optional } = option;
  return {
    usage: flags,
    flag: long ?? flags,
    meaning: description + choicesOf(argChoices) + defaultOf(option),
    value: required || optional ? valueOf(flags, argChoices) : "none",
  };
}

function argumentOf(argument: Argument): Word {
  const usage = argument.required ? `<${argument.name()}>` : `[${argument.name()}]`;
  const meaning = (argument.description || "what ls printed") + choicesOf(argument.argChoices) + defaultOf(argument);
  return { usage, meaning, value: valueOf(usage, argument.argChoices) };
}

function entryOf(command: Command, words: readonly string[]): Entry {
  return {
    words,
    meaning: command.description(),
    arguments: command.registeredArguments.map(argumentOf),
    options: [...command.options.map(wordOf), HELP],
    below: command.commands.map((each) => entryOf(each, [...words, each.name()])),
  };
}

/** An entry and all below it, in the order of the help. */
export function flat(entry: Entry): readonly Entry[] {
  return [entry, ...entry.below.flatMap(flat)];
}

/** The whole program. */
export function program(): Entry {
  return entryOf(commandTree(), []);
}

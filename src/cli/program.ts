import { BackupError, EXIT_STATUS } from "../domain/errors.ts";
import { type Add, Command, CommanderError, type Work } from "./command-line.ts";
import { COMMANDS } from "./command-tree.ts";
import { exitStatusOf } from "./exit-status.ts";
import { type Globals, invocationOf } from "./globals.ts";
import { abortOnSignals } from "./interruption.ts";
import { Terminal } from "./terminal.ts";
import { version } from "./version.ts";

const DEFAULT_CONFIG = "/etc/twindb/twindb-backup.cfg";
const NO_COMMAND_STATUS = 255;

export const EXIT_HELP = `
Exit status: 0 done, 1 failed, 2 usage, 65 damaged data, 66 no such copy, 69 unreachable, 75 another run holds the lock,
77 not permitted, 78 config, 128+n ended by signal n.`;

const WITH_VALUE = new Set(["--config", "--xtrabackup-binary", "--xbstream-binary"]);

/** The part of the tree that the command line is about, for each part takes time; all of it where that is not clear. */
function partsFor(args: readonly string[]): Set<Add> {
  const word = args.find((arg, index) => !arg.startsWith("-") && !WITH_VALUE.has(args[index - 1] ?? ""));
  const only = COMMANDS.get(word ?? "");
  return new Set(only === undefined ? COMMANDS.values() : [only]);
}

function build(args: readonly string[], start: (work: Work) => void): Command {
  const program = new Command("twindb-backup")
    .description("Backs up directories and MySQL servers from cron; every listed copy restores.")
    .option("--config <path>", "config file", DEFAULT_CONFIG)
    .option("--debug", "tell everything that happens, on stderr")
    .option("--xtrabackup-binary <path>", "the tool that copies and prepares a server's data")
    .option("--xbstream-binary <path>", "the tool that unpacks its streams")
    .version(version(), "--version", "print the version")
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .addHelpText("after", EXIT_HELP);
  for (const add of partsFor(args)) add(program, start);
  return program;
}

/** Every command with its options, for manual pages and completions. */
export function commandTree(): Command {
  return build([], () => {});
}

async function perform(work: Work, globals: Globals): Promise<number> {
  const terminal = new Terminal();
  // A defect in a callback of a library: programs of ours are ended by their guard, leftovers are swept by the next run.
  process.once("uncaughtException", (error) => {
    terminal.fail(error);
    process.exit(EXIT_STATUS.FAILED);
  });
  const signal = abortOnSignals();
  try {
    const status = await work({ terminal, signal, ...invocationOf(globals) });
    await terminal.finish();
    return status;
  } catch (error) {
    terminal.fail(error);
    return exitStatusOf(error);
  } finally {
    terminal.draw("");
  }
}

/** Run the program with these arguments. @returns its exit status. */
export async function main(args: readonly string[]): Promise<number> {
  let work: Work | undefined;
  const program = build(args, (chosen) => {
    work = chosen;
  });
  if (args.length === 0) {
    program.outputHelp();
    return NO_COMMAND_STATUS;
  }
  try {
    program.parse(args, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return refused(error, program);
    throw error;
  }
  if (work === undefined) throw new TypeError("a command was parsed and not chosen");
  return perform(work, program.opts<Globals>());
}

/** Commander gave up: it has printed the help that was asked for, or the command line is wrong. */
function refused(error: CommanderError, program: Command): number {
  if (error.exitCode === 0) return 0;
  // It printed the help of a group of commands, of which none was named.
  if (error.code === "commander.help") return program.args.length === 0 ? NO_COMMAND_STATUS : EXIT_STATUS.USAGE;
  const what = error.message
    .replace(/^error: /, "")
    .replaceAll("\n", " ")
    .replace(/\.$/, "");
  const usage = new BackupError("USAGE", `Cannot understand the command: ${what}`, {
    hint: `Run "${[program.name(), ...groupOf(program)].join(" ")} --help".`,
  });
  new Terminal().fail(usage);
  return exitStatusOf(usage);
}

/** The names of the command that was reached, such as `restore file`. */
function groupOf(command: Command): string[] {
  const next = command.commands.find((each) => command.args.includes(each.name()));
  return next === undefined ? [] : [next.name(), ...groupOf(next)];
}

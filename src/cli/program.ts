import { Argument, Command, CommanderError, Option } from "commander";
import type { Media } from "../domain/copy.ts";
import { EXIT_STATUS } from "../domain/errors.ts";
import { INTERVALS, type Interval } from "../domain/interval.ts";
import { exitStatusOf } from "./exit-status.ts";
import { abortOnSignals } from "./interruption.ts";
import type { Invocation } from "./invocation.ts";
import { Terminal } from "./terminal.ts";
import { version } from "./version.ts";

const DEFAULT_CONFIG = "/etc/twindb/twindb-backup.cfg";
const DEFAULT_LOCK = "/var/run/twindb-backup.lock";
const NO_COMMAND_STATUS = 255;

const EXIT_HELP = `
Exit status: 0 done, 1 failed, 2 usage, 65 damaged data, 66 no such copy, 69 unreachable, 75 another run holds the lock,
77 not permitted, 78 config, 128+n ended by signal n.`;

type Globals = { readonly config: string; readonly debug?: true };

/** A command's own work. @returns the exit status. */
type Work = (invocation: Invocation) => Promise<number>;

function seconds(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new CommanderError(EXIT_STATUS.USAGE, "usage", `error: "${text}" is not a whole number of seconds`);
}

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

const typeOption = (): Option =>
  new Option("--type <type>", "only copies of this kind").choices(["files", "mysql", "binlog"]);
const jsonOption = (): Option => new Option("--json", "print JSON, whose form is stable");

/** Adds each command to the tree. `start` remembers what was asked for; it runs after parsing. */
type Add = (program: Command, start: (work: Work) => void) => void;

const addBackup: Add = (program, start) => {
  program
    .command("backup")
    .description("take copies of everything the config names, and expire old ones")
    .addArgument(new Argument("<run-type>", "how often this run happens").choices(INTERVALS))
    .option("--lock-file <path>", "file that keeps runs from overlapping", DEFAULT_LOCK)
    .option("--wait <seconds>", "how long to wait for another run (default: half the run type's interval)", seconds)
    .addOption(new Option("--only <part>", "leave out the other parts").choices(["files", "mysql", "binlog"]))
    .option("--binlogs-only", "the same as --only binlog")
    .option("--full", "take full copies, whatever the config says of increments")
    .action((runType: Interval, options: { lockFile: string; wait?: number; only?: Media; binlogsOnly?: true }) => {
      start(async (invocation) => (await import("./commands/backup.ts")).backup({ ...options, runType }, invocation));
    });
};

const addListings: Add = (program, start) => {
  program
    .command("ls")
    .description("list the copies on the destination")
    .addOption(typeOption())
    .option("--host <host>", "only copies of this host")
    .addOption(jsonOption())
    .action((options: { type?: Media; host?: string; json?: true }) => {
      start(async (invocation) => (await import("./commands/ls.ts")).ls(options, invocation));
    });
  const status = program
    .command("status")
    .description("print the status a destination holds of a host, as JSON")
    .addOption(typeOption().default("mysql"))
    .option("--hostname <host>", "another host than this one")
    .action((options: { type: Media; hostname?: string }) => {
      start(async (invocation) => (await import("./commands/status.ts")).status(options, invocation));
    });
  status
    .command("rebuild")
    .description("write the status files anew from the manifests and objects on the destination")
    .option("--hostname <host>", "another host than this one")
    .action((options: { hostname?: string }) => {
      start(async (invocation) => (await import("./commands/status-rebuild.ts")).statusRebuild(options, invocation));
    });
};

const addRestore: Add = (program, start) => {
  program
    .command("restore")
    .description("bring a copy back")
    .command("file")
    .description("restore a copy of a directory; a COPY is anything ls printed")
    .argument("<copy>")
    .option("--dst <dir>", "empty or new directory to restore into", ".")
    .option("--path <path>", "only this file or directory of the copy; may be given again", collect)
    .action((copy: string, options: { dst: string; path?: string[] }) => {
      start(async (invocation) =>
        (await import("./commands/restore-file.ts")).restoreFile({ ...options, copy }, invocation),
      );
    });
};

const addVerify: Add = (program, start) => {
  program
    .command("verify")
    .description("prove that copies can be restored")
    .command("file")
    .description("read stored copies: checksum, decryption, decompression and the archive's listing; needs no space")
    .argument("<copy>", "what ls printed, or latest (of every directory), or all")
    .option("--hostname <host>", "another host than this one")
    .addOption(jsonOption())
    .action((copy: string, options: { hostname?: string; json?: true }) => {
      start(async (invocation) =>
        (await import("./commands/verify-file.ts")).verifyFile({ ...options, copy }, invocation),
      );
    });
};

const addCare: Add = (program, start) => {
  program
    .command("check")
    .description("look whether the next backup and the next restore would work")
    .addOption(jsonOption())
    .action((options: { json?: true }) => {
      start(async (invocation) => (await import("./commands/check.ts")).check(options, invocation));
    });
  program
    .command("init")
    .description("write a commented config file for a local destination")
    .option("--dst <dir>", "where the copies go", "/var/backup/twindb")
    .option("--source <dir>", "a directory to back up; may be given again (default: /etc)", collect)
    .action((options: { dst: string; source?: string[] }) => {
      start(async (invocation) => (await import("./commands/init.ts")).init(options, invocation));
    });
};

function build(start: (work: Work) => void): Command {
  const program = new Command("twindb-backup")
    .description("Backs up directories from cron; every listed copy restores.")
    .option("--config <path>", "config file", DEFAULT_CONFIG)
    .option("--debug", "tell everything that happens, on stderr")
    .version(version(), "--version", "print the version")
    .enablePositionalOptions()
    .exitOverride()
    .addHelpText("after", EXIT_HELP);
  for (const add of [addBackup, addListings, addRestore, addVerify, addCare]) add(program, start);
  return program;
}

async function perform(work: Work, globals: Globals): Promise<number> {
  const terminal = new Terminal();
  const signal = abortOnSignals();
  try {
    return await work({ terminal, signal, configPath: globals.config, debug: globals.debug === true });
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
  const program = build((chosen) => {
    work = chosen;
  });
  if (args.length === 0) {
    program.outputHelp();
    return NO_COMMAND_STATUS;
  }
  try {
    program.parse(args, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : usage(error);
    throw error;
  }
  if (work !== undefined) return perform(work, program.opts<Globals>());
  return NO_COMMAND_STATUS;
}

/** Commander has printed what was wrong, except for our own checks of values. */
function usage(error: CommanderError): number {
  if (error.code === "usage") process.stderr.write(`${error.message}\n`);
  // A command group without a command printed its help.
  return error.code === "commander.help" ? 0 : EXIT_STATUS.USAGE;
}

import { Argument, Command, CommanderError, InvalidArgumentError, Option } from "commander";
import type { Media } from "../domain/copy.ts";
import { BackupError, EXIT_STATUS } from "../domain/errors.ts";
import { INTERVALS, type Interval } from "../domain/interval.ts";
import { keyProblem } from "../domain/key.ts";
import type { PushOptions } from "./commands/binlog.ts";
import type { RestoreMysqlOptions } from "./commands/restore-mysql.ts";
import type { VerifyMysqlOptions } from "./commands/verify-mysql.ts";
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

type Globals = {
  readonly config: string;
  readonly debug?: true;
  readonly xtrabackupBinary?: string;
  readonly xbstreamBinary?: string;
};

/** A command's own work. @returns the exit status. */
type Work = (invocation: Invocation) => Promise<number>;

function seconds(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError(`"${text}" is not a whole number of seconds.`);
}

function host(text: string): string {
  const problem = text.includes("/") ? 'it holds a "/"' : keyProblem(text);
  if (problem === undefined) return text;
  throw new InvalidArgumentError(`"${text}" is no name of a host: ${problem}.`);
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
    .option("--host <host>", "only copies of this host", host)
    .addOption(jsonOption())
    .action((options: { type?: Media; host?: string; json?: true }) => {
      start(async (invocation) => (await import("./commands/ls.ts")).ls(options, invocation));
    });
  const status = program
    .command("status")
    .description("print the status a destination holds of a host, as JSON")
    .addOption(typeOption().default("mysql"))
    .option("--hostname <host>", "another host than this one", host)
    .action((options: { type: Media; hostname?: string }) => {
      start(async (invocation) => (await import("./commands/status.ts")).status(options, invocation));
    });
  status
    .command("rebuild")
    .description("write the status files anew from the manifests and objects on the destination")
    .option("--hostname <host>", "another host than this one", host)
    .action((_options: object, command: Command) => {
      // Its --hostname is taken by the command above it, which knows that option as well.
      const options = command.optsWithGlobals<{ hostname?: string }>();
      start(async (invocation) => (await import("./commands/status-rebuild.ts")).statusRebuild(options, invocation));
    });
};

const addRestore: Add = (program, start) => {
  const group = program.command("restore").description("bring a copy back");
  group
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
  group
    .command("mysql")
    .description("restore a copy of a server with all it needs, ready to start; a COPY is anything ls printed")
    .argument("<copy>", "what ls printed, or latest: the newest that has all its parts")
    .option("--dst <dir>", "empty or new directory to restore into (default: the current one)")
    .option("--copy-back", "put the data in place: into the empty data directory of a stopped server")
    .option("--datadir <dir>", "that data directory (default: the one in the copy's config files)")
    .option("--hostname <host>", "another host than this one, for latest", host)
    .option("--cache <dir>", "directory that keeps prepared data, so that the next restore is quick")
    .option("--dry-run", "print what would be done, and what is missing")
    .addOption(jsonOption())
    .action((copy: string, options: Omit<RestoreMysqlOptions, "copy">) => {
      start(async (invocation) =>
        (await import("./commands/restore-mysql.ts")).restoreMysql({ ...options, copy }, invocation),
      );
    });
};

const addVerify: Add = (program, start) => {
  const group = program.command("verify").description("prove that copies can be restored");
  group
    .command("file")
    .description("read stored copies: checksum, decryption, decompression and the archive's listing; needs no space")
    .argument("<copy>", "what ls printed, or latest (of every directory), or all")
    .option("--hostname <host>", "another host than this one", host)
    .addOption(jsonOption())
    .action((copy: string, options: { hostname?: string; json?: true }) => {
      start(async (invocation) =>
        (await import("./commands/verify-file.ts")).verifyFile({ ...options, copy }, invocation),
      );
    });
  group
    .command("mysql")
    .description("restore copies of a server for a while, start a server on them, and check every table")
    .argument("<copy>", "what ls printed, or latest, or all")
    .option("--hostname <host>", "another host than this one", host)
    .option("--dst <dir>", "empty or new directory to restore into for a while (default: TMPDIR)")
    .addOption(
      new Option("--level <level>", "how far to go: only read, also prepare, also start a server").choices([
        "checksum",
        "prepare",
        "boot",
      ]),
    )
    .addOption(jsonOption())
    .action((copy: string, options: Omit<VerifyMysqlOptions, "copy">) => {
      start(async (invocation) =>
        (await import("./commands/verify-mysql.ts")).verifyMysql({ ...options, copy }, invocation),
      );
    });
  addVerifyBinlog(group, start);
};

const addVerifyBinlog = (group: Command, start: (work: Work) => void): void => {
  group
    .command("binlog")
    .description("read archived binary logs: checksum, decryption, decompression and every event; needs no space")
    .argument("<copy>", "what ls printed, or latest, or all")
    .option("--hostname <host>", "another host than this one", host)
    .addOption(jsonOption())
    .action((copy: string, options: { hostname?: string; json?: true }) => {
      start(async (invocation) =>
        (await import("./commands/verify-binlog.ts")).verifyBinlog({ ...options, copy }, invocation),
      );
    });
};

const addBinlog: Add = (program, start) => {
  const group = program.command("binlog").description("binary logs of the server, for a point in time");
  group
    .command("push")
    .description("archive the server's binary logs; cron may do it every few minutes")
    .option("--lock-file <path>", "file that keeps runs from overlapping", DEFAULT_LOCK)
    .option("--wait <seconds>", "how long to wait for another run (default: half an hour)", seconds)
    .action((options: PushOptions) => {
      start(async (invocation) => (await import("./commands/binlog.ts")).push(options, invocation));
    });
  group
    .command("stream")
    .description(
      "follow the server's binary log as it is written, and archive it; a service that runs until it is ended",
    )
    .option("--lock-file <path>", "file that keeps runs from overlapping", DEFAULT_LOCK)
    .action((options: { lockFile: string }) => {
      start(async (invocation) => (await import("./commands/binlog-stream.ts")).stream(options, invocation));
    });
  group
    .command("ls")
    .description("list the archived binary logs, and what is missing between them")
    .option("--host <host>", "another host than this one", host)
    .addOption(jsonOption())
    .action((options: { host?: string; json?: true }) => {
      start(async (invocation) => (await import("./commands/binlog.ts")).ls(options, invocation));
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

const COMMANDS: ReadonlyMap<string, Add> = new Map([
  ["backup", addBackup],
  ["ls", addListings],
  ["status", addListings],
  ["restore", addRestore],
  ["verify", addVerify],
  ["binlog", addBinlog],
  ["check", addCare],
  ["init", addCare],
]);

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

function invocationOf(globals: Globals): Omit<Invocation, "terminal" | "signal"> {
  const { config, debug, xtrabackupBinary, xbstreamBinary } = globals;
  const binaries = { xtrabackup: xtrabackupBinary, xbstream: xbstreamBinary };
  return { configPath: config, debug: debug === true, binaries };
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

import type { Media } from "../domain/copy.ts";
import { INTERVALS, type Interval } from "../domain/interval.ts";
import { CLONE_OPTIONS } from "./clone-options.ts";
import {
  type Add,
  Argument,
  type Command,
  collect,
  DEFAULT_LOCK,
  duration,
  host,
  jsonOption,
  Option,
  seconds,
  typeOption,
  type Work,
} from "./command-line.ts";
import type { PushOptions } from "./commands/binlog.ts";
import type { FinishOptions } from "./commands/binlog-finish.ts";
import type { CloneMysqlOptions } from "./commands/clone-mysql.ts";
import type { VerifyMysqlOptions } from "./commands/verify-mysql.ts";
import { addMonitoring } from "./monitoring.ts";
import { addBinlogOperations, addOperations } from "./operations.ts";
import type { RestoreMysqlOptions } from "./restore-target.ts";

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
    .option("--host <host>", "only copies of this host (default: all)", host)
    .addOption(jsonOption())
    .action((options: { type?: Media; host?: string; json?: true }) => {
      start(async (invocation) => (await import("./commands/ls.ts")).ls(options, invocation));
    });
  const status = program
    .command("status")
    .description("print the status a destination holds of a host, as JSON; with --host, how hosts are")
    .addOption(typeOption().default("mysql"))
    .option("--hostname <host>", "another host than this one", host)
    .option("--host <host>", "how this host is, or all: last good copies, sizes, what is late", host)
    .option("--json", "with --host: print JSON, whose form is stable")
    .action((options: { type: Media; hostname?: string; host?: string; json?: true }) => {
      const { host: of, ...rest } = options;
      start(async (invocation) =>
        of === undefined
          ? (await import("./commands/status.ts")).status(rest, invocation)
          : (await import("./commands/fleet.ts")).fleet({ ...rest, host: of }, invocation),
      );
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
    .argument("<copy>", "what ls printed, or latest: the newest, where this host has copies of one directory only")
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
    .option("--to-time <time>", "bring it forward: all committed before this time (2026-11-21T02:36:45Z), or latest")
    .option("--to-gtid <gtid>", "bring it forward: up to and with this transaction")
    .option("--to-position <file:pos>", "bring it forward: up to this place of a binary log")
    .option("--exclude-gtid <gtid>", "bring it forward without this transaction; may be given again", collect)
    .option("--accept-gap", "go on where binary logs are missing; what was written there is lost")
    .option("--fallback", "take an older copy and more binary logs when the latest one is damaged")
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
    .option("--with-binlogs", "also replay the archived binary logs on it, as far as they reach")
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
    .option("--finish", "after the loss of the server: archive what the spool holds, its newest log too, and end")
    .option("--spool <dir>", "with --finish: another spool, such as one that was put aside")
    .action(({ finish, ...options }: FinishOptions & { readonly finish?: true }) => {
      start(async (invocation) =>
        finish === true
          ? (await import("./commands/binlog-finish.ts")).finish(options, invocation)
          : (await import("./commands/binlog-stream.ts")).stream(options, invocation),
      );
    });
  group
    .command("ls")
    .description("list the archived binary logs, and what is missing between them")
    .option("--host <host>", "another host than this one", host)
    .addOption(jsonOption())
    .action((options: { host?: string; json?: true }) => {
      start(async (invocation) => (await import("./commands/binlog.ts")).ls(options, invocation));
    });
  addBinlogOperations(group, start);
};

const addStore: Add = (program, start) => {
  program
    .command("share")
    .description("print a URL by which anybody can fetch a copy until it expires; nothing is made public")
    .argument("<copy>", "what ls printed; also the URL that the predecessor printed")
    .addOption(
      new Option("--expires <time>", "how long it works, such as 90s, 15m or 7d")
        .argParser(duration)
        .default(3600, "1h"),
    )
    .addOption(jsonOption())
    .action((copy: string, options: { expires: number; json?: true }) => {
      start(async (invocation) => (await import("./commands/share.ts")).share({ ...options, copy }, invocation));
    });
  program
    .command("expire")
    .description("remove what [retention] does not keep, in the stead of a host that may not remove anything")
    .option("--hostname <host>", "another host than this one", host)
    .option("--lock-file <path>", "file that keeps runs from overlapping", DEFAULT_LOCK)
    .action((options: { hostname?: string; lockFile: string }) => {
      start(async (invocation) => (await import("./commands/expire.ts")).expire(options, invocation));
    });
};

const addCare: Add = (program, start) => {
  program
    .command("init")
    .description("write a commented config file for a local destination")
    .option("--dst <dir>", "where the copies go", "/var/backup/twindb")
    .option("--source <dir>", "a directory to back up; may be given again (default: /etc)", collect)
    .action((options: { dst: string; source?: string[] }) => {
      start(async (invocation) => (await import("./commands/init.ts")).init(options, invocation));
    });
};

const addClone: Add = (program, start) => {
  const command = program
    .command("clone")
    .description("make a server of another host a replica")
    .command("mysql")
    .description("stream a running server to another host, start one there, and have it follow the first")
    .argument("<source>", "HOST or HOST:PORT of the running server")
    .argument("<destination>", "HOST with an empty data directory and a stopped server");
  for (const each of CLONE_OPTIONS) command.option(...each);
  command.action((source: string, destination: string, options: Omit<CloneMysqlOptions, "source" | "destination">) =>
    start(async (invocation) =>
      (await import("./commands/clone-mysql.ts")).cloneMysql({ ...options, source, destination }, invocation),
    ),
  );
};

/** What adds each command of the top level. */
export const COMMANDS: ReadonlyMap<string, Add> = new Map([
  ["backup", addBackup],
  ["ls", addListings],
  ["status", addListings],
  ["restore", addRestore],
  ["verify", addVerify],
  ["clone", addClone],
  ["share", addStore],
  ["expire", addStore],
  ["preserve", addOperations],
  ["mark", addOperations],
  ["pause", addOperations],
  ["resume", addOperations],
  ["binlog", addBinlog],
  ["check", addMonitoring],
  ["report", addMonitoring],
  ["init", addCare],
]);

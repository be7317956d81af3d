import type { Config, MysqlOptions } from "../config/options.ts";
import type { Destination } from "../destination/destination.ts";
import { BackupError } from "../domain/errors.ts";
import type { Interval } from "../domain/interval.ts";
import { backupBinlogs, type LocalBinlogs, type LogServer } from "../job/backup-binlogs.ts";
import { type Part, WAIT_SECONDS } from "../job/run.ts";
import { acquireLock } from "../lib/lock.ts";
import { type PartOptions, workshopOf } from "./backup-services.ts";
import { binlogServer, serverOf } from "./binlog-server.ts";
import { type Context, openDestination, shelfOf } from "./context.ts";
import { forebearsOf } from "./forebears.ts";
import { keptBinlogs } from "./kept-copies.ts";

type Request = { readonly runType: Interval; readonly lockFile: string; readonly wait?: number };

type Options = PartOptions & {
  /** The user asked for binary logs, rather than that the config has a section of the server. */
  readonly isWanted: boolean;
  /** Archive from here instead of from the server of the config alone. */
  readonly server?: (signal: AbortSignal) => LogServer;
  /** Overrides the config's. */
  readonly rotateSeconds?: number;
};

/** The part of a run that archives the server's binary logs. */
export function binlogPart({ runType, lockFile, wait }: Request, context: Context, options: Options): Part {
  return {
    name: "binlog",
    async run() {
      const lost = new AbortController();
      await using _lock = await acquireLock(`${lockFile}.binlog`, {
        waitSeconds: wait ?? WAIT_SECONDS[runType],
        signal: options.invocation.signal,
        onLost: (error) => lost.abort(error),
      });
      const signal = AbortSignal.any([options.invocation.signal, lost.signal]);
      await run(context, { ...options, invocation: { ...options.invocation, signal } });
    },
  };
}

async function run(context: Context, options: Options): Promise<void> {
  const { config } = context;
  await using destination = await openDestination(config);
  try {
    const hasLogs = await archive(context, { ...options, destination });
    if (!hasLogs && options.isWanted) throw noLogs();
    if (!hasLogs) context.log.info("the server keeps no binary logs");
  } catch (error) {
    if (!(await isNoServer(error, context, { ...options, destination }))) throw error;
    context.log.info("there is no server here whose binary logs could be archived");
  }
}

type Opened = Options & { readonly destination: Destination };

async function archive(context: Context, options: Opened): Promise<boolean> {
  const { config } = context;
  const { destination, invocation } = options;
  const { signal } = invocation;
  const mysql: MysqlOptions = serverOf(config);
  return backupBinlogs({
    ...(await workshopOf(context, { ...options, media: "binlog" })),
    local: localOf(config),
    server: options.server?.(signal) ?? binlogServer(mysql, { idleSeconds: config.run.idleSeconds, signal }),
    rotateSeconds: options.rotateSeconds ?? mysql.rotateSeconds,
    expireDays: mysql.expireLogDays,
    forebears: () => forebearsOf(destination, config.hostname, { signal }),
    async mysqlCopies() {
      const { status, doubtful } = await shelfOf(destination, config.hostname, "mysql").status.load({ signal });
      return { copies: status.copies, doubtful };
    },
  });
}

/** `undefined` when no second copies are kept, also because the retention of all run types is 0. */
function localOf({ keepLocalPath: root, retentionLocal, hostname }: Config): LocalBinlogs | undefined {
  const keepsAny = Object.values(retentionLocal).some((copies) => copies > 0);
  return root === undefined || !keepsAny ? undefined : keptBinlogs(root, hostname);
}

/**
 * Whether the section of the server is only there because packaged files have it: copies of the server are off, nobody can be reached, and no
 * binary log was ever archived.
 */
async function isNoServer(error: unknown, { config }: Context, options: Opened): Promise<boolean> {
  if (options.isWanted || config.source.mysql || !(error instanceof BackupError)) return false;
  if (error.code !== "UNREACHABLE" && error.code !== "CONFIG_INVALID") return false;
  const { signal } = options.invocation;
  const { status } = await shelfOf(options.destination, config.hostname, "binlog").status.load({ signal });
  return status.copies.length === 0;
}

function noLogs(): BackupError {
  return new BackupError("CONFIG_INVALID", "Cannot archive binary logs: the server keeps none", {
    hint: "Set log_bin in the server's config, and restart it.",
  });
}

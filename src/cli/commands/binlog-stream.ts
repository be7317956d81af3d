import { createHash } from "node:crypto";
import { type StreamState, serverIdOf } from "../../domain/binlog-stream.ts";
import { BackupError } from "../../domain/errors.ts";
import { streamBinlogs } from "../../job/stream-binlogs.ts";
import { type ServiceManager, serviceManager } from "../../lib/service-manager.ts";
import { BinlogSpool } from "../../source/binlog-spool.ts";
import { heldOf, sweepAside } from "../../source/spool-archived.ts";
import { binlogPart } from "../binlog-part.ts";
import { binlogServer, serverOf } from "../binlog-server.ts";
import { type Context, openConfig, openDestination, openLog, shelfOf } from "../context.ts";
import { explain } from "../explain.ts";
import type { Invocation } from "../invocation.ts";
import { holdSpool } from "../spool-lock.ts";
import { spooledServer } from "../spooled-server.ts";

type StreamOptions = { readonly lockFile: string; readonly spool?: string };

/** How long another run that archives binary logs is waited for, in seconds. */
const ARCHIVE_WAIT_SECONDS = 1800;

/** Follow the server's binary log until a signal ends it. */
export async function stream(options: StreamOptions, invocation: Invocation): Promise<never> {
  if (options.spool !== undefined) throw notHere(options.spool);
  const context = { ...(await openConfig(invocation)), log: await openLog(invocation, true) };
  for (const warning of context.warnings) context.log.warn(warning);
  process.umask(0o077);
  const mysql = serverOf(context.config);
  const spool = new BinlogSpool(mysql.binlogSpool, mysql.binlogSpoolBytes);
  await spool.prepare();
  await using held = await holdSpool(spool, invocation.signal);
  const { signal } = held;
  const manager = serviceManager(process.env, signal);
  manager.ready();
  using _watchdog = keptAlive(manager);
  return await follow({ options, context, spool, manager }, { ...invocation, signal });
}

function notHere(spool: string): BackupError {
  return new BackupError("USAGE", `Cannot stream into "${spool}": --spool goes with --finish`, {
    hint: "Set binlog_spool under [mysql] to have the stream write there.",
  });
}

/** The event loop turns: that is what a watchdog can know. */
function keptAlive(manager: ServiceManager): Disposable {
  const { watchdogSeconds: seconds } = manager;
  const timer = seconds > 0 ? setInterval(() => manager.alive(), (seconds * 1000) / 3) : undefined;
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

type Parts = {
  readonly options: StreamOptions;
  readonly context: Context;
  readonly spool: BinlogSpool;
  readonly manager: ServiceManager;
};

function follow(parts: Parts, invocation: Invocation): Promise<never> {
  const { context, spool, manager } = parts;
  const mysql = serverOf(context.config);
  const { signal } = invocation;
  const server = binlogServer(mysql, { idleSeconds: context.config.run.idleSeconds, signal });
  const hash = createHash("sha256").update(`${context.config.hostname}\n${spool.directory}`).digest().readUInt32LE(0);
  let said = "";
  return streamBinlogs({
    spool,
    server: { list: () => server.list(), follow: (from) => server.follow(from, serverIdOf(hash)) },
    archive: () => archive(parts, invocation),
    // A log that was begun by the run before is old enough then.
    archiveSeconds: mysql.rotateSeconds === 0 ? 0 : mysql.rotateSeconds + 1,
    now: () => new Date(),
    log: context.log,
    explain,
    onState(state) {
      const words = wordsOf(state);
      if (words !== said) manager.status(words);
      said = words;
    },
    signal,
  });
}

function wordsOf({ state, log, failure }: StreamState): string {
  return failure ?? (state === "following" ? `following ${log}` : state);
}

/** What `binlog push` does, with what the spool holds; then the spool needs to hold it no more. */
async function archive({ options, context, spool }: Parts, invocation: Invocation): Promise<void> {
  const { config, log } = context;
  const { rotateSeconds } = serverOf(config);
  const { idleSeconds } = config.run;
  const request = { runType: "hourly", lockFile: options.lockFile, wait: ARCHIVE_WAIT_SECONDS } as const;
  const part = binlogPart(request, context, {
    invocation,
    onFailure: (error) => log.warn(explain(error)),
    isWanted: true,
    server: (signal) => spooledServer(binlogServer(serverOf(config), { idleSeconds, signal }), spool),
    // It would be closed again and again: the stream has what is in it.
    rotateSeconds: rotateSeconds === 0 ? Number.POSITIVE_INFINITY : rotateSeconds,
  });
  await part.run();
  const closed = await spool.closed();
  if (closed.length + (await spool.aside()).length === 0) return;
  await using destination = await openDestination(config);
  const { status } = await shelfOf(destination, config.hostname, "binlog").status.load({ signal: invocation.signal });
  const { whole } = await heldOf(spool, closed, status.copies);
  await spool.remove(whole);
  for (const name of whole) log.debug(`removed "${name}" from the spool: it is archived`);
  for (const path of await sweepAside(spool, status.copies)) log.info(`removed "${path}": it is archived`);
}

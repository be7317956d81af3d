import { stat } from "node:fs/promises";
import type { BinlogCopy } from "../../domain/copy.ts";
import { BackupError } from "../../domain/errors.ts";
import { BinlogSpool } from "../../source/binlog-spool.ts";
import { heldOf, sweepAside } from "../../source/spool-archived.ts";
import { binlogPart } from "../binlog-part.ts";
import { binlogServer, serverOf } from "../binlog-server.ts";
import { type Context, openContext, openDestination, shelfOf } from "../context.ts";
import type { Invocation } from "../invocation.ts";
import { lostServer, type Remains, remainsIn, requireLost } from "../lost-server.ts";
import { holdSpool } from "../spool-lock.ts";

export type FinishOptions = {
  readonly lockFile: string;
  /** A spool other than the config's, such as one that was put aside. */
  readonly spool?: string;
};

/** Hand over to the destination what the spool of a lost server holds, the log that it wrote to last too. */
export async function finish(options: FinishOptions, invocation: Invocation): Promise<number> {
  const context = await openContext(invocation);
  const mysql = serverOf(context.config);
  const spool = new BinlogSpool(options.spool ?? mysql.binlogSpool, mysql.binlogSpoolBytes);
  await requireThere(spool);
  await using held = await holdSpool(spool, invocation.signal);
  const { signal } = held;
  const remains = await remainsIn(spool);
  if (remains === undefined) {
    invocation.terminal.print(`"${spool.directory}" holds nothing that is not archived`);
  } else {
    const { idleSeconds } = context.config.run;
    await requireLost(binlogServer(mysql, { idleSeconds, signal }), remains);
    await handOver(remains, { options, context, invocation: { ...invocation, signal } });
  }
  for (const { directory } of await spool.aside()) {
    invocation.terminal.print(`"${directory}" was put aside before; to hand it over, too, name it with --spool`);
  }
  return 0;
}

async function requireThere({ directory }: BinlogSpool): Promise<void> {
  const found = await stat(directory).catch(() => undefined);
  if (found?.isDirectory() === true) return;
  throw new BackupError("NOT_FOUND", `Cannot hand over "${directory}": it is no directory`, {
    hint: "Name the directory of the stream's spool with --spool, or as binlog_spool under [mysql].",
  });
}

type Parts = { readonly options: FinishOptions; readonly context: Context; readonly invocation: Invocation };

async function handOver(remains: Remains, { options, context, invocation }: Parts): Promise<void> {
  const failures: unknown[] = [];
  const part = binlogPart({ runType: "hourly", lockFile: options.lockFile }, context, {
    invocation,
    onFailure: (error) => failures.push(error),
    isWanted: true,
    server: () => lostServer(remains),
    rotateSeconds: Number.POSITIVE_INFINITY,
  });
  await part.run();
  const { config } = context;
  await using destination = await openDestination(config);
  const { status } = await shelfOf(destination, config.hostname, "binlog").status.load({ signal: invocation.signal });
  const { spool, logs } = remains;
  const { whole, longer } = await heldOf(spool, logs, status.copies);
  const left = logs.filter(({ name }) => !whole.includes(name) && !longer.includes(name)).map(({ name }) => name);
  if (left.length > 0) throw notHeld(left, spool.directory);
  for (const line of reachOf(remains, status.copies)) invocation.terminal.print(line);
  await spool.remove(whole);
  await sweepAside(spool, status.copies);
  if (failures.length > 0) throw failures[0];
}

/** How far the archive reaches now. */
function reachOf({ logs }: Remains, copies: readonly BinlogCopy[]): string[] {
  const newest = logs.at(-1)?.name;
  const copy = copies.findLast(({ name }) => name === newest);
  if (copy?.log === undefined) return [];
  const { lastCommitAt, endOffset } = copy.log;
  const last = lastCommitAt === undefined ? "" : `, the last commit is of ${lastCommitAt.toISOString()}`;
  return [`the archive reaches to ${copy.name}:${endOffset}${last}`];
}

function notHeld(names: readonly string[], directory: string): BackupError {
  const list = names.map((name) => `"${name}"`).join(", ");
  return new BackupError(
    "CONFLICT",
    `Cannot hand over ${list}: the archive has another log of that name, or goes on behind it`,
    {
      hint: `Compare "${directory}" with what twindb-backup binlog ls prints, and replay by hand what it holds besides.`,
    },
  );
}

import { formatGtidState } from "../../domain/binlog.ts";
import { BackupError } from "../../domain/errors.ts";
import { keyProblem } from "../../domain/key.ts";
import type { Takeover } from "../../domain/takeover.ts";
import { takeOver } from "../../job/take-over.ts";
import { type OpenedClient, openClient } from "../../mysql/client.ts";
import { readApplied, readServerLogs } from "../../mysql/server-logs.ts";
import { serverOf } from "../binlog-server.ts";
import { openContext, openDestination, shelfOf } from "../context.ts";
import type { Invocation } from "../invocation.ts";
import { whoAmI } from "../who.ts";

/** After a failover: end the archive of the old primary where this server went on, and keep the old one from adding to it. */
export async function takeover(oldHost: string, invocation: Invocation): Promise<number> {
  requireHost(oldHost);
  const { signal, terminal } = invocation;
  const { config, log } = await openContext(invocation);
  await using client = await openClient(serverOf(config), { signal });
  const asked = await askNewPrimary(client, config.hostname);
  await using destination = await openDestination(config);
  const shelves = {
    old: shelfOf(destination, oldHost, "binlog"),
    own: shelfOf(destination, config.hostname, "binlog"),
  };
  const { log: last, lost } = await takeOver(shelves, asked, { signal });
  if (lost !== "") log.warn(`this server never got what the old primary logged besides: ${lost}`);
  terminal.print(
    `the archive of ${oldHost} ends in "${last.name}"; only the server on ${config.hostname} may archive now`,
  );
  terminal.print(
    `archive its binary logs now, with twindb-backup binlog push: copies of ${oldHost} are brought forward over the failover with them`,
  );
  return 0;
}

/** It becomes a part of keys. */
function requireHost(text: string): void {
  const problem = text.includes("/") ? 'it holds a "/"' : keyProblem(text);
  if (problem === undefined) return;
  throw new BackupError("USAGE", `Cannot take over the archive of "${text}": that is no name of a host, ${problem}`, {
    hint: "Name it as twindb-backup ls does, at the beginning of its copies.",
  });
}

/** @throws {BackupError} FAILED when this server cannot be the new primary. */
async function askNewPrimary(client: OpenedClient, host: string): Promise<Takeover> {
  const logs = await readServerLogs(client);
  const isReadOnly = !/^(?:0|OFF)$/.test((await client.value("SELECT @@GLOBAL.read_only")) ?? "");
  if (logs === undefined || isReadOnly) {
    const what = isReadOnly ? "it is read-only" : "it keeps no binary logs";
    throw new BackupError("FAILED", `Cannot take over with the server "${client.target}": ${what}`, {
      hint: "Promote it first: a primary takes writes, and logs them.",
    });
  }
  const applied = await readApplied(client);
  const { uuid, serverId } = logs;
  const to = { host, uuid, serverId };
  return { applied, gtid: formatGtidState(applied), at: wholeSecond(new Date()), by: whoAmI(), to };
}

/** Records hold whole seconds. */
function wholeSecond(at: Date): Date {
  return new Date(Math.floor(at.getTime() / 1000) * 1000);
}

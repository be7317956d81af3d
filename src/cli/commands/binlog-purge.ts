import type { MysqlOptions } from "../../config/options.ts";
import { BackupError } from "../../domain/errors.ts";
import { humanBytes } from "../../domain/human.ts";
import type { Peer } from "../../domain/purge-plan.ts";
import { type Purged, purgeBinlogs } from "../../job/purge-binlogs.ts";
import { openClient } from "../../mysql/client.ts";
import { readApplied } from "../../mysql/server-logs.ts";
import { binlogServer, serverOf } from "../binlog-server.ts";
import { openContext, openDestination, shelfOf } from "../context.ts";
import type { Invocation } from "../invocation.ts";
import { pauseState } from "../paused.ts";

/** The options of the command, as typed. */
export type PurgeOptions = {
  readonly peer?: readonly string[];
  readonly keepHours: string;
  readonly dryRun?: true;
};

/** Where a peer listens. */
type Place = { readonly name: string; readonly hostname: string; readonly port: number };

/** Have the server remove the binary logs that are archived and that no peer needs. Silent from cron. */
export async function purge({ peer = [], keepHours, dryRun }: PurgeOptions, invocation: Invocation): Promise<number> {
  const places = peer.map(placeOf);
  const keepSeconds = hoursOf(keepHours) * 3600;
  const { config, log } = await openContext(invocation);
  const { pause, notice } = await pauseState(config, new Date());
  if (notice !== undefined) log.warn(notice);
  if (pause !== undefined && dryRun !== true) return 0;
  const { signal, terminal } = invocation;
  const mysql = serverOf(config);
  await using destination = await openDestination(config);
  const purged = await purgeBinlogs({
    shelf: shelfOf(destination, config.hostname, "binlog"),
    server: binlogServer(mysql, { idleSeconds: config.run.idleSeconds, signal }),
    peers: () => Promise.all(places.map((place) => askPeer(place, mysql, signal))),
    keepSeconds,
    isDry: dryRun === true,
    now: new Date(),
    signal,
  });
  const lines = purged === undefined ? ["the server keeps no binary logs"] : linesOf(purged, dryRun === true);
  for (const line of lines) {
    if (dryRun === true) terminal.print(line);
    else log.info(line);
  }
  return 0;
}

function hoursOf(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new BackupError("USAGE", `Cannot keep logs for "${text}" hours: that is no whole number`, {
    hint: "Give --keep-hours 24, or 0 to keep none for their age.",
  });
}

function linesOf({ logs, kept, why }: Purged, isDry: boolean): string[] {
  const bytes = humanBytes(logs.reduce((sum, log) => sum + log.bytes, 0));
  const [first, last] = [logs[0], logs.at(-1)];
  const range = first === last ? `"${first?.name}"` : `"${first?.name}" to "${last?.name}"`;
  const goes = isDry ? "would be purged" : "purged";
  return [
    first === undefined ? "nothing to purge" : `${goes}: ${range}, ${logs.length} of ${bytes}`,
    `kept: "${kept.name}" and what is newer, for ${why}`,
  ];
}

/** `[IPv6]`, a name or IPv4, or a bare IPv6 without a port. */
const PLACE = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]\s/]+)|([0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*$))(?::(\d{1,5}))?$/;

/** Read `HOST[:PORT]`. @throws {BackupError} USAGE */
function placeOf(text: string): Place {
  const [, bracketed, name, bare, port = "3306"] = PLACE.exec(text) ?? [];
  const hostname = bracketed ?? name ?? bare;
  if (hostname !== undefined && isPort(port)) return { name: text, hostname, port: Number(port) };
  throw new BackupError("USAGE", `Cannot ask the peer "${text}": it is no host`, {
    hint: "Write it as db2, db2:3307 or [2001:db8::2]:3307.",
  });
}

function isPort(text: string): boolean {
  return Number(text) >= 1 && Number(text) <= 65_535;
}

/** A peer is logged in to as the server itself, save for what the option file says of peers, or of this one. */
async function askPeer({ name, hostname, port }: Place, mysql: MysqlOptions, signal: AbortSignal): Promise<Peer> {
  const groups = ["twindb-peer", `twindb-peer-${hostname}`];
  const { defaultsFile } = mysql;
  await using client = await openClient({ defaultsFile, hostname, port, groups }, { signal });
  return { name, applied: await readApplied(client) };
}

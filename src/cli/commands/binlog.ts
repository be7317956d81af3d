import type { Timeline } from "../../domain/binlog-catalogue.ts";
import { describeGap } from "../../domain/binlog-gap.ts";
import { humanBytes, humanTime } from "../../domain/human.ts";
import { type Listed, listCopies } from "../../job/list.ts";
import { openConfig, openDestination, openLog } from "../context.ts";
import { stateOf, withNulls } from "../copy-row.ts";
import { type ListedOf, listedOf } from "../find-copies.ts";
import type { Invocation } from "../invocation.ts";
import { tableOf } from "../table.ts";
import { catalogueIn, gapJson } from "../windows.ts";
import { backup } from "./backup.ts";

export type PushOptions = { readonly lockFile: string; readonly wait?: number };

type LsOptions = { readonly host?: string; readonly json?: true };

/** Archive the server's binary logs: the part of a run that cron may start every few minutes. */
export function push(options: PushOptions, invocation: Invocation): Promise<number> {
  return backup({ ...options, runType: "hourly", binlogsOnly: true, isPush: true }, invocation);
}

/** List the archived binary logs of this host, or another one, and what is missing between them. */
export async function ls({ host, json }: LsOptions, invocation: Invocation): Promise<number> {
  const { terminal, signal } = invocation;
  const { config } = await openConfig(invocation);
  await using destination = await openDestination(config);
  const name = host ?? config.hostname;
  const { listed, warnings } = await listCopies(destination, { host: name, media: "binlog", signal });
  if (warnings.length > 0) {
    const log = await openLog(invocation);
    for (const warning of warnings) log.warn(warning);
  }
  const { timelines } = catalogueIn(name, { listed });
  if (json === true) {
    const rows = timelines.map((timeline) => timelineJson(timeline, listed));
    terminal.print(JSON.stringify({ destination: destination.url, host: name, timelines: rows }, null, 2));
    return 0;
  }
  if (timelines.length === 0) (await openLog(invocation)).info(`no binary logs of "${name}" on ${destination.url}`);
  else terminal.print(timelines.flatMap((timeline) => timelineLines(timeline, listed)).join("\n"));
  return 0;
}

type Row = ListedOf<"binlog">;

/** The listed logs of a timeline, in its order. */
function rowsOf({ logs }: Timeline, listed: readonly Listed[]): Row[] {
  const byKey = new Map(listedOf("binlog", listed).map((row) => [row.copy.key, row]));
  return logs.flatMap(({ key }) => byKey.get(key) ?? []);
}

function timelineLines(timeline: Timeline, listed: readonly Listed[]): string[] {
  const table = tableOf<Row>(
    [
      { title: "FROM", value: ({ copy }) => humanTime(copy.createdAt) },
      { title: "TO", value: ({ copy }) => (copy.log === undefined ? "?" : humanTime(copy.log.lastAt)) },
      { title: "SIZE", value: ({ copy }) => (copy.bytes === undefined ? "?" : humanBytes(copy.bytes)), align: "right" },
      { title: "COMMITS", value: ({ copy }) => String(copy.log?.transactions ?? "?"), align: "right" },
      { title: "STATE", value: stateOf },
      { title: "COPY", value: ({ copy }) => copy.key },
    ],
    rowsOf(timeline, listed),
  );
  return [...table, ...timeline.gaps.map((gap) => `gap ${describeGap(gap)}`)];
}

function timelineJson(timeline: Timeline, listed: readonly Listed[]): Record<string, unknown> {
  return {
    incarnation: timeline.incarnation ?? null,
    logs: rowsOf(timeline, listed).map(logJson),
    gaps: timeline.gaps.map(gapJson),
  };
}

/** An archived log as `--json` prints it. Field names are stable. */
function logJson(row: Row): Record<string, unknown> {
  const { key, name, createdAt, bytes, rawBytes, sha256, serverUuid, serverVersion, gtid, log } = row.copy;
  return withNulls({
    key,
    name,
    created_at: createdAt.toISOString(),
    last_at: log?.lastAt.toISOString(),
    first_commit_at: log?.firstCommitAt?.toISOString(),
    last_commit_at: log?.lastCommitAt?.toISOString(),
    bytes,
    raw_bytes: rawBytes,
    sha256,
    server_uuid: serverUuid,
    server_version: serverVersion,
    previous_gtid: log?.previousGtid,
    gtid,
    transactions: log?.transactions,
    end: log?.end,
    state: stateOf(row),
  });
}

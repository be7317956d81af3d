import { type Heap, type SpoolView, streamTrouble } from "../domain/binlog-stream.ts";
import { humanBytes, humanSeconds } from "../domain/human.ts";
import type { Finding } from "../job/check.ts";
import { isRunning } from "../lib/process-identity.ts";
import { withNulls } from "./copy-row.ts";

/** What a stream of binary logs does, in words: what is wrong with it first. */
function streamText({ state, waiting }: SpoolView, trouble: string | undefined): string {
  const { log, bytes, lagSeconds, lastEventAt } = state;
  const facts = [
    ...(log === undefined ? [] : [`"${log}"`, humanBytes(bytes)]),
    ...(lagSeconds === undefined || trouble !== undefined ? [] : [`${humanSeconds(lagSeconds)} behind`]),
    `last event ${lastEventAt ?? "not seen yet"}`,
    ...(waiting.logs === 0 ? [] : [`${heapText(waiting)} to be archived`]),
  ];
  return `${trouble === undefined ? "" : `${trouble}; `}${facts.join(", ")}`;
}

function heapText({ logs, bytes }: Heap): string {
  return `${logs} log${logs === 1 ? "" : "s"} of ${humanBytes(bytes)}`;
}

function asideText(aside: Heap): string {
  return `"${aside.directory}", put aside, holds ${heapText(aside)} that ${aside.logs === 1 ? "is" : "are"} not archived: binlog stream --finish --spool hands over`;
}

function troubleOf({ state }: SpoolView, now: Date): string | undefined {
  return streamTrouble(state, now, isRunning(state.pid));
}

/** How the stream of binary logs of this host is, as `check` tells it. */
export function streamFindings(view: SpoolView, now: Date): Finding[] {
  const name = "binlog stream";
  const trouble = troubleOf(view, now);
  return [
    { name, result: trouble === undefined ? "ok" : "warning", detail: streamText(view, trouble) },
    ...view.aside.map((aside): Finding => ({ name, result: "warning", detail: asideText(aside) })),
  ];
}

/** The same as lines for people. */
export function streamLines(view: SpoolView, now: Date): string[] {
  const trouble = troubleOf(view, now);
  return [`binlog stream: ${streamText(view, trouble)}`, ...view.aside.map(asideText)];
}

/** The same as `--json` prints it. Field names are stable; `trouble` is null when nothing is wrong. */
export function streamJson(view: SpoolView, now: Date): Record<string, unknown> {
  const { state, waiting, aside } = view;
  return withNulls({
    state: isRunning(state.pid) ? state.state : "stopped",
    trouble: troubleOf(view, now),
    log: state.log,
    bytes: state.bytes,
    last_event_at: state.lastEventAt,
    heard_at: state.heardAt,
    lag_seconds: state.lagSeconds,
    waiting_logs: waiting.logs,
    waiting_bytes: waiting.bytes,
    spool: waiting.directory,
    aside: aside.map(({ directory, logs, bytes }) => ({ directory, logs, bytes })),
  });
}

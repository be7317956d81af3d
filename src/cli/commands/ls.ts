import type { Media } from "../../domain/copy.ts";
import { listCopies, type StatusTrouble } from "../../job/list.ts";
import { openConfig, openDestination, openLog } from "../context.ts";
import { copyTable, jsonOf } from "../copy-row.ts";
import { exitStatusOf } from "../exit-status.ts";
import type { Invocation } from "../invocation.ts";
import { pauseState } from "../paused.ts";
import type { Terminal } from "../terminal.ts";
import { windowsOf } from "../windows.ts";

type LsOptions = { readonly type?: Media; readonly host?: string; readonly json?: true };

/** List the copies on the destination, of all hosts unless one is named. */
export async function ls({ type, host, json }: LsOptions, invocation: Invocation): Promise<number> {
  const { terminal, signal } = invocation;
  const { config } = await openConfig(invocation);
  const one = host === "all" ? undefined : host;
  await using destination = await openDestination(config, { isReadOnly: true });
  const {
    listed: found,
    warnings,
    troubles,
    heirs,
  } = await listCopies(destination, {
    host: one,
    // How far a copy of a server reaches, its binary logs tell.
    media: type === "mysql" ? undefined : type,
    isTolerant: one === undefined,
    signal,
  });
  const exitStatus = tellUnreadable(troubles, terminal);
  const windows = windowsOf({ listed: found, heirs });
  const listed = found.filter(({ copy }) => type === undefined || copy.media === type);
  const now = new Date();
  const { pause, notice } = await pauseState(config, now);
  const told = notice === undefined ? warnings : [...warnings, notice];
  if (told.length > 0) await warn(told, invocation);
  if (json === true) {
    const copies = listed.map((each) => jsonOf(each, now, windows));
    const paused = pause?.until.toISOString() ?? null;
    terminal.print(JSON.stringify({ destination: destination.url, paused_until: paused, copies }, null, 2));
    return exitStatus;
  }
  if (listed.length === 0) {
    (await openLog(invocation)).info(`no copies on ${destination.url}`);
    return exitStatus;
  }
  terminal.print(copyTable(listed, now, windows).join("\n"));
  return exitStatus;
}

/** @returns the exit status. */
function tellUnreadable(troubles: readonly StatusTrouble[], terminal: Terminal): number {
  const errors = troubles.filter(({ kind }) => kind === "unreadable").map(({ error }) => error);
  for (const error of errors) terminal.fail(error);
  return errors.length === 0 ? 0 : exitStatusOf(errors[0]);
}

async function warn(warnings: readonly string[], invocation: Invocation): Promise<void> {
  const log = await openLog(invocation);
  for (const warning of warnings) log.warn(warning);
}

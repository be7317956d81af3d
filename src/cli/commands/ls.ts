import type { Media } from "../../domain/copy.ts";
import { listCopies } from "../../job/list.ts";
import { openConfig, openDestination, openLog } from "../context.ts";
import { copyTable, jsonOf } from "../copy-row.ts";
import type { Invocation } from "../invocation.ts";
import { pauseState } from "../paused.ts";
import { windowsOf } from "../windows.ts";

type LsOptions = { readonly type?: Media; readonly host?: string; readonly json?: true };

/** List the copies on the destination, of all hosts unless one is named. */
export async function ls({ type, host, json }: LsOptions, invocation: Invocation): Promise<number> {
  const { terminal, signal } = invocation;
  const { config } = await openConfig(invocation);
  await using destination = await openDestination(config, { isReadOnly: true });
  const { listed: found, warnings } = await listCopies(destination, {
    host: host === "all" ? undefined : host,
    // How far a copy of a server reaches, its binary logs tell.
    media: type === "mysql" ? undefined : type,
    signal,
  });
  const windows = windowsOf(found);
  const listed = found.filter(({ copy }) => type === undefined || copy.media === type);
  const now = new Date();
  const { pause, notice } = await pauseState(config, now);
  const told = notice === undefined ? warnings : [...warnings, notice];
  if (told.length > 0) {
    const log = await openLog(invocation);
    for (const warning of told) log.warn(warning);
  }
  if (json === true) {
    const copies = listed.map((each) => jsonOf(each, now, windows));
    const paused = pause?.until.toISOString() ?? null;
    terminal.print(JSON.stringify({ destination: destination.url, paused_until: paused, copies }, null, 2));
    return 0;
  }
  if (listed.length === 0) {
    (await openLog(invocation)).info(`no copies on ${destination.url}`);
    return 0;
  }
  terminal.print(copyTable(listed, now, windows).join("\n"));
  return 0;
}

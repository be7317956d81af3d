import type { Media } from "../../domain/copy.ts";
import { listCopies } from "../../job/list.ts";
import { openConfig, openDestination, openLog } from "../context.ts";
import { copyTable, jsonOf } from "../copy-row.ts";
import type { Invocation } from "../invocation.ts";

type LsOptions = { readonly type?: Media; readonly host?: string; readonly json?: true };

/** List the copies on the destination, of all hosts unless one is named. */
export async function ls({ type, host, json }: LsOptions, invocation: Invocation): Promise<number> {
  const { terminal, signal } = invocation;
  const { config } = await openConfig(invocation);
  await using destination = await openDestination(config, { isReadOnly: true });
  const { listed, warnings } = await listCopies(destination, {
    host: host === "all" ? undefined : host,
    media: type,
    signal,
  });
  if (warnings.length > 0) {
    const log = await openLog(invocation);
    for (const warning of warnings) log.warn(warning);
  }
  if (json === true) {
    terminal.print(JSON.stringify({ destination: destination.url, copies: listed.map(jsonOf) }, null, 2));
    return 0;
  }
  if (listed.length === 0) {
    (await openLog(invocation)).info(`no copies on ${destination.url}`);
    return 0;
  }
  terminal.print(copyTable(listed, new Date()).join("\n"));
  return 0;
}

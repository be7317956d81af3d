import type { Media } from "../../domain/copy.ts";
import { listCopies } from "../../job/list.ts";
import { openContext, openDestination } from "../context.ts";
import { copyTable, jsonOf } from "../copy-row.ts";
import type { Invocation } from "../invocation.ts";

type LsOptions = { readonly type?: Media; readonly host?: string; readonly json?: true };

/** List the copies on the destination, of all hosts unless one is named. */
export async function ls({ type, host, json }: LsOptions, invocation: Invocation): Promise<number> {
  const { terminal, signal } = invocation;
  const { config, log } = await openContext(invocation);
  await using destination = await openDestination(config);
  const { listed, warnings } = await listCopies(destination, {
    host: host === "all" ? undefined : host,
    media: type,
    signal,
  });
  for (const warning of warnings) log.warn(warning);
  if (json === true) {
    terminal.print(JSON.stringify({ destination: destination.url, copies: listed.map(jsonOf) }, null, 2));
    return 0;
  }
  if (listed.length === 0) {
    log.info(`no copies on ${destination.url}`);
    return 0;
  }
  for (const line of copyTable(listed, new Date())) terminal.print(line);
  return 0;
}

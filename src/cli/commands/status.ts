import { describeGap } from "../../domain/binlog-gap.ts";
import type { Copy, Media } from "../../domain/copy.ts";
import { listCopies } from "../../job/list.ts";
import { formatRecords } from "../../status/codec.ts";
import { openContext, openDestination, shelfOf } from "../context.ts";
import type { Invocation } from "../invocation.ts";
import { pauseState } from "../paused.ts";
import { type Windows, windowsOf } from "../windows.ts";

type StatusOptions = { readonly type: Media; readonly hostname?: string };

/** Print the status of a host as the JSON that the destination holds, on one line; of MySQL copies also how far each can be brought forward. */
export async function status({ type, hostname }: StatusOptions, invocation: Invocation): Promise<number> {
  const { terminal, signal } = invocation;
  const { config, log } = await openContext(invocation);
  await using destination = await openDestination(config, { isReadOnly: true });
  const host = hostname ?? config.hostname;
  const loaded = await shelfOf(destination, host, type).status.load({ signal });
  for (const warning of loaded.warnings) log.warn(warning);
  const { notice } = await pauseState(config, new Date());
  if (notice !== undefined) log.warn(notice);
  const binlogs = type === "mysql" ? await listCopies(destination, { host, media: "binlog", signal }) : undefined;
  const listed = loaded.status.copies.map((copy) => ({ copy, doubt: undefined }));
  const windows = windowsOf({ listed: [...listed, ...(binlogs?.listed ?? [])], heirs: binlogs?.heirs ?? [] });
  terminal.print(formatRecords<Media>(type, { copies: loaded.status.copies.map((copy) => withWindow(copy, windows)) }));
  return 0;
}

/** Times are whole seconds since 1970, as in the rest of a record. */
function withWindow(copy: Copy, windows: Windows): Copy {
  const window = windows.get(copy.key);
  if (window === undefined) return copy;
  const seconds = (date: Date) => Math.floor(date.getTime() / 1000);
  const gaps = window.gaps.map((gap) => describeGap(gap));
  const fields = { recoverable_from: seconds(window.from), recoverable_until: seconds(window.to), gaps };
  return { ...copy, extra: new Map([...(copy.extra ?? []), ...Object.entries(fields)]) };
}

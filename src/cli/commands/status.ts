import type { Media } from "../../domain/copy.ts";
import { formatRecords } from "../../status/codec.ts";
import { openContext, openDestination, shelfOf } from "../context.ts";
import type { Invocation } from "../invocation.ts";

type StatusOptions = { readonly type: Media; readonly hostname?: string };

/** Print the status of a host as the JSON that the destination holds, on one line. */
export async function status({ type, hostname }: StatusOptions, invocation: Invocation): Promise<number> {
  const { terminal, signal } = invocation;
  const { config, log } = await openContext(invocation);
  await using destination = await openDestination(config, { isReadOnly: true });
  const loaded = await shelfOf(destination, hostname ?? config.hostname, type).status.load({ signal });
  for (const warning of loaded.warnings) log.warn(warning);
  terminal.print(formatRecords(type, loaded.status));
  return 0;
}

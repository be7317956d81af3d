import type { Media } from "../../domain/copy.ts";
import { openContext, openDestination, shelfOf } from "../context.ts";
import type { Invocation } from "../invocation.ts";

const KINDS: readonly Media[] = ["files", "mysql", "binlog"];

/** Write each status anew from what lies on the destination, and say what came of it. */
export async function statusRebuild(
  { hostname }: { readonly hostname?: string },
  invocation: Invocation,
): Promise<number> {
  const { terminal, signal } = invocation;
  const { config, log } = await openContext(invocation);
  await using destination = await openDestination(config);
  for (const media of KINDS) {
    const shelf = shelfOf(destination, hostname ?? config.hostname, media);
    const { status, warnings } = await shelf.status.rebuild({ signal });
    for (const warning of warnings) log.warn(warning);
    terminal.print(`${media}: ${status.copies.length} ${status.copies.length === 1 ? "copy" : "copies"}`);
  }
  return 0;
}

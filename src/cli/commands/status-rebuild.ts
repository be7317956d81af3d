import type { Destination } from "../../destination/destination.ts";
import type { Media } from "../../domain/copy.ts";
import { BackupError } from "../../domain/errors.ts";
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
  const host = hostname ?? config.hostname;
  if (!(await holdsAnything(destination, host, signal))) throw unknownHost(destination, host);
  for (const media of KINDS) {
    const shelf = shelfOf(destination, host, media);
    const { status, warnings } = await shelf.status.rebuild({ signal });
    for (const warning of warnings) log.warn(warning);
    terminal.print(`${media}: ${status.copies.length} ${status.copies.length === 1 ? "copy" : "copies"}`);
  }
  return 0;
}

async function holdsAnything(destination: Destination, host: string, signal: AbortSignal): Promise<boolean> {
  for await (const _ of destination.list(`${host}/`, { signal })) return true;
  return false;
}

/** A host that is misspelt must not get status files. */
function unknownHost({ url }: Destination, host: string): BackupError {
  return new BackupError("NOT_FOUND", `Cannot rebuild the status of "${host}": nothing of it is on ${url}`, {
    hint: 'Run "twindb-backup ls" to see which hosts there are, and name one with --hostname.',
  });
}

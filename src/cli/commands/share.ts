import type { Config } from "../../config/options.ts";
import { BackupError } from "../../domain/errors.ts";
import { findCopy } from "../../domain/find.ts";
import { listCopies } from "../../job/list.ts";
import { openConfig, openDestination, openLog } from "../context.ts";
import type { Invocation } from "../invocation.ts";

export type ShareOptions = { readonly copy: string; readonly expires: number; readonly json?: true };

/** Print a URL by which anybody can fetch a copy, as it is stored, until it expires. Nothing is made public. */
export async function share({ copy: typed, expires, json }: ShareOptions, invocation: Invocation): Promise<number> {
  const { terminal, signal } = invocation;
  const { config } = await openConfig(invocation);
  await using destination = await openDestination(config, { isReadOnly: true });
  if (destination.share === undefined) throw cannotShare(destination.url, config);
  const { listed, warnings } = await listCopies(destination, { host: undefined, media: undefined, signal });
  if (warnings.length > 0) {
    const log = await openLog(invocation);
    for (const warning of warnings) log.warn(warning);
  }
  const { key } = findCopy(
    typed,
    listed.map(({ copy }) => copy),
  );
  const expiresAt = new Date(Date.now() + expires * 1000);
  const url = await destination.share(key, { expiresSeconds: expires, signal });
  // It names the key that signed it, which is hidden elsewhere; without that it is of no use.
  terminal.printOpenly(
    json === true ? JSON.stringify({ key, url, expires_at: expiresAt.toISOString() }, null, 2) : url,
  );
  return 0;
}

function cannotShare(url: string, { destination }: Config): BackupError {
  const what =
    destination.kind === "module"
      ? "its driver makes no URLs"
      : `a destination of kind ${destination.kind} has no URLs`;
  return new BackupError("USAGE", `Cannot share a copy on "${url}": ${what}`, {
    hint: "Share from a destination of kind s3, gcs or az, or restore the copy and send it another way.",
  });
}

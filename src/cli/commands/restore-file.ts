import { resolve, sep } from "node:path";
import type { Config } from "../../config/options.ts";
import type { Destination } from "../../destination/destination.ts";
import { toKey } from "../../domain/key.ts";
import { nameOf, suffixesOf } from "../../domain/names.ts";
import { whyBroken } from "../../domain/soundness.ts";
import { listCopies } from "../../job/list.ts";
import { restoreFile as restore, type StoredCopy } from "../../job/restore-file.ts";
import { explainUnpacking, extractCommand, isNotInArchive, openTar } from "../../source/tar.ts";
import { openContext, openDestination } from "../context.ts";
import { decodingOf } from "../decoding.ts";
import { tellRestore } from "../exporting.ts";
import { findListed } from "../find-copies.ts";
import { latestFiles } from "../find-files.ts";
import type { Invocation } from "../invocation.ts";
import { progressOn } from "../progress.ts";

type RestoreOptions = { readonly copy: string; readonly dst: string; readonly path?: readonly string[] };

type Found = {
  readonly destination: Destination;
  readonly copy: StoredCopy & { readonly suffixes: readonly string[]; readonly rawBytes: number | undefined };
  /** What speaks against the copy. */
  readonly warning: string | undefined;
};

/** Restore a files copy, from the destination or, when its path says so, from the one kept on this host. */
export async function restoreFile(
  { copy: typed, dst, path = [] }: RestoreOptions,
  invocation: Invocation,
): Promise<number> {
  const { terminal, signal } = invocation;
  const context = await openContext(invocation);
  const { config, log } = context;
  const startedAt = new Date();
  const { destination, copy, warning } = await find(typed, config, signal);
  if (warning !== undefined) log.warn(warning);
  await using _destination = destination;
  await using decoding = await decodingOf(destination, copy, { gpg: config.gpg, signal });
  const tar = await openTar({ signal });
  const onProgress = progressOn(terminal, `restoring ${nameOf(copy.key)}`, copy.rawBytes);
  await restore({
    destination,
    copy,
    decoders: decoding.decoders,
    explain: (error) => explainUnpacking(decoding.explain(error), resolve(dst)),
    idleSeconds: config.run.idleSeconds,
    signal,
    onProgress,
    target: dst,
    unpack: (directory) => extractCommand(tar, { directory, paths: path }),
    isMissing: isNotInArchive,
  });
  log.info(`restored "${copy.key}" into ${resolve(dst)}`);
  await tellRestore(context, { part: "files", startedAt }, invocation);
  return 0;
}

async function find(typed: string, config: Config, signal: AbortSignal): Promise<Found> {
  const kept = config.keepLocalPath === undefined ? undefined : resolve(config.keepLocalPath) + sep;
  if (kept !== undefined && resolve(typed).startsWith(kept)) return findKept(resolve(typed).slice(kept.length), kept);
  const destination = await openDestination(config, { isReadOnly: true });
  try {
    const { listed } = await listCopies(destination, { host: undefined, media: "files", signal });
    const { copy } = typed === "latest" ? latestFiles(config.hostname, listed) : findListed(typed, "files", listed);
    const why = whyBroken(copy);
    return { destination, copy, warning: why === undefined ? undefined : `"${copy.key}" ${why}` };
  } catch (error) {
    await destination[Symbol.asyncDispose]();
    throw error;
  }
}

/** A copy kept on this host: nothing is recorded of it but its name. */
async function findKept(relative: string, directory: string): Promise<Found> {
  const { openLocal } = await import("../../destination/local.ts");
  const key = toKey(relative);
  const copy = { key, bytes: undefined, sha256: undefined, rawBytes: undefined, suffixes: suffixesOf(nameOf(key)) };
  return { destination: await openLocal({ kind: "local", directory }), copy, warning: undefined };
}

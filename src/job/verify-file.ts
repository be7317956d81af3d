import type { FilesCopy, Verification } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import type { Doubt } from "../domain/reconcile.ts";
import { withVerification } from "../domain/status.ts";
import { type Command, into } from "../lib/command.ts";
import { recordFindings } from "./record-findings.ts";
import { type Reading, readCopy } from "./restore-file.ts";
import type { Shelf } from "./shelf.ts";

/** What a verify found about one copy. */
export type Verified = {
  readonly copy: FilesCopy;
  readonly seconds: number;
  /** Why it is not good; `undefined` when it is. */
  readonly error: unknown;
  /** Why that could not be recorded: the destination is not writable here. */
  readonly unrecorded: unknown;
};

type CopyReading = AsyncDisposable & Pick<Reading, "decoders" | "explain">;

export type VerifyOptions = {
  readonly shelf: Shelf<"files">;
  /** How to read a copy; asked for once its object is known to be there. */
  readonly open: (copy: FilesCopy) => Promise<CopyReading>;
  /** Reads an archive to its end and lists it. */
  readonly list: Command;
  readonly idleSeconds: number;
  readonly signal: AbortSignal;
};

/** `checksum` where the stored bytes can be held against a digest; `decode` for a copy of the predecessor. */
function levelOf(copy: FilesCopy): string {
  return copy.sha256 === undefined ? "decode" : "checksum";
}

/**
 * Read a copy as a restore would, into nothing: stored bytes against size and digest, decryption, decompression, the
 * archive's listing. The result is recorded in the status, unless it says nothing about the copy: the destination could not be reached, or
 * a program or key is missing here.
 */
export async function verifyFile(copy: FilesCopy, doubt: Doubt | undefined, options: VerifyOptions): Promise<Verified> {
  const started = performance.now();
  const error = await read(copy, doubt, options);
  options.signal.throwIfAborted();
  const verified: Verification = { at: new Date(), ok: error === undefined, level: levelOf(copy) };
  const unrecorded = speaksOfCopy(error) ? await record(copy, verified, options) : undefined;
  return { copy, seconds: (performance.now() - started) / 1000, error, unrecorded };
}

async function read(copy: FilesCopy, doubt: Doubt | undefined, options: VerifyOptions): Promise<unknown> {
  const { shelf, signal, idleSeconds } = options;
  try {
    if (doubt === "gone")
      throw new BackupError("NOT_FOUND", `Cannot verify "${copy.key}": its object is not there any more`, {
        hint: 'Run "twindb-backup status rebuild" to forget it, and find out who removed it.',
      });
    await using how = await options.open(copy);
    const reading: Reading = { ...how, destination: shelf.destination, copy, idleSeconds, signal };
    return await into(readCopy(reading), options.list, { signal, idleSeconds }).then(() => undefined, how.explain);
  } catch (error) {
    return error;
  }
}

function speaksOfCopy(error: unknown): boolean {
  if (error === undefined) return true;
  return error instanceof BackupError && ["DATA_DAMAGED", "NOT_FOUND", "PROGRAM_FAILED"].includes(error.code);
}

function record({ key }: FilesCopy, verified: Verification, { shelf, signal }: VerifyOptions): Promise<unknown> {
  return recordFindings(shelf, { keys: [key], change: (now) => withVerification(now, key, verified), signal });
}

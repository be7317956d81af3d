import type { BinlogFacts } from "../domain/binlog.ts";
import type { BinlogCopy, Verification } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import { withoutSuffixes } from "../domain/names.ts";
import type { Doubt } from "../domain/reconcile.ts";
import type { Status } from "../domain/status.ts";
import { type BinlogScan, EncryptedLogError, scanBinlog } from "../mysql/binlog-events.ts";
import { recordFindings } from "./record-findings.ts";
import { type Reading, readCopy } from "./restore-file.ts";
import type { Shelf } from "./shelf.ts";

/** What a verify found about one archived log. */
export type VerifiedBinlog = {
  readonly copy: BinlogCopy;
  readonly seconds: number;
  /** Why it is not good; `undefined` when it is. */
  readonly error: unknown;
  /** Why that could not be recorded: the destination is not writable here. */
  readonly unrecorded: unknown;
};

type CopyReading = AsyncDisposable & Pick<Reading, "decoders" | "explain">;

export type VerifyBinlogOptions = {
  readonly shelf: Shelf<"binlog">;
  /** How to read a copy; asked for once its object is known to be there. */
  readonly open: (copy: BinlogCopy) => Promise<CopyReading>;
  readonly idleSeconds: number;
  readonly signal: AbortSignal;
};

/**
 * Read an archived log as a replay would, into nothing: stored bytes against size and digest, decryption, decompression, every event
 * against its checksum, and all of it against what was recorded. The result is recorded in the status, unless it says nothing about the copy:
 * the destination could not be reached, or a program or key is missing here.
 */
export async function verifyBinlog(
  copy: BinlogCopy,
  doubt: Doubt | undefined,
  options: VerifyBinlogOptions,
): Promise<VerifiedBinlog> {
  const started = performance.now();
  const error = await prove(copy, doubt, options).then(
    () => undefined,
    (error: unknown) => error ?? new Error("unknown"),
  );
  options.signal.throwIfAborted();
  const unrecorded = speaksOfCopy(error) ? await record(copy, error === undefined, options) : undefined;
  return { copy, seconds: (performance.now() - started) / 1000, error, unrecorded };
}

async function prove(copy: BinlogCopy, doubt: Doubt | undefined, options: VerifyBinlogOptions): Promise<void> {
  const { shelf, signal, idleSeconds } = options;
  if (doubt === "gone") {
    throw new BackupError("NOT_FOUND", `Cannot verify "${copy.key}": its object is not there any more`, {
      hint: 'Run "twindb-backup status rebuild" to forget it, and find out who removed it.',
    });
  }
  await using how = await options.open(copy);
  const reading: Reading = { ...how, destination: shelf.destination, copy, idleSeconds, signal };
  const scan = await scanBinlog(readCopy(reading), copy.key).catch((error: unknown) => {
    throw error instanceof EncryptedLogError ? sealed(copy, error) : how.explain(error);
  });
  const what = differenceOf(copy, scan);
  if (what === undefined) return;
  throw new BackupError("DATA_DAMAGED", `Cannot trust "${copy.key}": ${what}`, {
    hint: "Take a copy of the server now: a point in time can be restored from that on.",
  });
}

/** The predecessor copied files as the server has them. */
function sealed({ key }: BinlogCopy, cause: EncryptedLogError): BackupError {
  return new BackupError("FAILED", `Cannot verify "${key}": the server has encrypted the log, which only it can read`, {
    hint: "Keep the server's keyring with it; logs that are archived from now on are not encrypted by the server.",
    cause,
  });
}

/** What is not as it was recorded; of a copy of the predecessor, what is not as a log should be. */
function differenceOf(copy: BinlogCopy, scan: BinlogScan): string | undefined {
  const { damage } = scan;
  const isKnown = copy.log?.end === "torn";
  if (damage !== undefined && !isKnown) return `at byte ${damage.offset} ${damage.what}`;
  if (copy.rawBytes !== undefined && copy.rawBytes !== scan.bytes) {
    return `it holds ${scan.bytes} bytes, ${copy.rawBytes} were recorded`;
  }
  if (copy.log === undefined) return undefined;
  if (copy.gtid !== scan.gtid) return "it holds other GTIDs than were recorded";
  return isSame(copy.log, scan.log) ? undefined : "it holds other events than were recorded";
}

/** What was not recorded yet when a log was archived is not compared. */
function isSame(recorded: BinlogFacts, found: BinlogFacts): boolean {
  const said = ({ lastAt, firstCommitAt, lastCommitAt, ...rest }: BinlogFacts) =>
    JSON.stringify(
      Object.entries({ ...rest, at: [lastAt, firstCommitAt, lastCommitAt] })
        .filter(([name]) => name === "at" || name in recorded)
        .sort(([one], [other]) => (one < other ? -1 : 1)),
    );
  return said(recorded) === said(found);
}

function speaksOfCopy(error: unknown): boolean {
  if (error === undefined) return true;
  return error instanceof BackupError && ["DATA_DAMAGED", "NOT_FOUND", "PROGRAM_FAILED"].includes(error.code);
}

function record(copy: BinlogCopy, ok: boolean, { shelf, signal }: VerifyBinlogOptions): Promise<unknown> {
  const verified: Verification = { at: new Date(), ok, level: copy.sha256 === undefined ? "decode" : "checksum" };
  return recordFindings(shelf, { keys: [copy.key], change: (now) => withResult(now, copy, verified), signal });
}

/** The predecessor records a log without the suffixes of its object. */
function withResult(status: Status<BinlogCopy>, { key }: BinlogCopy, verified: Verification): Status<BinlogCopy> {
  const record = withoutSuffixes(key);
  return { copies: status.copies.map((each) => (withoutSuffixes(each.key) === record ? { ...each, verified } : each)) };
}

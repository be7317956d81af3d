import { join } from "node:path";
import type { MysqlCopy, Verification } from "../domain/copy.ts";
import { CopyError } from "../domain/copy-error.ts";
import { BackupError } from "../domain/errors.ts";
import type { Key } from "../domain/key.ts";
import { type Candidate, planRestore } from "../domain/restore-plan.ts";
import { type Status, withVerification } from "../domain/status.ts";
import { type Command, into } from "../lib/command.ts";
import { inspectXbstream } from "../lib/xbstream.ts";
import { blame } from "./blame.ts";
import { recordFindings } from "./record-findings.ts";
import { type MysqlRecovery, recoverMysql } from "./recover-mysql.ts";
import { readCopy } from "./restore-file.ts";
import { type MysqlRestore, restoreMysql } from "./restore-mysql.ts";
import type { Shelf } from "./shelf.ts";
import type { Scratch } from "./staging.ts";

/**
 * How far a verify goes: `checksum` reads the stored bytes and looks through the stream, `prepare` restores the copy with all it needs,
 * `boot` also starts a server on it and has it check every table.
 */
const LEVELS = ["checksum", "prepare", "boot"] as const;

export type Level = (typeof LEVELS)[number];

/** A table that a server found bad, and what it says. */
type TableProblem = { readonly table: string; readonly message: string };

/** What a verify found about one copy. */
export type VerifiedMysql = {
  readonly copy: MysqlCopy;
  readonly level: Level;
  readonly seconds: number;
  /** Why it does not restore, or why nobody knows; `undefined` when it is good. */
  readonly error: unknown;
  /** The copy that is to blame: this one, or one it needs. */
  readonly culprit: Key | undefined;
  /** Why that could not be recorded: the destination is not writable here. */
  readonly unrecorded: unknown;
};

export type VerifyMysqlOptions = Omit<MysqlRestore, "plan" | "cache"> & {
  /** Where the result is recorded; `undefined` for copies on this host, of which nothing is recorded. */
  readonly shelf: Shelf<"mysql"> | undefined;
  /** All copies of the host. */
  readonly candidates: readonly Candidate[];
  readonly level: Level;
  /** Reads a tar archive to its end and lists it. */
  readonly listTar: Command;
  /** A private place to restore into. */
  readonly openDirectory: () => Promise<Scratch>;
  /** How to bring a copy forward as far as its binary logs reach, before a server is started on it; `undefined` leaves it as it is. */
  readonly planForward?: (() => Pick<MysqlRecovery, "plan" | "openLog" | "openServer">) | undefined;
  /** Start a server on a restored directory, and let it check every table. */
  readonly boot: (copy: MysqlCopy, directory: string) => Promise<readonly TableProblem[]>;
};

/**
 * Prove that a copy restores, as far as `level` goes. The result is recorded in the status, for a copy that is to blame as well as for the one
 * that needs it, unless it says nothing about any: the destination could not be reached, or a program or key is missing here.
 */
export async function verifyMysql(copy: MysqlCopy, options: VerifyMysqlOptions): Promise<VerifiedMysql> {
  const started = performance.now();
  const { level, signal } = options;
  const error = await prove(copy, options).then(
    () => undefined,
    (error: unknown) => error ?? new Error("unknown"),
  );
  signal.throwIfAborted();
  const culprit = error instanceof CopyError ? error.key : undefined;
  const unrecorded = error === undefined || culprit !== undefined ? await record(copy, culprit, options) : undefined;
  return { copy, level, seconds: (performance.now() - started) / 1000, error, culprit, unrecorded };
}

async function prove(copy: MysqlCopy, options: VerifyMysqlOptions): Promise<void> {
  const plan = planRestore(copy, options.candidates);
  if (options.level === "checksum") return readThrough(copy, options);
  await using work = await options.openDirectory();
  const directory = join(work.directory, "data");
  const to = { target: directory, withConfig: false };
  const forward = options.planForward?.();
  if (forward === undefined) await restoreMysql({ ...options, plan, cache: undefined }, to);
  else await recoverMysql({ ...options, ...forward, cache: undefined }, to);
  if (options.level === "boot") await boot(copy, directory, options);
}

/** Needs no space. Only the object of the copy itself is read. */
async function readThrough(copy: MysqlCopy, options: VerifyMysqlOptions): Promise<void> {
  const { openPart, listTar, idleSeconds, signal } = options;
  try {
    await using reading = await openPart(copy);
    const { destination, stored, decoders, explain } = reading;
    const content = readCopy({ destination, copy: stored, decoders, explain, idleSeconds, signal });
    const read = copy.format === "tar" ? into(content, listTar, { signal, idleSeconds }) : inspectXbstream(content);
    await read.catch((error: unknown) => {
      throw explain(error);
    });
  } catch (error) {
    throw blame(copy.key, error);
  }
}

async function boot(copy: MysqlCopy, directory: string, options: VerifyMysqlOptions): Promise<void> {
  const hint = "Verify the copies of this host, and take another full copy.";
  const problems = await options.boot(copy, directory).catch((error: unknown) => {
    if (!(error instanceof BackupError) || !["DATA_DAMAGED", "PROGRAM_FAILED"].includes(error.code)) throw error;
    const message = `Cannot start a server on "${copy.key}": ${error.message}`;
    throw new CopyError(copy.key, "DATA_DAMAGED", { message, hint, cause: error });
  });
  const [first] = problems;
  if (first === undefined) return;
  const more = problems.length > 1 ? `, and ${problems.length - 1} more` : "";
  const message = `Cannot trust "${copy.key}": table ${first.table} is damaged, ${first.message}${more}`;
  throw new CopyError(copy.key, "DATA_DAMAGED", { message, hint });
}

function rankOf(level: string): number {
  return LEVELS.findIndex((each) => each === level);
}

/** What a verify proved may not hide what a deeper one found wrong. */
function withFinding(status: Status<MysqlCopy>, key: Key, verified: Verification): Status<MysqlCopy> {
  const before = status.copies.find((copy) => copy.key === key)?.verified;
  const isDeeper = before?.ok === false && rankOf(before.level) > rankOf(verified.level);
  return verified.ok && isDeeper ? status : withVerification(status, key, verified);
}

/** @returns why it could not be recorded, when it could not be. */
async function record(copy: MysqlCopy, culprit: Key | undefined, options: VerifyMysqlOptions): Promise<unknown> {
  const { shelf, candidates, level, signal } = options;
  // A binary log that is to blame says nothing about the copy.
  const isOfLog = culprit !== undefined && !candidates.some(({ copy }) => copy.key === culprit);
  if (shelf === undefined || isOfLog) return undefined;
  const verified: Verification = { at: new Date(), ok: culprit === undefined, level };
  const keys = [...new Set([culprit ?? copy.key, copy.key])];
  const change = (now: Status<MysqlCopy>) => keys.reduce((status, key) => withFinding(status, key, verified), now);
  return recordFindings(shelf, { keys, change, signal });
}

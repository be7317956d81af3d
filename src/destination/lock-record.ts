import { bootId, startTimeOf } from "../lib/process-identity.ts";
import { isLeftover, machineId, temporaryName, temporaryOwner } from "./temporary-name.ts";

/** What a lock object holds, as JSON: whose it is and since when. */
type LockRecord = {
  /** A temporary name; names the machine and the process, and tells two locks of one process apart. */
  readonly owner: string;
  /** ISO 8601. */
  readonly since: string;
  /** When the owner started, to tell it from a later process of the same pid. */
  readonly startTime?: string | undefined;
  readonly bootId?: string | undefined;
};

/** The text of a lock of this process; no two are equal. */
export function newLockText(): string {
  const record: LockRecord = {
    owner: temporaryName(),
    since: new Date().toISOString(),
    startTime: startTimeOf(process.pid),
    bootId: bootId(),
  };
  return `${JSON.stringify(record)}\n`;
}

function isOptionalText(value: unknown): boolean {
  return value === undefined || typeof value === "string";
}

function isLockRecord(value: unknown): value is LockRecord {
  if (typeof value !== "object" || value === null) return false;
  const { owner, since, startTime, bootId: boot } = value as Partial<Record<keyof LockRecord, unknown>>;
  return typeof owner === "string" && typeof since === "string" && isOptionalText(startTime) && isOptionalText(boot);
}

/** @returns `undefined` for what is no lock record, such as one that was not written to its end. */
function readLockText(text: string): LockRecord | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isLockRecord(value) ? value : undefined;
  } catch {
    return undefined; // It is not JSON.
  }
}

function differs(recorded: string | undefined, found: string | undefined): boolean {
  return recorded !== undefined && found !== undefined && recorded !== found;
}

/** Whether the owner of a lock has provably ended. `false` in doubt, and always for a process of another machine. */
export function isOwnerGone(text: string): boolean {
  const record = readLockText(text);
  const owner = temporaryOwner(record?.owner ?? "");
  if (record === undefined || owner?.machine !== machineId()) return false;
  if (isLeftover(record.owner) || differs(record.bootId, bootId())) return true;
  return differs(record.startTime, startTimeOf(owner.pid));
}

/** For people: who has a lock. */
export function describeOwner(text: string): string {
  const record = readLockText(text);
  const owner = temporaryOwner(record?.owner ?? "");
  if (record === undefined || owner === undefined) return "an unknown writer";
  const where = owner.machine === machineId() ? "this machine" : "another machine";
  return `process ${owner.pid} of ${where}, since ${record.since},`;
}

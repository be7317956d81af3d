import type { MysqlCopy } from "./copy.ts";
import { CopyError } from "./copy-error.ts";
import type { Key } from "./key.ts";
import type { Doubt } from "./reconcile.ts";
import { isBroken, whyBroken } from "./soundness.ts";
import { compareCopies } from "./status.ts";

/** A MySQL copy as a listing shows it. */
export type Candidate = {
  readonly copy: MysqlCopy;
  readonly doubt: Doubt | undefined;
  /** Size of the object that is there; `undefined` where nobody looked. */
  readonly storedBytes?: number | undefined;
};

/** One stored object of a restore. */
type PlannedPart = {
  readonly copy: MysqlCopy;
  /** Size of the stored object. */
  readonly bytes: number | undefined;
};

/** Room that a restore takes. An estimate goes by the size of what is stored. */
export type Space = { readonly bytes: number; readonly isEstimate: boolean };

/** What brings one copy back: the full copy first, then each increment up to the copy itself. */
export type RestorePlan = {
  /** The copy that was asked for; the last of `parts`. */
  readonly copy: MysqlCopy;
  readonly parts: readonly PlannedPart[];
  /** Bytes to read from the destination; `undefined` when the size of a part is unknown. */
  readonly fetchBytes: number | undefined;
  readonly space: Space | undefined;
  /** What speaks against the plan without forbidding it, one sentence each. */
  readonly warnings: readonly string[];
};

/** How much larger the content of a compressed copy may be, where nobody wrote it down. */
const EXPANSION = 4;

type Problem = { readonly key: Key; readonly code: "DATA_DAMAGED" | "NOT_FOUND"; readonly what: string };
type Walked = { readonly chain: readonly Candidate[]; readonly problem: Problem | undefined };

function isCompressed({ suffixes }: MysqlCopy): boolean {
  return suffixes.some((suffix) => suffix !== ".gpg");
}

function bytesOf({ copy, storedBytes }: Candidate): number | undefined {
  return copy.bytes ?? storedBytes;
}

/** Why a stored object cannot be a part of a restore. */
function problemOf({ copy: { key, bytes }, doubt, storedBytes }: Candidate): Problem | undefined {
  if (doubt === "gone") return { key, code: "NOT_FOUND", what: "has no object any more" };
  if (doubt === "resized")
    return { key, code: "DATA_DAMAGED", what: `has another size than the ${bytes} bytes recorded` };
  if (storedBytes === 0) return { key, code: "DATA_DAMAGED", what: "is empty" };
  return undefined;
}

/** Whether an increment starts where its parent ends, as far as both are known. */
function gapBetween(parent: MysqlCopy, copy: MysqlCopy): Problem | undefined {
  const end = parent.toLsn ?? parent.lsn;
  if (copy.fromLsn === undefined || end === undefined || copy.fromLsn === end) return undefined;
  const what = `starts at LSN ${copy.fromLsn}, its parent "${parent.key}" ends at ${end}`;
  return { key: copy.key, code: "DATA_DAMAGED", what };
}

/**
 * Follow the recorded parents. They count whatever is newer: an increment holds the pages that changed since that one copy. (The
 * predecessor restored it on the newest full copy of the day, which is another one.)
 */
function walk(start: Candidate, byKey: ReadonlyMap<Key, Candidate>): Walked {
  const chain: Candidate[] = [start];
  for (let last = start; ; ) {
    const problem = problemOf(last);
    if (problem !== undefined || last.copy.kind === "full") return { chain, problem };
    const { key, parent, host } = last.copy;
    const next = byKey.get(parent);
    if (next === undefined || next.copy.host !== host)
      return { chain, problem: { key: parent, code: "NOT_FOUND", what: "is not recorded" } };
    if (chain.includes(next))
      return {
        chain,
        problem: { key, code: "DATA_DAMAGED", what: `is recorded as an increment on itself, by way of "${parent}"` },
      };
    const gap = gapBetween(next.copy, last.copy);
    chain.unshift(next);
    if (gap !== undefined) return { chain, problem: gap };
    last = next;
  }
}

function indexOf(candidates: readonly Candidate[]): Map<Key, Candidate> {
  return new Map(candidates.map((each) => [each.copy.key, each]));
}

function isWhollyGood({ chain, problem }: Walked): boolean {
  return problem === undefined && !chain.some(({ copy }) => isBroken(copy));
}

/** The newest copy of a host that has all its parts, none of them known to be bad. */
export function newestRestorable(candidates: readonly Candidate[], host: string): MysqlCopy | undefined {
  const byKey = indexOf(candidates);
  return candidates
    .filter(({ copy }) => copy.host === host)
    .sort((left, right) => compareCopies(right.copy, left.copy))
    .find((each) => isWhollyGood(walk(each, byKey)))?.copy;
}

function refusal(copy: MysqlCopy, { key, code, what }: Problem, candidates: readonly Candidate[]): CopyError {
  const other = newestRestorable(candidates, copy.host);
  const subject = key === copy.key ? "it" : `"${key}", which it needs,`;
  return new CopyError(key, code, {
    message: `Cannot restore "${copy.key}": ${subject} ${what}`,
    hint:
      other === undefined
        ? 'No other copy of this host is whole; run "twindb-backup ls" to see what is there.'
        : `Restore "${other.key}", the newest copy that has all its parts.`,
  });
}

function spaceOf(chain: readonly Candidate[]): Space | undefined {
  let bytes = 0;
  let isEstimate = false;
  for (const part of chain) {
    const stored = bytesOf(part);
    const raw = part.copy.rawBytes;
    if (raw === undefined && stored === undefined) return undefined;
    bytes += raw ?? (stored ?? 0) * (isCompressed(part.copy) ? EXPANSION : 1);
    isEstimate ||= raw === undefined;
  }
  return { bytes, isEstimate };
}

function warningsOf(chain: readonly Candidate[]): string[] {
  return chain.flatMap(({ copy }) => {
    const why = whyBroken(copy);
    return why === undefined ? [] : [`"${copy.key}" ${why}`];
  });
}

/**
 * Say what restores a copy.
 * @param candidates all copies of its host.
 * @throws {CopyError} NOT_FOUND when a part is missing; DATA_DAMAGED when one is known to have changed, or parents go in a circle. It names
 * the part, and the newest copy that can be restored instead.
 */
export function planRestore(copy: MysqlCopy, candidates: readonly Candidate[]): RestorePlan {
  const byKey = indexOf(candidates);
  const { chain, problem } = walk(byKey.get(copy.key) ?? { copy, doubt: undefined }, byKey);
  if (problem !== undefined) throw refusal(copy, problem, candidates);
  const parts = chain.map((part) => ({ copy: part.copy, bytes: bytesOf(part) }));
  const isKnown = parts.every(({ bytes }) => bytes !== undefined);
  return {
    copy,
    parts,
    fetchBytes: isKnown ? parts.reduce((sum, { bytes = 0 }) => sum + bytes, 0) : undefined,
    space: spaceOf(chain),
    warnings: warningsOf(chain),
  };
}

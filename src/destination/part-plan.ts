import type { DriverLimits } from "./driver.ts";

const MIB = 1024 * 1024;

/** Parts begin with this size where the store allows it. */
const FIRST_PART_BYTES = 5 * MIB;

/** All but the last part have a multiple of this, where the store's parts are not smaller. */
const PART_UNIT_BYTES = 256 * 1024;

/** What all buffers of one upload hold together, as long as two parts fit into that. */
export const POOL_BYTES = 70 * MIB;

/** How much of the parts an expected length may use up; the rest is for content that is longer. */
const EXPECTED_SHARE = 0.75;

/** No copy is expected to be larger, unless it is known: parts of stores that take more would be large for nothing. */
const LARGEST_COPY_BYTES = 8 * 1024 ** 4;

type PartLimits = Pick<DriverLimits, "leastPartBytes" | "mostPartBytes" | "mostParts" | "mostObjectBytes">;

/**
 * How large the parts of one upload are. They start small and grow with what was sent, so that content of unknown length
 * fits into the number of parts there may be, and memory stays in proportion to the copy.
 *
 * With 10,000 parts and 5 TiB, as S3 has them: 5 MiB up to 5 GB; then a thousandth of what was sent (an eighth more at most, for sizes
 * go in steps); 1.125 GiB from 1.1 TB on. Two parts must fit into memory at least: so the pool has 70 MiB up to 31 GiB, a five-hundredth of
 * the copy above that, and 2.25 GiB at most. A length known beforehand keeps them smaller: up to there they have one size.
 */
export type PartPlan = {
  /** The least a part has, but for the last. */
  readonly leastBytes: number;
  /** The most a part has. */
  readonly mostBytes: number;
  /** Behind `steadyBytes` a part has this fraction of what was sent before it, within the two above. */
  readonly share: number;
  readonly steadyBytes: number;
  readonly unitBytes: number;
};

/** Plan the parts of an upload. `expectedBytes` is a hint: content may be shorter or longer. */
export function partPlan(limits: PartLimits, expectedBytes = 0): PartPlan {
  const unitBytes = limits.mostPartBytes < PART_UNIT_BYTES ? 1 : PART_UNIT_BYTES;
  const largest = limits.mostPartBytes - (limits.mostPartBytes % unitBytes);
  const rounded = (bytes: number) => Math.min(Math.ceil(bytes / unitBytes) * unitBytes, largest);
  const mostObjectBytes = Math.min(limits.mostObjectBytes, Math.max(LARGEST_COPY_BYTES, 2 * expectedBytes));
  const known = Math.min(expectedBytes, mostObjectBytes) / (limits.mostParts * EXPECTED_SHARE);
  const wanted = Math.max(FIRST_PART_BYTES, limits.leastPartBytes, stepped(known, unitBytes));
  const found = candidates(rounded(wanted), { largest, unitBytes })
    .map(([leastBytes, mostBytes]): PartPlan => {
      return { leastBytes, mostBytes, share: 10 / limits.mostParts, steadyBytes: expectedBytes, unitBytes };
    })
    .find((plan) => reaches(plan, { ...limits, mostObjectBytes }));
  return found ?? { leastBytes: largest, mostBytes: largest, share: 1, steadyBytes: expectedBytes, unitBytes };
}

/** Least and most of plans, those that need little memory for small copies first. */
function* candidates(
  wantedBytes: number,
  { largest, unitBytes }: { largest: number; unitBytes: number },
): Generator<readonly [number, number], void> {
  for (let least = wantedBytes; least < largest; least *= 2) {
    for (let most = least; most < largest; most = stepped(most * 1.125, unitBytes)) yield [least, most];
    yield [least, largest];
  }
}

/** The size of the next part, in bytes, when `sentBytes` are in the parts before it. */
export function nextPartBytes(plan: PartPlan, sentBytes: number): number {
  if (sentBytes < plan.steadyBytes) return plan.leastBytes;
  const wanted = stepped(sentBytes * plan.share, plan.unitBytes);
  return Math.min(Math.max(wanted, plan.leastBytes), plan.mostBytes);
}

/** Rounded up, in steps of an eighth at most: buffers are used again as long as the size stays. */
function stepped(bytes: number, unitBytes: number): number {
  const step = Math.max(2 ** Math.floor(Math.log2(Math.max(bytes, 1)) - 3), unitBytes);
  return Math.ceil(bytes / step) * step;
}

/** Whether as many parts as there may be hold as much as an object may have. */
function reaches(plan: PartPlan, { mostParts, mostObjectBytes }: PartLimits): boolean {
  if (plan.leastBytes * mostParts >= mostObjectBytes) return true;
  if (plan.mostBytes * mostParts < mostObjectBytes) return false;
  let sent = 0;
  for (let parts = 0; parts < mostParts && sent < mostObjectBytes; parts++) sent += nextPartBytes(plan, sent);
  return sent >= mostObjectBytes;
}

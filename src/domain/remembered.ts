import type { BinlogCopy, Copy, Mark, Preservation, Verification } from "./copy.ts";
import { withPreservation } from "./preservation.ts";
import { withMark } from "./soundness.ts";

/**
 * A recorded copy with what its manifest says was found or decided of it since it was stored: a status of an earlier generation does not know the last
 * of that. Where the two differ the careful one counts: the longer preservation, the later mark, the later verify, the later takeover.
 */
export function withRemembered<C extends Copy>(copy: C, manifest: Copy | undefined): C {
  if (manifest === undefined) return copy;
  const until = longer(copy.preservedUntil, manifest.preservedUntil);
  const preserved = until === undefined ? copy : withPreservation(copy, until);
  const { mark } = manifest;
  const isLater = mark !== undefined && (copy.mark === undefined || mark.at > copy.mark.at);
  const marked = isLater ? withMark(preserved, mark) : preserved;
  return withEnd({ ...marked, verified: verdict([copy.verified, manifest.verified], marked.mark) }, manifest);
}

/** What the last verify found. That a person called the copy good since takes back what was found wrong. */
function verdict(found: readonly (Verification | undefined)[], mark: Mark | undefined): Verification | undefined {
  const [last] = found
    .filter((each) => each !== undefined)
    .toSorted((left, right) => Number(right.at) - Number(left.at));
  return last?.ok === false && mark?.broken === false && mark.at > last.at ? undefined : last;
}

function longer(left: Preservation | undefined, right: Preservation | undefined): Preservation | undefined {
  if (left === "forever" || right === "forever") return "forever";
  if (left === undefined || right === undefined) return left ?? right;
  return left > right ? left : right;
}

function withEnd<C extends Copy>(copy: C, manifest: Copy): C {
  const [ended, own] = [endOf(manifest), endOf(copy)];
  return ended !== undefined && ended.epoch > (own?.epoch ?? 0) ? { ...copy, ended } : copy;
}

function endOf(copy: Copy): BinlogCopy["ended"] {
  return copy.media === "binlog" ? copy.ended : undefined;
}

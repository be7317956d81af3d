import type { BinlogCopy, Copy, Preservation } from "./copy.ts";
import { withPreservation } from "./preservation.ts";
import { withMark } from "./soundness.ts";

/**
 * A recorded copy with what its manifest says that people decided of it: a status of an earlier generation does not know the last of that. Where the two
 * differ the careful one counts: the longer preservation, the later mark, the later takeover.
 */
export function withRemembered<C extends Copy>(copy: C, manifest: Copy | undefined): C {
  if (manifest === undefined) return copy;
  const until = longer(copy.preservedUntil, manifest.preservedUntil);
  const preserved = until === undefined ? copy : withPreservation(copy, until);
  const { mark } = manifest;
  const isLater = mark !== undefined && (copy.mark === undefined || mark.at > copy.mark.at);
  return withEnd(isLater ? withMark(preserved, mark) : preserved, manifest);
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

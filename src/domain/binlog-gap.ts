import type { BinlogGap } from "./binlog-catalogue.ts";

const GAPS: Readonly<Record<BinlogGap["reason"], (gap: BinlogGap) => string>> = {
  missing: ({ missing }) =>
    `${missing} in between ${missing === 1 ? "was" : "were"} purged before a run could copy them`,
  mismatch: ({ gtid }) => `the GTIDs do not go on${gtid === undefined ? "" : `, ${gtid} is missing`}`,
  broken: () => "one is damaged or not there any more",
  torn: () => "the first one breaks off although the server went on",
  reset: () => "the server began anew",
};

/** Where a gap is and why, as the rest of a sentence: `from "binlog.000012" to "binlog.000014": 1 in between was …`. */
export function describeGap(gap: BinlogGap): string {
  return `from "${gap.after ?? "the copy"}" to "${gap.before ?? "the next one"}": ${GAPS[gap.reason](gap)}`;
}

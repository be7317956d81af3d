import type { BinlogGap } from "./binlog-catalogue.ts";

const GAPS: Readonly<Record<BinlogGap["reason"], (gap: BinlogGap) => string>> = {
  missing: ({ missing }) => `${missing} ${missing === 1 ? "was" : "were"} purged before a run could copy them`,
  mismatch: ({ gtid }) => `the GTIDs do not go on${gtid === undefined ? "" : `, ${gtid} is missing`}`,
  broken: () => "one is damaged or not there any more",
  torn: () => "the first one breaks off although the server went on",
  takeover: ({ gtid, why }) =>
    `another server took over${gtid === undefined ? "" : `, and never got ${gtid}, which the old one logged`}${why === undefined ? "" : `; ${why}`}`,
  reset: () => "the server began anew",
};

/** Where a gap is and why, as the rest of a sentence: `between "binlog.000012" and "binlog.000014": 1 was …`. */
export function describeGap(gap: BinlogGap): string {
  return `between "${gap.after ?? "the copy"}" and "${gap.before ?? "the next one"}": ${GAPS[gap.reason](gap)}`;
}

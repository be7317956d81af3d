import { expect, test } from "vitest";
import { type ClusterState, clusterWarning, refusal } from "../../../src/mysql/galera.ts";

const SYNCED: ClusterState = {
  state: "Synced",
  isReady: true,
  size: 3,
  isDesynced: false,
  receiveQueue: 0,
  providerVersion: "26.4.13",
};

test("refusal() lets a synced node pass, whatever its queue", () => {
  expect(refusal({ ...SYNCED, receiveQueue: 10, size: 1 }, "root@/s")).toBeUndefined();
});

test.each<[Partial<ClusterState>, string]>([
  [{ state: "Donor/Desynced" }, "it is sending its data to a node that joins"],
  [{ state: "Donor/Desynced", isDesynced: true }, "somebody has set wsrep_desync=ON on it"],
  [{ state: "Joiner" }, "it is not synced, but Joiner"],
  [{ state: "Synced", isReady: false }, "it is not part of the primary component"],
])("refusal() of %j", (changes, what) => {
  expect(refusal({ ...SYNCED, ...changes }, "root@/s")).toMatchObject({
    message: `Cannot copy the cluster's node "root@/s": ${what}`,
    hint: expect.any(String),
  });
});

test.each([
  [1, expect.stringContaining("the only one")],
  [2, expect.stringContaining("one of two")],
  [3, undefined],
])("clusterWarning() of a cluster of %i", (size, expected) => {
  expect(clusterWarning({ ...SYNCED, size })).toEqual(expected);
});

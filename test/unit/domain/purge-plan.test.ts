import { expect, test } from "vitest";
import { parseGtidState } from "../../../src/domain/binlog.ts";
import type { BinlogCopy } from "../../../src/domain/copy.ts";
import { type PurgeFacts, whyKept } from "../../../src/domain/purge-plan.ts";
import { at, binlogCopy, binlogFacts } from "../../support/copies.ts";

const LOG = binlogFacts(at(1, 2), { previousGtid: "0-1-10" });

const FACTS: PurgeFacts = { flavour: "mariadb", doubts: new Set(), peers: [], keepSeconds: 0, now: at(3) };

function archived(more: Partial<BinlogCopy> = {}) {
  const copy = binlogCopy(1, at(1, 1), { rawBytes: 1044, sha256: "0".repeat(64), gtid: "0-1-20", log: LOG, ...more });
  return { name: copy.name, bytes: 1044, copy };
}

function peer(name: string, gtid: string) {
  return { name, applied: parseGtidState("mariadb", gtid) };
}

test("whyKept() lets go of a log that is archived whole, and that nobody else waits for", () => {
  expect(whyKept(archived(), FACTS)).toBeUndefined();
  expect(
    whyKept(archived(), { ...FACTS, peers: [peer("db8", "0-1-20"), peer("db9", "0-2-25,1-1-1")] }),
  ).toBeUndefined();
});

test.each<[string, Partial<BinlogCopy>, string]>([
  ["of the predecessor", { sha256: undefined, log: undefined }, "nobody has read its archived copy through"],
  ["of another size", { rawBytes: 1043 }, "its archived copy has another size"],
  ["that a verify found broken", { verified: { at: at(2), ok: false, level: "checksum" } }, "is known to be broken"],
])("whyKept() keeps a log with a copy %s", (_, more, why) => {
  expect(whyKept(archived(more), FACTS)).toContain(why);
});

test("whyKept() keeps a log that is not archived, or whose copy is not there", () => {
  const log = archived();
  expect(whyKept({ ...log, copy: undefined }, FACTS)).toBe("it is not archived");
  expect(whyKept(log, { ...FACTS, doubts: new Set([log.copy.key]) })).toContain("is not there as it was stored");
});

test("whyKept() keeps a log for its age, by its last event", () => {
  expect(whyKept(archived(), { ...FACTS, now: at(2, 1), keepSeconds: 86_400 })).toBe("it ended less than 1 d ago");
  expect(whyKept(archived(), { ...FACTS, now: at(2, 2), keepSeconds: 86_400 })).toBeUndefined();
});

test("whyKept() keeps a log that one of the peers has not applied, also one without transactions", () => {
  const peers = [peer("db8", "0-1-20"), peer("db9:3307", "0-1-19")];
  expect(whyKept(archived(), { ...FACTS, peers })).toBe('"db9:3307" has not applied 0-1-20');
  const idle = archived({ gtid: undefined, log: { ...LOG, transactions: 0, previousGtid: "0-1-20" } });
  expect(whyKept(idle, { ...FACTS, peers })).toBe('"db9:3307" has not applied 0-1-20');
  const unknown = archived({ gtid: undefined, log: { ...LOG, previousGtid: undefined } });
  expect(whyKept(unknown, { ...FACTS, peers })).toContain("nobody knows what its replicas lack");
  const other = { name: "my1", applied: parseGtidState("mysql", "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5") };
  expect(whyKept(archived(), { ...FACTS, peers: [other] })).toBe('"my1" is a server of another make');
});

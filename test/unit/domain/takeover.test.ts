import { expect, test } from "vitest";
import { parseGtidState } from "../../../src/domain/binlog.ts";
import { catalogueOf } from "../../../src/domain/binlog-catalogue.ts";
import { describeGap } from "../../../src/domain/binlog-gap.ts";
import { timelineOf } from "../../../src/domain/binlog-incarnation.ts";
import { expiredBinlogs } from "../../../src/domain/binlog-retention.ts";
import { lastTakeover, requireWriter } from "../../../src/domain/binlog-writer.ts";
import type { BinlogCopy } from "../../../src/domain/copy.ts";
import { parseGtidSet } from "../../../src/domain/gtid-set.ts";
import { namedBy } from "../../../src/domain/logged.ts";
import { recoverableWindow } from "../../../src/domain/recoverable-window.ts";
import { planTakeover, reopened, type Takeover, withTakeover } from "../../../src/domain/takeover.ts";
import { at, binlogCopy, binlogFacts, fullCopy } from "../../support/copies.ts";

const OLD = { uuid: undefined, serverId: 1 };
const NEW = { uuid: undefined, serverId: 2, host: "db8" };

/** A log of one hour with ten transactions from `10 * number` on. */
function hour(number: number, more: Partial<BinlogCopy> = {}, serverId = 1): BinlogCopy {
  const log = binlogFacts(at(1, number + 1), { serverId, previousGtid: `0-1-${number * 10}` });
  return binlogCopy(number, at(1, number), { rawBytes: 1044, gtid: `0-1-${number * 10 + 10}`, log, ...more });
}

function by(gtid: string): Takeover {
  return { applied: parseGtidState("mariadb", gtid), gtid, at: at(2), by: "root@db8", to: NEW };
}

const LOGS = [hour(1), hour(2), hour(3)];

test("planTakeover() finds the log in which the new primary stopped following, and what it never got", () => {
  expect(planTakeover(LOGS, by("0-1-40"), "db7")).toEqual({ log: LOGS[2], lost: "" });
  expect(planTakeover(LOGS, by("0-1-35"), "db7")).toEqual({ log: LOGS[2], lost: "0-1-40" });
  expect(planTakeover(LOGS, by("0-1-29"), "db7")).toEqual({ log: LOGS[1], lost: "0-1-40" });
});

test("planTakeover() looks past what the new primary archived under the same host", () => {
  const own = hour(9, { key: binlogCopy(9, at(1)).key, incarnation: "i2" }, NEW.serverId);
  expect(planTakeover([...LOGS, own], by("0-1-40"), "db7").log).toBe(LOGS[2]);
});

test("planTakeover() refuses a server that never followed, and an archive of nothing", () => {
  for (const gtid of ["", "0-1-9", "7-1-40"])
    expect(() => planTakeover(LOGS, by(gtid), "db7")).toThrow(expect.objectContaining({ code: "FAILED" }) as Error);
  expect(() => planTakeover([], by("0-1-40"), "db7")).toThrow(expect.objectContaining({ code: "NOT_FOUND" }) as Error);
});

test("requireWriter() lets everybody in before a takeover, and only the new primary after it", () => {
  expect(() => requireWriter(LOGS, OLD, "db7")).not.toThrow();
  const taken = withTakeover(LOGS, by("0-1-40"), "db7");
  expect(() => requireWriter(taken, NEW, "db7")).not.toThrow();
  expect(() => requireWriter(taken, OLD, "db7")).toThrow(
    `Cannot archive binary logs of "db7": the server on "db8" took over at ${at(2).toISOString()}`,
  );
  // UUIDs tell more than ids, which are often all 1.
  const uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
  const logs = LOGS.map((log) => ({ ...log, serverUuid: `${uuid.slice(0, -1)}3` }));
  const named = withTakeover(logs, { ...by("0-1-40"), to: { ...NEW, serverId: 1, uuid } }, "db7");
  expect(() => requireWriter(named, { uuid, serverId: 5 }, "db7")).not.toThrow();
  expect(() => requireWriter(named, { uuid: `${uuid.slice(0, -1)}3`, serverId: 1 }, "db7")).toThrow("took over");
});

test("requireWriter() names what the old primary wrote by itself since", () => {
  const taken = withTakeover(LOGS, by("0-1-35"), "db7");
  const logged = (text: string) => namedBy(parseGtidState("mariadb", text));
  const refuse = (text: string) => () => requireWriter(taken, { ...OLD, logged: logged(text) }, "db7");
  expect(refuse("0-1-44")).toThrow(
    "took over at 2026-05-02T00:00:02.000Z, and never got 0-1-44, which this one logged",
  );
  // It follows the new one by now.
  expect(refuse("0-2-60")).toThrow(/took over at 2026-05-02T00:00:02.000Z$/);
  const uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
  const [last] = LOGS;
  const ended = { epoch: 1, gtid: `${uuid}:1-35`, at: at(2), by: "", to: { ...NEW, uuid: `${uuid.slice(0, -1)}3` } };
  const set = parseGtidSet(`${uuid}:1-40,${uuid.slice(0, -1)}3:1-9`);
  expect(() => requireWriter([{ ...last!, ended }], { uuid, serverId: 1, logged: set }, "db7")).toThrow(
    `never got ${uuid}:36-40, which`,
  );
});

test("reopened() lets a server in that is the primary again, and nobody else", () => {
  const taken = withTakeover(LOGS, by("0-1-40"), "db7");
  const again = reopened(taken, { at: at(3), by: "root@db7", to: { ...OLD, host: "db7" } });
  expect(() => requireWriter(again, OLD, "db7")).not.toThrow();
  expect(() => requireWriter(again, NEW, "db7")).toThrow("took over");
  expect(lastTakeover(again)?.end.epoch).toBe(2);
  expect(reopened(again, { at: at(4), by: "", to: { ...OLD, host: "db7" } })).toEqual(again);
  expect(reopened(LOGS, { at: at(3), by: "", to: NEW })).toEqual(LOGS);
});

const COPY = fullCopy(at(1, 1, 30), {
  finishedAt: at(1, 1, 30),
  binlog: { file: "mysql-bin.000001", offset: 500 },
});

test("recoverableWindow() ends where another server took over, whatever the old one uploaded late", () => {
  const taken = withTakeover(LOGS, by("0-1-40"), "db7");
  const window = recoverableWindow(COPY, catalogueOf([...taken, hour(4), hour(5)]));
  expect(window?.logs.map(({ key }) => key)).toEqual(LOGS.map(({ key }) => key));
  expect(window?.to).toEqual(at(1, 4));
  expect(window?.gaps.map(describeGap)[0]).toBe(
    'between "mysql-bin.000003" and "mysql-bin.000004": another server took over',
  );
});

test("recoverableWindow() leaves out a log with transactions that the new primary never got", () => {
  const window = recoverableWindow(COPY, catalogueOf(withTakeover(LOGS, by("0-1-35"), "db7")));
  expect(window?.logs.map(({ key }) => key)).toEqual([LOGS[0]!.key, LOGS[1]!.key]);
  expect(window?.gaps.map(describeGap)).toEqual([
    'between "mysql-bin.000002" and "mysql-bin.000003": another server took over, and never got 0-1-40, which the old one logged',
  ]);
});

test("expiredBinlogs() keeps the log that says who may archive", () => {
  const retention = { host: "db7", copies: [], days: 0, now: at(9) };
  const own = hour(9, { incarnation: "i2" }, NEW.serverId);
  const [first, second, third] = withTakeover(LOGS, by("0-1-40"), "db7");
  expect(expiredBinlogs(catalogueOf([first!, second!, third!, own]), retention)).toEqual([first, second]);
});

test("timelineOf() gives the new primary a timeline of its own, be it that the names of its logs come next", async () => {
  const headOf = () =>
    Promise.resolve({ flavour: "mariadb", createdAt: at(2), head: "11", previousGtid: "0-2-50" } as const);
  const server = {
    uuid: undefined,
    serverId: NEW.serverId,
    closed: [{ name: "mysql-bin.000004", bytes: 500 }],
    headOf,
  };
  expect(await timelineOf(server, catalogueOf(LOGS))).toBeDefined();
  expect(await timelineOf(server, catalogueOf(withTakeover(LOGS, by("0-1-40"), "db7")))).toBeUndefined();
});

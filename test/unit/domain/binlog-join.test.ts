import { describe, expect, test } from "vitest";
import { type BinlogFacts, parseGtidState } from "../../../src/domain/binlog.ts";
import { catalogueOf } from "../../../src/domain/binlog-catalogue.ts";
import { describeGap } from "../../../src/domain/binlog-gap.ts";
import { hasFollowed, hostsFrom } from "../../../src/domain/binlog-heirs.ts";
import type { BinlogCopy, MysqlCopy } from "../../../src/domain/copy.ts";
import { toKey } from "../../../src/domain/key.ts";
import { neededBy, recoverableWindow } from "../../../src/domain/recoverable-window.ts";
import { planRecovery, type RecoveryPlan, type RecoveryRequest } from "../../../src/domain/recovery-plan.ts";
import { gtidFilter } from "../../../src/domain/recovery-target.ts";
import { reopened, withTakeover } from "../../../src/domain/takeover.ts";
import { at, binlogCopy, fullCopy } from "../../support/copies.ts";

type Hour = { readonly host?: string; readonly server?: number; readonly after: string; readonly logged: string };

/** A log of one hour of a day; `logged` such as `0-1:1-10`. */
function hour(number: number, { host = "db7", server = 1, after, logged }: Hour, more: Partial<BinlogFacts> = {}) {
  const [source = "", ...ranges] = logged.split(",").at(-1)?.split(":") ?? [];
  const counts = [...logged.matchAll(/:(\d+)(?:-(\d+))?/g)].map(([, from, to = from]) => Number(to) - Number(from) + 1);
  const log: BinlogFacts = {
    flavour: "mariadb",
    serverId: server,
    head: `${server}-${number}`,
    checksums: true,
    firstOffset: 256,
    endOffset: 1000,
    end: "rotated",
    inUse: false,
    transactions: counts.reduce((sum, each) => sum + each, 0),
    lastAt: at(1, number + 1),
    firstCommitAt: undefined,
    lastCommitAt: undefined,
    previousGtid: after,
    logged,
    ...more,
  };
  const copy = binlogCopy(number, at(1, number), { host, rawBytes: 1044, log });
  const gtid = `${source}-${ranges.at(-1)?.split("-").at(-1)}`;
  return { ...copy, gtid, key: toKey(`${host}/binlog/${copy.name}.gz`) };
}

const OLD = [
  hour(1, { after: "", logged: "0-1:1-10" }),
  hour(2, { after: "0-1-10", logged: "0-1:11-20" }),
  hour(3, { after: "0-1-20", logged: "0-1:21-30" }),
];

/** The new primary followed up to 0-1-25, then went on by itself. */
const NEW = [
  hour(2, { host: "db8", server: 2, after: "0-1-12", logged: "0-1:13-24" }),
  hour(3, { host: "db8", server: 2, after: "0-1-24", logged: "0-1:25,0-2:26-40" }),
  hour(4, { host: "db8", server: 2, after: "0-2-40", logged: "0-2:41-50" }),
];

function takenOver(logs: readonly BinlogCopy[], gtid = "0-1-25", to = { host: "db8", uuid: undefined, serverId: 2 }) {
  const takeover = { applied: parseGtidState("mariadb", gtid), gtid, at: at(1, 3, 40), by: "root@db8", to };
  return withTakeover(logs, takeover, logs[0]?.host ?? "");
}

const COPY = fullCopy(at(1, 1, 30), {
  finishedAt: at(1, 1, 30),
  gtid: "0-1-5",
  binlog: { file: "mysql-bin.000001", offset: 500 },
});

type Wanted = Partial<Omit<RecoveryRequest, "catalogue">> & { readonly logs?: readonly BinlogCopy[] };

function plan({ logs = [...takenOver(OLD), ...NEW], copy = COPY, ...wanted }: Wanted): RecoveryPlan {
  return planRecovery({
    copy,
    host: "db7",
    candidates: [{ copy: copy ?? COPY, doubt: undefined }],
    catalogue: catalogueOf(logs),
    target: { kind: "end" },
    excluded: gtidFilter([], "mariadb"),
    atGap: "refuse",
    ...wanted,
  });
}

const keys = ({ logs }: { readonly logs: readonly BinlogCopy[] }) =>
  logs.map(({ key }) => key.replace(/\/binlog\/mysql-bin\.0+|\.gz/g, " ").trim());
const gaps = (logs: readonly BinlogCopy[], copy: MysqlCopy = COPY) =>
  recoverableWindow(copy, catalogueOf(logs))?.gaps.map(describeGap);

describe("recoverableWindow()", () => {
  test("goes on in the logs of the server that took over, from where nothing is missing", () => {
    const window = recoverableWindow(COPY, catalogueOf([...takenOver(OLD), ...NEW]));
    expect(window).toMatchObject({ to: at(1, 5), gaps: [] });
    expect(keys(window!)).toEqual(["db7 1", "db7 2", "db7 3", "db8 3", "db8 4"]);
    expect(window?.joins).toMatchObject([{ at: 3, to: "db8", lost: "0-1-30", settledAt: at(1, 3) }]);
  });

  test("says why it does not", () => {
    const taken = takenOver(OLD);
    const [first, second, third] = NEW as [BinlogCopy, BinlogCopy, BinlogCopy];
    const told = (...logs: BinlogCopy[]) => gaps([...taken, ...logs])?.[0]?.split("; ")[1];
    expect(told()).toBeUndefined();
    expect(told(third)).toBe('0-2-40 before "mysql-bin.000004" is not archived');
    expect(gaps([...takenOver(OLD.slice(0, 2)), first])?.[0]).toMatch(/; 0-25 is not archived$/);
    // What the old one archived itself is not missing.
    expect(told(first)).toBeUndefined();
    expect(told({ ...second, log: { ...second.log!, transactions: 99 } })).toBe(
      'nobody knows which transactions are in "mysql-bin.000003"',
    );
    const errant = hour(2, { host: "db8", server: 2, after: "0-1-12", logged: "0-2:13-14,0-1:13-24" });
    expect(told(errant, second)).toBe("it wrote 0-2-13 to 14 by itself before");
    const purged = { previousLogged: "0-1:24,0-2:14" };
    expect(told({ ...second, log: { ...second.log!, ...purged } })).toBe("it wrote 0-2-14 by itself before");
    const late = fullCopy(at(1, 3, 30), {
      finishedAt: at(1, 3, 30),
      gtid: "0-1-28",
      binlog: { file: "mysql-bin.000003", offset: 900 },
    });
    expect(gaps([...taken, ...NEW], late)?.[0]).toContain("the copy holds 0-1-28, which it never got");
    const hole = hour(3, { host: "db8", server: 2, after: "0-1-12", logged: "0-1:13-24,0-2:27-40" });
    expect(gaps([...takenOver(OLD.slice(0, 2), "0-1-26"), hole])?.[0]).toMatch(/; 0-25 to 26 is not archived$/);
  });

  test("goes on over one takeover after the other, and leaves out what the last one lacks", () => {
    const third = [hour(5, { host: "db9", server: 3, after: "0-2-35", logged: "0-2:36-45,0-3:46-60" })];
    const second = takenOver(NEW, "0-2-45", { host: "db9", uuid: undefined, serverId: 3 });
    const all = [...takenOver(OLD), ...second, ...third];
    const window = recoverableWindow(COPY, catalogueOf(all));
    expect(keys(window!)).toEqual(["db7 1", "db7 2", "db7 3", "db8 3", "db8 4", "db9 5"]);
    expect(window?.joins.map(({ at: index, lost }) => [index, lost])).toEqual([
      [3, "0-1-30"],
      [5, "0-2-50"],
    ]);
    expect([...hostsFrom("db7", all)]).toEqual(["db7", "db8", "db9"]);
    expect([...hostsFrom("db8", all)]).toEqual(["db8", "db9"]);
  });

  test("goes on in its own logs once the old primary is the primary again", () => {
    const back = [...takenOver(OLD), hour(4, { after: "0-1-30", logged: "0-1:31-40" })];
    const to = { host: "db7", uuid: undefined, serverId: 1 };
    const window = recoverableWindow(COPY, catalogueOf(reopened(back, { at: at(2), by: "", to })));
    expect(window).toMatchObject({ to: at(1, 5), gaps: [], joins: [] });
  });

  test("is empty for a copy of what the old primary wrote behind the takeover", () => {
    const zombie = fullCopy(at(1, 4, 30), {
      finishedAt: at(1, 4, 30),
      gtid: "0-1-50",
      binlog: { file: "mysql-bin.000009", offset: 500 },
    });
    expect(recoverableWindow(zombie, catalogueOf([...takenOver(OLD), ...NEW]))).toMatchObject({ logs: [], joins: [] });
    expect(gaps([...takenOver(OLD), ...NEW], zombie)?.[0]).toContain("the copy holds 0-1-50, which it never got");
    expect(() => plan({ copy: zombie })).toThrow("another server took over");
  });
});

describe("planRecovery()", () => {
  test("leaves the new primary out at a moment that the old one's logs tell by themselves", () => {
    const target = (time: Date) => ({ target: { kind: "time", at: time.getTime() * 1000 } }) as const;
    expect(plan(target(at(1, 3)))).toMatchObject({ joins: [] });
    expect(keys(plan(target(at(1, 3))))).toEqual(["db7 1", "db7 2"]);
    expect(keys(plan(target(at(1, 3, 30))))).toEqual(["db7 1", "db7 2", "db7 3", "db8 3"]);
    expect(plan(target(at(1, 4, 30))).warnings).toEqual([
      'left out, for the server that took over on "db8" never got it: 0-1-30',
    ]);
  });

  test("finds a GTID in the log of the server that wrote it, and a lost one with its gap accepted only", () => {
    const target = (gtid: string) => ({ target: { kind: "gtid", gtid } }) as const;
    expect(keys(plan(target("0-1-15")))).toEqual(["db7 1", "db7 2"]);
    expect(keys(plan(target("0-2-27")))).toEqual(["db7 1", "db7 2", "db7 3", "db8 3"]);
    expect(() => plan(target("0-1-28"))).toThrow("no log that can be reached holds that");
    expect(keys(plan({ ...target("0-1-28"), atGap: "cross" }))).toEqual(["db7 1", "db7 2", "db7 3"]);
  });

  test("takes a place as one of the server that was copied", () => {
    const target = { kind: "position", file: "mysql-bin.000003", offset: 500 } as const;
    expect(plan({ target })).toMatchObject({ joins: [] });
    expect(keys(plan({ target }))).toEqual(["db7 1", "db7 2", "db7 3"]);
  });

  test("goes over a hole that was accepted", () => {
    const logs = [...takenOver(OLD), NEW[2]!];
    expect(() => plan({ logs })).toThrow("0-2-40 before");
    const crossed = plan({ logs, atGap: "cross" });
    expect(keys(crossed)).toEqual(["db7 1", "db7 2", "db7 3", "db8 4"]);
    expect(crossed.warnings.join()).toContain("what was written in a gap is lost");
  });
});

test("neededBy() keeps the logs of the new primary from where they join on, and all while that is not known", () => {
  const taken = takenOver(OLD);
  const names = (logs: readonly BinlogCopy[]) =>
    [...neededBy([COPY], catalogueOf([...taken, ...logs]))].filter((key) => key.startsWith("db8"));
  expect(names(NEW)).toHaveLength(2);
  expect(names(NEW.slice(0, 1))).toHaveLength(1);
  expect(hasFollowed(NEW)).toBe(true);
  expect(hasFollowed(OLD)).toBe(false);
});

import { describe, expect, test } from "vitest";
import type { MysqlCopy, MysqlFullCopy } from "../../../src/domain/copy.ts";
import { toKey } from "../../../src/domain/key.ts";
import { type PlanFacts, planMysql } from "../../../src/domain/plan-mysql.ts";
import { at, fullCopy, increment } from "../../support/copies.ts";

const SERVER = { vendor: "mariadb", version: "10.11.14-MariaDB-log", uuid: undefined, datadirId: "64:2:1" } as const;
const TOOL = { name: "mariadb-backup", version: "10.11.14", canIncrement: true, format: "xbstream" } as const;

const FACTS: PlanFacts = {
  interval: "hourly",
  fullBackup: "daily",
  fullBackupDays: undefined,
  incrementalFrom: "full",
  isForced: false,
  isDoubtful: false,
  clockBehind: false,
  now: at(20, 12),
  server: SERVER,
  tool: TOOL,
  doubts: new Set(),
};

/** What a copy of ours records of the server above. */
const RECORDED = {
  serverVersion: SERVER.version,
  datadirId: SERVER.datadirId,
  tool: TOOL.name,
  toolVersion: TOOL.version,
  format: "xbstream",
  lsn: 700n,
  toLsn: 700n,
} as const;

function full(day: number, facts: Partial<MysqlFullCopy> = {}): MysqlFullCopy {
  return fullCopy(at(day), { ...RECORDED, ...facts });
}

function plan(copies: readonly MysqlCopy[], facts: Partial<PlanFacts> = {}): string {
  const chosen = planMysql(copies, { ...FACTS, ...facts });
  return chosen.kind === "full" ? chosen.reason : `on ${chosen.parent.key} from ${chosen.lsn}`;
}

describe("planMysql()", () => {
  test("planMysql() takes an increment against the newest full copy of its own or a longer run type", () => {
    const hourly = full(10, { interval: "hourly" });
    const weekly = full(17, { interval: "weekly", toLsn: 1n, lsn: 1n });
    const daily = full(16);
    expect(plan([hourly, daily, weekly])).toBe(`on ${weekly.key} from 1`);
    expect(plan([hourly, daily])).toBe(`on ${daily.key} from 700`);
    expect(plan([hourly])).toBe(`on ${hourly.key} from 700`);
    expect(plan([hourly], { interval: "daily", fullBackup: "weekly" })).toBe("there is no full copy to start from");
  });

  test("planMysql() takes a full copy by run type, wish and doubt, whatever there is", () => {
    const copies = [full(19)];
    expect(plan(copies, { interval: "daily" })).toBe("daily runs take full copies");
    expect(plan(copies, { interval: "yearly" })).toBe("yearly runs take full copies");
    expect(plan(copies, { isForced: true })).toBe("a full copy was asked for");
    expect(plan(copies, { isDoubtful: true })).toBe("the status was damaged or lost");
    expect(plan(copies, { clockBehind: true })).toBe("the clock is behind the newest copy");
    expect(plan(copies, { tool: { ...TOOL, name: "clone", canIncrement: false } })).toBe(
      "clone takes full copies only",
    );
    expect(plan([])).toBe("there is no full copy to start from");
  });

  test("planMysql() takes a full copy when the last one is as old as is allowed, by the calendar of cron", () => {
    const copies = [full(13)];
    const plans = [at(19, 22), at(19, 23, 10), at(20), at(23)].map((now) => plan(copies, { fullBackupDays: 7, now }));
    expect(plans).toEqual([
      `on ${copies[0]?.key} from 700`,
      "the last full copy is 7 days old",
      "the last full copy is 7 days old",
      "the last full copy is 10 days old",
    ]);
  });

  test.each([
    [{ version: "10.12.1-MariaDB" }, "the server was upgraded from 10.11 to 10.12"],
    [{ version: "10.6.20-MariaDB" }, "the server was downgraded from 10.11 to 10.6"],
    [{ version: "11.4.2-MariaDB" }, "the server was upgraded from 10.11 to 11.4"],
    [{ vendor: "percona" }, "the server is Percona Server now, it was MariaDB"],
    [{ datadirId: "64:2:2" }, "the server's data directory was replaced"],
    [{ datadirId: undefined }, 'nothing tells whether "mysql-2026-05-19_00_00_02.xbstream.gz" is of this server'],
  ] as const)("planMysql() takes a full copy when the server is another one: %o", (server, reason) => {
    expect(plan([full(19)], { server: { ...SERVER, ...server } })).toBe(reason);
  });

  test("planMysql() tells servers apart by their UUID, where both are known", () => {
    const server = { ...SERVER, uuid: "a", datadirId: undefined };
    expect(plan([full(19, { serverUuid: "a", datadirId: undefined })], { server })).toMatch(/^on /);
    expect(plan([full(19, { serverUuid: "b", datadirId: undefined })], { server })).toBe(
      "it is another server, with another UUID",
    );
  });

  test("planMysql() does not mind a patch of server or tool", () => {
    const [server, tool] = [
      { ...SERVER, version: "10.11.15-MariaDB" },
      { ...TOOL, version: "10.11.15" },
    ];
    expect(plan([full(19)], { server, tool })).toMatch(/^on /);
  });

  test.each([
    [{ toolVersion: "10.6.20" }, "mariadb-backup was changed from 10.6 to 10.11"],
    [{ tool: "xtrabackup" }, "the tool is mariadb-backup now, it was xtrabackup"],
    [{ tool: undefined }, '"NAME" does not say which tool took it'],
    [{ serverVersion: undefined }, '"NAME" does not say which server it is of'],
    [{ lsn: undefined, toLsn: undefined }, '"NAME" does not say where it ends'],
    [{ format: "tar" }, '"NAME" is a copy without increments'],
    [{ verified: { at: at(19), ok: false, level: "boot" } }, '"NAME" was found damaged'],
  ] as const)("planMysql() takes a full copy when the last one is no base: %o", (facts, reason) => {
    expect(plan([full(12), full(19, facts)])).toBe(reason.replace("NAME", "mysql-2026-05-19_00_00_02.xbstream.gz"));
  });

  test("planMysql() takes a full copy when the last one is not there as it was stored", () => {
    const copy = full(19);
    expect(plan([copy], { doubts: new Set([copy.key]) })).toBe(
      '"mysql-2026-05-19_00_00_02.xbstream.gz" is not there as it was stored',
    );
  });

  test("planMysql() goes by a good verification like by none", () => {
    expect(plan([full(19, { verified: { at: at(19), ok: true, level: "boot" } })])).toMatch(/^on /);
  });
});

describe("planMysql() on the last copy", () => {
  const base = full(19);
  const first = increment(at(20, 1), base.key, { ...RECORDED, toLsn: 800n });
  const second = increment(at(20, 2), first.key, { ...RECORDED, toLsn: 900n });
  const last: Partial<PlanFacts> = { incrementalFrom: "last" };

  test("planMysql() takes the increment against the newest copy, whatever it is", () => {
    expect(plan([base, first, second], last)).toBe(`on ${second.key} from 900`);
    expect(plan([base, first, second])).toBe(`on ${base.key} from 700`);
  });

  test("planMysql() takes no copy of a shorter run type as the parent", () => {
    expect(plan([base, first, second], { ...last, interval: "daily", fullBackup: "weekly" })).toBe(
      `on ${base.key} from 700`,
    );
  });

  test("planMysql() takes a full copy when anything of the chain is bad, missing or circular", () => {
    expect(plan([base, first, second], { ...last, doubts: new Set([first.key]) })).toContain("is not there");
    expect(plan([first, second], last)).toContain("lacks a copy that it was taken against");
    const loop = { ...first, parent: second.key };
    expect(plan([loop, second], last)).toContain("lacks a copy that it was taken against");
    const self = { ...first, parent: toKey(first.key) };
    expect(plan([self], last)).toContain("lacks a copy that it was taken against");
  });

  test("planMysql() counts the age of the chain's full copy", () => {
    expect(plan([base, first, second], { ...last, fullBackupDays: 1, now: at(20, 3) })).toBe(
      "the last full copy is 1 day old",
    );
  });
});

import { describe, expect, test } from "vitest";
import { catalogueOf } from "../../../src/domain/binlog-catalogue.ts";
import type { BinlogCopy, MysqlCopy } from "../../../src/domain/copy.ts";
import { fleetOf } from "../../../src/domain/fleet.ts";
import { knownWindow, windowOf } from "../../../src/domain/recovery-logs.ts";
import { planRecovery } from "../../../src/domain/recovery-plan.ts";
import { gtidFilter } from "../../../src/domain/recovery-target.ts";
import { at, binlogCopy, binlogFacts, fullCopy } from "../../support/copies.ts";

const UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

/** A log of one hour, with ten transactions behind the first `10 * number`. */
function hour(number: number, more: Partial<BinlogCopy> = {}): BinlogCopy {
  return binlogCopy(number, at(1, number), {
    gtid: `${UUID}:${number * 10 + 1}-${number * 10 + 10}`,
    serverUuid: UUID,
    log: binlogFacts(at(1, number + 1), { flavour: "mysql", previousGtid: `${UUID}:1-${number * 10}` }),
    ...more,
  });
}

/** What a server made of itself while it wrote, from 2:30 to 3:10. */
const CLONE = fullCopy(at(1, 2, 30), { vendor: "oracle", tool: "clone", finishedAt: at(1, 3, 10), serverUuid: UUID });
const LOGS = [hour(1), hour(2), hour(3), hour(4)];

const known = (logs: readonly BinlogCopy[], copy: MysqlCopy = CLONE) => knownWindow(copy, catalogueOf(logs));

describe("knownWindow()", () => {
  test("goes from the log that was written to when a copy without a place began", () => {
    const window = known(LOGS);
    expect(window).toMatchObject({ from: at(1, 3, 10), to: at(1, 5), gaps: [], joins: [] });
    expect(window?.logs.map(({ name }) => name.slice(-1)).join("")).toBe("234");
    const subjects = fleetOf(
      [CLONE, ...LOGS].map((copy) => ({ copy, doubt: undefined })),
      at(2),
    )[0]?.subjects;
    expect(subjects?.find(({ media }) => media === "mysql")?.window).toEqual(window);
  });

  test("is undefined where no log is known to have begun before the copy, of which only a restore can tell", () => {
    const during = hour(3, { createdAt: CLONE.startedAt });
    for (const logs of [[hour(3), hour(4)], [during]]) {
      expect(known(logs)).toBeUndefined();
      expect(windowOf(CLONE, catalogueOf(logs))?.logs).toEqual(logs);
    }
    expect(known([hour(4)])).toBeUndefined();
    expect(known(LOGS, { ...CLONE, vendor: "mariadb" })).toBeUndefined();
  });

  test.each([2, 3])("is undefined where log %d holds something without a GTID that may be in the copy", (number) => {
    const logs = LOGS.with(number - 1, hour(number, { gtid: undefined }));
    expect(known(logs)).toBeUndefined();
    const candidates = [{ copy: CLONE, doubt: undefined }];
    const excluded = gtidFilter([], "oracle");
    const request = { host: "db7", candidates, target: { kind: "end" }, excluded, atGap: "refuse" } as const;
    const plan = () => planRecovery({ ...request, copy: CLONE, catalogue: catalogueOf(logs) });
    expect(plan).toThrow(/it does not tell where in the binary log it ends/);
    expect(plan).toThrow(expect.objectContaining({ code: "NOT_FOUND", hint: expect.stringContaining("gtid_mode=ON") }));
  });

  test("does not mind that behind the copy", () => {
    expect(known(LOGS.with(3, hour(4, { gtid: undefined })))?.logs).toHaveLength(3);
  });
});

import { expect, test } from "vitest";
import { succeeded, summaryOf } from "../../../src/domain/run-report.ts";
import { failedReport, runReport } from "../../support/reports.ts";

test("summaryOf() says in one line what ran and what was wrong first", () => {
  expect(summaryOf(runReport())).toBe("daily backup of db7 succeeded");
  expect(summaryOf(runReport({ runType: undefined }))).toBe("archiving of binary logs of db7 succeeded");
  expect(summaryOf(failedReport())).toBe(
    'daily backup of db7 failed: mysql: Cannot reach "db7": the server refuses the login',
  );
  expect(summaryOf(runReport({ exitStatus: 143, parts: [] }))).toBe("daily backup of db7 failed: exit status 143");
});

test("succeeded() is false with any failure, whatever the exit status", () => {
  expect(succeeded(runReport())).toBe(true);
  expect(succeeded(failedReport({ exitStatus: 0 }))).toBe(false);
  expect(succeeded(runReport({ exitStatus: 1 }))).toBe(false);
});

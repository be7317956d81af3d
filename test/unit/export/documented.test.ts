import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { PROMETHEUS_METRICS } from "../../../src/export/prometheus-series.ts";
import { statsdLines } from "../../../src/export/statsd-lines.ts";
import { webhookBody } from "../../../src/export/webhook.ts";
import { runReport } from "../../support/reports.ts";
import { readStatsd } from "../../support/statsd.ts";

const TEXT = readFileSync(new URL("../../../docs/monitoring.md", import.meta.url), "utf8");

test("docs/monitoring.md names every metric of Prometheus, and no other", () => {
  const named = new Set(TEXT.match(/twindb_backup_[a-z_]+(?=[`\s[)])/g)?.filter((name) => !name.endsWith("_")));
  expect([...named].filter((name) => !PROMETHEUS_METRICS.has(name))).toEqual([]);
  expect([...PROMETHEUS_METRICS.keys()].filter((name) => !named.has(name))).toEqual([]);
});

test("docs/monitoring.md names every measure of StatsD", () => {
  const restore = runReport({ command: "restore", runType: undefined, standing: undefined });
  const lines = [runReport(), restore].flatMap((report) => statsdLines(report, { timing: "ms", tags: true }));
  const named = new Set(TEXT.match(/twindb\.[A-Za-z]+\.[a-z_]+/g));
  const measured = readStatsd(lines.join("\n")).map(({ name }) => name);
  const told = (name: string) => named.has(name) || named.has(name.replace(/\.[a-z]+\./, ".PART."));
  // The times of binary logs are there for the sake of order.
  expect(measured.filter((name) => !told(name) && !/^twindb\.binlog\.(?:backup|restore)_time$/.test(name))).toEqual([]);
});

test("docs/monitoring.md shows what a webhook gets", () => {
  const [, shown = ""] = /```json\n([^]*?)```/.exec(TEXT) ?? [];
  expect(Object.keys(JSON.parse(shown) as object)).toEqual(Object.keys(webhookBody(runReport())));
});

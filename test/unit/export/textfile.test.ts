import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, constantFrom, double, property, string, uniqueArray } from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { formatExposition, parseExposition } from "../../../src/export/exposition.ts";
import { PROMETHEUS_METRICS, prometheusSeries } from "../../../src/export/prometheus-series.ts";
import { textfileExporter } from "../../../src/export/textfile.ts";
import { at } from "../../support/copies.ts";
import { readExposition, type Sample } from "../../support/exposition.ts";
import { failedReport, runReport } from "../../support/reports.ts";

const { signal } = new AbortController();

let root: string;
let path: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "twindb-textfile-"));
  path = join(root, "twindb_backup.prom");
});
afterEach(() => rmSync(root, { recursive: true }));

function samples(): Sample[] {
  return readExposition(readFileSync(path, "utf8"));
}

function valueOf(name: string, labels: Record<string, string>): number | undefined {
  const wanted = { backup_host: "db7", ...labels };
  return samples().find((each) => each.name === name && JSON.stringify(each.labels) === JSON.stringify(wanted))?.value;
}

describe("textfileExporter()", () => {
  test("writes what a strict reader takes, for everybody to read, and leaves nothing else", async () => {
    const before = process.umask(0o077);
    await textfileExporter(path).send(runReport(), { signal });
    process.umask(before);
    expect(statSync(path).mode & 0o777).toBe(0o644);
    expect(readdirSync(root)).toEqual(["twindb_backup.prom"]);
    const seconds = (date: Date) => Math.floor(date.getTime() / 1000);
    const daily = { run_type: "daily" };
    expect(valueOf("twindb_backup_last_run_success", daily)).toBe(1);
    expect(valueOf("twindb_backup_last_run_timestamp_seconds", daily)).toBe(seconds(at(5, 3)));
    expect(valueOf("twindb_backup_duration_seconds", { ...daily, part: "files" })).toBe(12.346);
    const etc = { part: "files", directory: "/etc" };
    expect(valueOf("twindb_backup_stored_bytes", etc)).toBe(2100);
    expect(valueOf("twindb_backup_last_good_copy_timestamp_seconds", etc)).toBe(seconds(at(5)));
    expect(valueOf("twindb_backup_last_verified_timestamp_seconds", etc)).toBe(seconds(at(4, 1)));
    const odd = { part: "files", directory: '/srv/a "b"\\c' };
    expect(valueOf("twindb_backup_copies", odd)).toBe(1);
    expect(valueOf("twindb_backup_binlog_archived_until_timestamp_seconds", { part: "binlog" })).toBe(
      seconds(at(5, 2)),
    );
    expect(valueOf("twindb_backup_recoverable_until_timestamp_seconds", { part: "mysql" })).toBe(seconds(at(5, 2)));
    expect(valueOf("twindb_backup_recoverable_from_timestamp_seconds", { part: "mysql" })).toBe(seconds(at(5, 0, 30)));
  });

  test("remembers runs of other types, and replaces those of its own", async () => {
    const exporter = textfileExporter(path);
    await exporter.send(failedReport({ runType: "weekly" }), { signal });
    await exporter.send(runReport({ runType: "hourly" }), { signal });
    await exporter.send(runReport({ runType: "hourly", finishedAt: at(5, 4) }), { signal });
    expect(valueOf("twindb_backup_last_run_success", { run_type: "weekly" })).toBe(0);
    expect(valueOf("twindb_backup_last_run_failures", { run_type: "weekly", part: "mysql" })).toBe(1);
    expect(valueOf("twindb_backup_last_run_success", { run_type: "hourly" })).toBe(1);
    await exporter.send(runReport({ runType: "weekly" }), { signal });
    expect(valueOf("twindb_backup_last_run_success", { run_type: "weekly" })).toBe(1);
    expect(valueOf("twindb_backup_last_run_failures", { run_type: "weekly", part: "mysql" })).toBe(0);
  });

  test("keeps what was on the destination when nobody could look again, and forgets it when it is gone", async () => {
    const exporter = textfileExporter(path);
    const etc = { part: "files", directory: "/etc" };
    await exporter.send(runReport(), { signal });
    await exporter.send(failedReport({ standing: undefined }), { signal });
    expect(valueOf("twindb_backup_copies", etc)).toBe(2);
    const standing = runReport().standing?.subjects.filter(({ media }) => media === "mysql") ?? [];
    await exporter.send(runReport({ standing: { host: "db7", subjects: standing } }), { signal });
    expect(valueOf("twindb_backup_copies", etc)).toBeUndefined();
    expect(valueOf("twindb_backup_copies", { part: "mysql" })).toBe(1);
  });

  test("starts afresh on a file that is none of its own", async () => {
    writeFileSync(path, 'node_load1 0.5\ntwindb_backup_copies{part="files} 1\n\u0000\n');
    await textfileExporter(path).send(runReport(), { signal });
    expect(samples().some(({ name }) => name === "node_load1")).toBe(false);
    expect(samples().length).toBeGreaterThan(30);
  });

  test("of runs that end at the same moment none is lost", async () => {
    const runs = (["hourly", "daily", "weekly", "monthly"] as const).map((runType) => runReport({ runType }));
    await Promise.all(runs.map((run) => textfileExporter(path).send(run, { signal })));
    const told = samples().filter(({ name }) => name === "twindb_backup_last_run_success");
    expect(new Set(told.map(({ labels }) => labels["run_type"]))).toEqual(
      new Set(["daily", "hourly", "monthly", "weekly"]),
    );
    expect(readdirSync(root)).toEqual(["twindb_backup.prom"]);
  });

  test("says what is wrong with the directory", async () => {
    const missing = join(root, "collector", "x.prom");
    await expect(textfileExporter(missing).send(runReport(), { signal })).rejects.toThrow(
      `Cannot write "${missing}" for Prometheus: there is no such file or directory`,
    );
    mkdirSync(path);
    await expect(textfileExporter(path).send(runReport(), { signal })).rejects.toThrow("for Prometheus");
    expect(readdirSync(root)).toEqual(["twindb_backup.prom"]);
  });
});

test("every metric of a run is described", () => {
  for (const report of [runReport(), failedReport(), runReport({ command: "restore" })]) {
    for (const { name } of prometheusSeries(report)) expect(PROMETHEUS_METRICS.has(name)).toBe(true);
  }
});

test("formatExposition() says any label so that a strict reader, and parseExposition(), find it again", () => {
  const metrics = new Map([["twindb_backup_copies", { help: "a \\ and\na line", about: "standing" as const }]]);
  const text = string({ unit: constantFrom("a", '"', "\\", "\n", "n", "}", ",", "=", "ü", " ") });
  assert(
    property(uniqueArray(text), double({ noNaN: true, noDefaultInfinity: true }), (labels, value) => {
      const series = labels.map((directory) => ({
        name: "twindb_backup_copies",
        labels: { directory },
        value: value + 0,
      }));
      const formatted = formatExposition(series, metrics);
      expect(readExposition(formatted)).toEqual(series);
      expect(parseExposition(formatted)).toEqual(series);
    }),
  );
});

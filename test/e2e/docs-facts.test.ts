import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseConfig } from "../../src/config/config.ts";
import { EXIT_STATUS } from "../../src/domain/errors.ts";
import { formatRecords } from "../../src/status/codec.ts";
import { at, fullCopy } from "../support/copies.ts";
import { namesIn, Pages } from "../support/docs/pages.ts";

const HOME = new URL("../../", import.meta.url).pathname;
const pages = new Pages(import.meta.url);

/** A config of which a document shows a part. */
function parsed(text: string, missing = "") {
  const base = text.includes("backup_destination")
    ? ""
    : "[destination]\nbackup_destination = local\n[local]\nbackup_dir = /b\n";
  const source = text.includes("[source]") ? "" : "[source]\nbackup_dirs = /etc\n";
  return parseConfig([source, base, text, missing].join("\n"), { path: "document", hostname: "db1" });
}

test("README: the config it shows is a good one", () => {
  const { config, warnings } = parsed(pages.take("README.md: A real config 1"));
  expect(warnings).toEqual([]);
  expect(config.source.directories).toEqual(["/etc", "/root", "/srv/my files"]);
  expect(config.destination.kind).toBe("ssh");
});

test.each([
  "docs/monitoring.md: Prometheus 1",
  "docs/monitoring.md: StatsD and Datadog 1",
  "docs/monitoring.md: Webhook 1",
])("%s is good for a config", (id) => {
  const { config, warnings } = parsed(pages.take(id));
  expect(warnings).toEqual([]);
  expect(config.export).toBeDefined();
});

test("docs/retention.md: its configs are good ones, and those that the sample config has", () => {
  const { config, warnings } = parsed(pages.take("docs/retention.md: Retention: what stays, and what goes 1"));
  expect(warnings).toEqual([]);
  expect(config.retention).toEqual({ hourly: 24, daily: 7, weekly: 4, monthly: 12, yearly: 3 });
  const mysql = parsed(pages.take("docs/retention.md: Full or increment 1"));
  expect(mysql.warnings).toEqual([]);
  expect(mysql.config.mysql).toMatchObject({ fullBackup: "daily", fullBackupDays: 7, incrementalFrom: "full" });
  const local = pages
    .take("docs/retention.md: Copies on this host 1")
    .replace("[destination]", "[destination]\nbackup_destination = local");
  const kept = parsed(local, "[local]\nbackup_dir = /b\n");
  expect(kept.warnings).toEqual([]);
  expect(kept.config.retentionLocal).toMatchObject({ hourly: 1, daily: 1, weekly: 0 });
});

test("docs/monitoring.md: the rules for Prometheus have the form of rules", () => {
  const lines = pages.take("docs/monitoring.md: Prometheus 2").trimEnd().split("\n");
  expect(lines.splice(0, 3)).toEqual(["groups:", "  - name: twindb-backup", "    rules:"]);
  expect(lines.length).toBeGreaterThan(6);
  for (const [index, line] of lines.entries()) {
    expect(line).toMatch(index % 2 === 0 ? /^ {6}- alert: [A-Z][A-Za-z]+$/ : /^ {8}expr: .*\btwindb_backup_[a-z_]+/);
    expect(line.match(/[({[]/g)?.length).toBe(line.match(/[)}\]]/g)?.length);
  }
});

test("docs/architecture.md names files that are there, and each folder of src", () => {
  const text = readFileSync(`${HOME}docs/architecture.md`, "utf8");
  const files = [...text.matchAll(/`([a-z-]+(?:\/[a-z.-]+)+\.ts)`/g)].map(([, file = ""]) => file);
  expect(files.length).toBeGreaterThan(10);
  expect(files.filter((file) => !existsSync(`${HOME}${file}`) && !existsSync(`${HOME}src/${file}`))).toEqual([]);
  const rows = [...text.matchAll(/^\| (`[^|]*`) \|/gm)].flatMap(([, cell = ""]) => cell.match(/[a-z]+(?=\/)/g) ?? []);
  const folders = readdirSync(`${HOME}src`, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(rows.sort()).toEqual(folders.map(({ name }) => name).sort());
});

test("README: the commands are those of the program", () => {
  const readme = readFileSync(`${HOME}README.md`, "utf8");
  const commands = [...readme.matchAll(/^\| `([a-z]+)( [a-z]+)?/gm)].map(
    ([, first = "", second = ""]) => first + second,
  );
  expect(commands.length).toBeGreaterThan(6);
  for (const command of commands) {
    const words = [...command.trim().split(" "), "--help"];
    const { status, stdout } = spawnSync(`${HOME}bin/twindb-backup`, words, { encoding: "utf8" });
    expect(stdout).toContain(`Usage: twindb-backup ${command.trim()}`);
    expect(status).toBe(0);
  }
});

test("README: the exit statuses are those of the program", () => {
  const [, listed = ""] = /^Exit status: ([\s\S]*?)\n\n/m.exec(readFileSync(`${HOME}README.md`, "utf8")) ?? [];
  const numbers = [...listed.matchAll(/(?:^|· |\n)(\d+) /g)].map(([, number]) => Number(number));
  expect(new Set(numbers)).toEqual(new Set([0, ...Object.values(EXIT_STATUS), 255]));
});

test("docs/format.md: names the fields that a record of MySQL holds besides", () => {
  const [, files = "", mysql = ""] = readFileSync(`${HOME}docs/format.md`, "utf8").split(/^\| field of a /m);
  const copy = fullCopy(at(1), {
    bytes: 1,
    sha256: "0".repeat(64),
    rawBytes: 2,
    tool: "clone",
    toolVersion: "9",
    preservedUntil: "forever",
    mark: { broken: true, at: at(2), by: "root@db7", reason: "r" },
    verified: { at: at(2), ok: true, level: "boot" },
    fromLsn: 1n,
    toLsn: 2n,
    gtid: "0-1-2",
    serverVersion: "9",
    serverUuid: "u",
    datadirId: "1:2:3",
    format: "tar",
    checksums: new Map([["a.b", "1"]]),
  });
  const { daily } = JSON.parse(formatRecords("mysql", { copies: [copy] })) as { daily: Record<string, object> };
  const [record = {}] = Object.values(daily);
  const known = new Set([...namesIn(files), ...namesIn(mysql)]);
  expect(Object.keys(record).filter((name) => !known.has(name))).toEqual([]);
  for (const name of namesIn(mysql)) expect(Object.keys(record)).toContain(name);
});

test("each block that is named for this test was read", () => expect(pages.left()).toEqual([]));

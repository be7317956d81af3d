import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { INTERVALS } from "../../../src/domain/interval.ts";

const HOME = new URL("../../../", import.meta.url).pathname;
const UNITS = `${HOME}packaging/`;

/** When cron starts a run: `5 0 * * *` of its line. */
function cronTimeOf(interval: string): string {
  const table = readFileSync(`${HOME}cron.d/twindb-backup`, "utf8");
  return new RegExp(`^(.*) root twindb-backup backup ${interval}$`, "m").exec(table)?.[1] ?? "";
}

/** The same, of what systemd calls a calendar: `Sun *-01-01 00:05:00`. */
function timerTimeOf(interval: string): string {
  const timer = readFileSync(`${UNITS}twindb-backup-${interval}.timer`, "utf8");
  expect(timer).toContain(`\nUnit=twindb-backup@${interval}.service\n`);
  const pattern = /^OnCalendar=(?:(\w+) )?\*-(\S+)-(\S+) (\S+):(\d+):00$/m;
  const [, weekday, month = "", day = "", hour = "", minute = ""] = pattern.exec(timer) ?? [];
  const days = { Sun: "0" }[weekday ?? ""] ?? "*";
  return [minute, hour, day, month].map((part) => part.replace(/^0(?=\d)/, "")).join(" ") + ` ${days}`;
}

test.each(INTERVALS)("the timer of %s runs starts when its line for cron does", (interval) => {
  expect(cronTimeOf(interval)).toMatch(/^\d/);
  expect(timerTimeOf(interval)).toBe(cronTimeOf(interval));
});

describe.skipIf(spawnSync("systemd-analyze", ["--version"]).status !== 0)("systemd-analyze", () => {
  const services = ["twindb-backup@.service", "twindb-backup-binlog-stream.service"];

  test("verify finds nothing in any unit", () => {
    const units = readdirSync(UNITS)
      .filter((name) => name.endsWith(".timer"))
      .concat("twindb-backup@daily.service", "twindb-backup-binlog-stream.service");
    const paths = units.map((name) => `${UNITS}${name}`);
    const { status, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", ...paths], { encoding: "utf8" });
    expect(stderr).toBe("");
    expect(status).toBe(0);
  });

  test.each(services)("security finds %s shut off from the host", (name) => {
    const words = ["security", "--offline=yes", "--threshold=35", "--no-pager", `${UNITS}${name}`];
    const { status, stderr } = spawnSync("systemd-analyze", words, { encoding: "utf8" });
    expect(`${status} ${stderr}`).toBe("0 ");
  });
});

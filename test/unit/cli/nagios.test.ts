import { expect, test } from "vitest";
import { nagiosUnknown, nagiosVerdict, noticesOf } from "../../../src/cli/nagios.ts";
import { judge } from "../../../src/domain/alarm.ts";
import type { Copy } from "../../../src/domain/copy.ts";
import { fleetOf } from "../../../src/domain/fleet.ts";
import type { Finding } from "../../../src/job/check.ts";
import { at, binlogCopy, filesCopy, fullCopy } from "../../support/copies.ts";

const ON = { hourly: true, daily: true, weekly: true, monthly: true, yearly: true };

function judged(copies: readonly Copy[], now: Date) {
  const [view = { host: "db7", subjects: [] }] = fleetOf(
    copies.map((copy) => ({ copy, doubt: undefined })),
    now,
  );
  return judge(view, { directories: ["/etc", "/srv/it's=1"], mysql: true, intervals: ON, thresholds: new Map(), now });
}

const COPIES = [
  filesCopy(at(8), { bytes: 1200 }),
  filesCopy(at(8), { bytes: 7, directory: "/srv/it's=1" }),
  fullCopy(at(8, 23), { bytes: 5_000_000_000 }),
  binlogCopy(1, at(8, 23), { bytes: 12 }),
];

const FINDINGS: readonly Finding[] = [
  { name: "config", result: "ok", detail: "/etc/twindb/twindb-backup.cfg" },
  { name: "free space", result: "warning", detail: "1 GiB free | the newest copies take 4 GiB" },
  { name: "mysql", result: "failed", detail: 'Cannot log in to "localhost":\nthe password is wrong. Look at it.' },
  { name: "last copy of /etc", result: "warning", detail: "2 d old" },
];

test("nagiosVerdict() is what check --nagios prints", async () => {
  const verdicts = [
    nagiosVerdict([], judged(COPIES, at(9))),
    nagiosVerdict([], judged(COPIES, at(9, 13))),
    nagiosVerdict(noticesOf(FINDINGS), judged(COPIES, at(9))),
    nagiosVerdict([], judged([], at(9))),
    nagiosVerdict(noticesOf([FINDINGS[1] as Finding]), []),
    nagiosUnknown('Cannot load "/etc/x.cfg": 2 problems\n  line 1: [x] unknown section\n  line 2: y | z'),
  ];
  const text = verdicts.map(({ line, status }) => `${line}\n${status}\n`).join("\n");
  await expect(text).toMatchFileSnapshot("../../golden/cli/nagios.txt");
});

test("nagiosVerdict() is one line of text and measures that plugins' rules allow, whatever is wrong", () => {
  const finding: Finding = { name: "x", result: "failed", detail: `a | b\n${"long ".repeat(1000)}\u001b[2J` };
  const { line, status } = nagiosVerdict(noticesOf([finding]), judged(COPIES, at(9)));
  expect(status).toBe(2);
  expect(line).not.toMatch(/\p{Cc}/u);
  expect(line.length).toBeLessThan(1024 + 300);
  const [text = "", data = "", ...more] = line.split("|");
  expect(more).toEqual([]);
  expect(text).toMatch(/^TWINDB-BACKUP CRITICAL - x: a \/ b long /);
  const measure = /^'[^'=]+'=\d+(?:s|B)?;\d*;\d*;0$/;
  for (const each of data.match(/'[^']*'=\S+/g) ?? []) expect(each).toMatch(measure);
  expect(data.match(/'[^']*'=\S+/g)).toHaveLength(20);
});

import { expect, test } from "vitest";
import { streamFindings, streamJson, streamLines } from "../../../src/cli/stream-row.ts";
import { sampleStream } from "../../support/fleet.ts";

const NOW = new Date("2026-05-21T17:00:02Z");
const ASIDE =
  '"/var/lib/twindb-backup/binlog-spool/aside-20260501T120000000Z", put aside, holds 1 log of 3.8 MiB that is not archived: ' +
  "binlog stream --finish --spool hands over";

test("streamFindings() tells how far a stream is, what waits, and what was put aside", () => {
  expect(streamFindings(sampleStream(NOW), NOW)).toEqual([
    {
      name: "binlog stream",
      result: "ok",
      detail:
        '"mysql-bin.000031", 5.0 MiB, 2 s behind, last event 2026-05-21T16:59:59.000Z, 2 logs of 210 MiB to be archived',
    },
    { name: "binlog stream", result: "warning", detail: ASIDE },
  ]);
});

test.each([
  ["it does not run; ", { pid: 2 ** 22 - 1 }],
  ["it is 900 seconds behind the server; ", { lagSeconds: 900 }],
  ["no space; ", { failure: "no space", lagSeconds: undefined }],
])("streamFindings() warns: %s", (words, state) => {
  const [finding] = streamFindings(sampleStream(NOW, state), NOW);
  expect(finding).toMatchObject({ result: "warning", detail: expect.stringContaining(words) });
});

test("streamJson() says the same in fields", () => {
  expect(streamJson(sampleStream(NOW), NOW)).toEqual({
    state: "following",
    trouble: null,
    log: "mysql-bin.000031",
    bytes: 5 * 1024 ** 2,
    last_event_at: "2026-05-21T16:59:59.000Z",
    heard_at: "2026-05-21T17:00:01.000Z",
    lag_seconds: 2,
    waiting_logs: 2,
    waiting_bytes: 2.2e8,
    spool: "/var/lib/twindb-backup/binlog-spool",
    aside: [{ directory: sampleStream(NOW).aside[0]?.directory, logs: 1, bytes: 4e6 }],
  });
  const dead = sampleStream(NOW, { pid: 2 ** 22 - 1, lagSeconds: undefined, lastEventAt: undefined });
  expect(streamJson(dead, NOW)).toMatchObject({
    state: "stopped",
    trouble: "it does not run",
    lag_seconds: null,
    last_event_at: null,
  });
});

test("streamLines() are the findings for people", () => {
  const [line, aside] = streamLines(sampleStream(NOW, { log: undefined, lagSeconds: undefined }), NOW);
  expect(line).toContain("binlog stream: last event");
  expect(aside).toBe(ASIDE);
});

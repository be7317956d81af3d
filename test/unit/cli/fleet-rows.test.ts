import { expect, test } from "vitest";
import { fleetTable, hostJson } from "../../../src/cli/fleet-rows.ts";
import { sampleFleet } from "../../support/fleet.ts";

const NOW = new Date(2026, 4, 21, 17, 0, 2);
const HOSTS = sampleFleet(6, 120, NOW);

test("fleetTable() is what status --host all prints", async () => {
  await expect(`${fleetTable(HOSTS, NOW).join("\n")}\n`).toMatchFileSnapshot("../../golden/cli/fleet.txt");
});

test("fleetTable() hides no host: not one that has nothing, nor one that cannot be read", () => {
  const lines = fleetTable(HOSTS, NOW);
  for (const { host } of HOSTS) expect(lines.some((line) => line.startsWith(host))).toBe(true);
});

test("hostJson() names the same fields of every host", () => {
  const rows = HOSTS.map((host) => hostJson(host, NOW));
  expect(rows.map(({ state }) => state)).toEqual(["ok", "ok", "ok", "late", "empty", "unreadable"]);
  expect(rows[2]).toMatchObject({ paused_until: new Date(2026, 4, 21, 21, 0, 2).toISOString(), troubles: [] });
  expect(rows[5]).toMatchObject({ troubles: [{ type: "mysql", kind: "unreadable" }], subjects: [] });
  const subjects = rows.flatMap((row) => row["subjects"] as Record<string, unknown>[]);
  expect(new Set(subjects.map((subject) => Object.keys(subject).join()))).toEqual(
    new Set([
      "type,directory,state,last_good,last_good_at,age_seconds,bytes,seconds,trend,copies,stored_bytes,broken_copies," +
        "preserved_copies,verified_at,late,recoverable_from,recoverable_until,gaps",
    ]),
  );
  expect(subjects.find(({ late }) => (late as unknown[]).length > 0)).toMatchObject({
    state: "late",
    late: [{ run_type: "daily", age_seconds: expect.any(Number) }],
  });
});

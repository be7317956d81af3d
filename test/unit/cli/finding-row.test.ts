import { expect, test } from "vitest";
import { findingTable, jsonOf } from "../../../src/cli/finding-row.ts";
import { BackupError } from "../../../src/domain/errors.ts";
import { driftFinding, type Finding, look } from "../../../src/job/check.ts";

async function findings(): Promise<Finding[]> {
  const error = new BackupError("NOT_PERMITTED", 'Cannot store "db7/check-0": access to "/b" is denied', {
    hint: 'Give the user that runs twindb-backup write access to "/b".',
  });
  return [
    { name: "config", result: "ok", detail: "/etc/twindb/twindb-backup.cfg" },
    driftFinding(-7200),
    await look("destination", () => Promise.reject(error)),
    { name: "last copy of /odd\n\u001b[2J", result: "warning", detail: "there is none yet" },
  ];
}

test("findingTable() is what check prints", async () => {
  const text = `${findingTable(await findings()).join("\n")}\n`;
  await expect(text).toMatchFileSnapshot("../../golden/cli/check.txt");
});

test("jsonOf() is what check --json prints of a finding", async () => {
  expect((await findings()).map(jsonOf)[1]).toEqual({
    name: "clock",
    result: "warning",
    detail: "the destination's clock is 2 h behind this host's",
  });
});

import { expect, test } from "vitest";
import { copyTable, jsonOf } from "../../../src/cli/copy-row.ts";
import type { Listed } from "../../../src/job/list.ts";
import { at, binlogCopy, filesCopy, fullCopy } from "../../support/copies.ts";

const NOW = at(5);

const NO_WINDOWS = new Map<never, never>();

function rowOf(listed: Listed): Record<string, unknown> {
  return jsonOf(listed, NOW, NO_WINDOWS);
}

const SHA256 = "c".repeat(64);

const LISTED: readonly Listed[] = [
  { copy: filesCopy(at(1)), doubt: undefined },
  {
    copy: filesCopy(at(2, 3), {
      bytes: 628_115,
      rawBytes: 2_744_320,
      sha256: SHA256,
      verified: { at: at(3), ok: true, level: "checksum" },
      warnings: ["/etc/motd: file changed as we read it"],
    }),
    doubt: undefined,
  },
  { copy: filesCopy(at(3), { bytes: 12, verified: { at: at(3), ok: false, level: "checksum" } }), doubt: undefined },
  { copy: filesCopy(at(4), { bytes: 5_000_000_000 }), doubt: "resized" },
  { copy: fullCopy(at(4), { bytes: 1 }), doubt: "gone" },
  { copy: filesCopy(at(4, 3), { preservedUntil: at(6) }), doubt: undefined },
  { copy: filesCopy(at(4, 4), { preservedUntil: at(4, 5) }), doubt: undefined },
  {
    copy: filesCopy(at(4, 5), {
      verified: { at: at(4, 6), ok: true, level: "checksum" },
      mark: { broken: true, at: at(4, 7), by: "root@db7", reason: "taken while /etc was being moved" },
      preservedUntil: "forever",
    }),
    doubt: undefined,
  },
  { copy: binlogCopy(7, at(4, 12)), doubt: undefined },
];

test("copyTable() is what ls prints", async () => {
  const text = `${copyTable(LISTED, NOW, NO_WINDOWS).join("\n")}\n`;
  await expect(text).toMatchFileSnapshot("../../golden/cli/ls.txt");
});

test("jsonOf() names the same fields of every copy", () => {
  const fields = [
    "key",
    "host",
    "type",
    "run_type",
    "directory",
    "taken_at",
    "bytes",
    "raw_bytes",
    "sha256",
    "suffixes",
  ];
  for (const listed of LISTED) {
    expect(Object.keys(rowOf(listed))).toEqual([
      ...fields,
      "state",
      "verified_at",
      "marked",
      "preserved_until",
      "warnings",
      "recoverable_from",
      "recoverable_until",
      "gaps",
    ]);
  }
});

test("jsonOf() writes times in UTC, and null for what is not known", () => {
  const [plain, whole] = LISTED.map(rowOf);
  expect(whole).toMatchObject({
    key: "db7/daily/files/_etc-2026-05-02_03_00_02.tar.gz",
    type: "files",
    run_type: "daily",
    directory: "/etc",
    taken_at: at(2, 3).toISOString(),
    bytes: 628_115,
    raw_bytes: 2_744_320,
    sha256: SHA256,
    suffixes: [".gz"],
    state: "verified",
    verified_at: at(3).toISOString(),
    warnings: ["/etc/motd: file changed as we read it"],
  });
  expect(plain).toMatchObject({ bytes: null, raw_bytes: null, sha256: null, state: "stored", verified_at: null });
  expect(LISTED.map(rowOf).at(-1)).toMatchObject({ type: "binlog", run_type: null, directory: null, warnings: [] });
});

test("jsonOf() tells what a person said of a copy, and how long retention leaves it alone", () => {
  const [until, over, marked] = LISTED.slice(5).map(rowOf);
  expect(until).toMatchObject({
    state: "stored",
    marked: null,
    preserved_until: at(6).toISOString().replace(".000", ""),
  });
  expect(over).toMatchObject({ state: "stored", preserved_until: null });
  expect(marked).toMatchObject({
    state: "broken",
    marked: { broken: true, at: at(4, 7).toISOString(), by: "root@db7", reason: "taken while /etc was being moved" },
    preserved_until: "forever",
  });
});

import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import {
  isLeftover,
  lockName,
  machineId,
  partialFolderOf,
  temporaryName,
  temporaryOwner,
} from "../../../src/destination/temporary-name.ts";
import { toKey } from "../../../src/domain/key.ts";

test("temporaryName() names this machine and process, and never the same twice", () => {
  const names = Array.from({ length: 100 }, temporaryName);
  expect(new Set(names).size).toBe(100);
  expect(temporaryOwner(names[0] ?? "")).toEqual({ machine: machineId(), pid: process.pid });
  expect(machineId()).toMatch(/^[0-9a-f]{12}$/);
});

test.each(["", "status", "lock-0123456789abcdef", "0123456789ab-0-0123456789abcdef", "0123456789ab-1-0123", "../x"])(
  "temporaryOwner() knows no owner of %j",
  (name) => {
    expect(temporaryOwner(name)).toBeUndefined();
    expect(isLeftover(name)).toBe(false);
  },
);

test("isLeftover() is true for ended processes of this machine only", () => {
  const { pid } = spawnSync("true");
  const random = "0123456789abcdef";
  expect(isLeftover(`${machineId()}-${pid}-${random}`)).toBe(true);
  expect(isLeftover(`${machineId()}-${process.pid}-${random}`)).toBe(false);
  expect(isLeftover(`${machineId()}-1-${random}`)).toBe(false);
  expect(isLeftover(`0123456789ab-${pid}-${random}`)).toBe(false);
});

test("partialFolderOf() is below the host, and refuses keys in such a folder", () => {
  expect(partialFolderOf(toKey("h/daily/files/x"))).toBe("h/.partial");
  expect(partialFolderOf(toKey("x"))).toBe(".partial");
  for (const key of ["h/.partial/x", ".partial/x", "h/daily/.partial"]) {
    expect(() => partialFolderOf(toKey(key))).toThrow(/for unfinished objects/);
  }
});

test("lockName() fits a file name and differs between keys", () => {
  const names = ["h/status", "h/files-status", `h/${"日".repeat(85)}`].map((key) => lockName(toKey(key)));
  expect(new Set(names).size).toBe(3);
  for (const name of names) expect(name).toMatch(/^lock-[0-9a-f]{16}$/);
});

import { spawnSync } from "node:child_process";
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ourselves } from "../../../src/lib/holder.ts";
import { isLeftover, ownedName } from "../../../src/lib/owned-name.ts";
import { machineId } from "../../../src/lib/process-identity.ts";
import { leftTemporaryDirectories, makeTemporaryDirectory } from "../../../src/lib/temporary-directory.ts";

const PREFIX = "twindb-backup-test-";

let place: string;

beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), "temporary-directory-test-"));
  vi.stubEnv("TMPDIR", place);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(place, { recursive: true });
});

/** A name as a process has made it that has ended by now. */
function nameOfTheDead({ machine = machineId(), prefix = PREFIX } = {}): string {
  const { pid } = spawnSync("true");
  return `${prefix}${machine}-${pid}-1234-0123abcd`;
}

describe("isLeftover()", () => {
  test("isLeftover() knows the name of a process that has ended", () => {
    expect(isLeftover(nameOfTheDead(), PREFIX)).toBe(true);
  });

  test("isLeftover() knows a pid that belongs to another process by now", () => {
    expect(isLeftover(`${PREFIX}${machineId()}-${process.pid}-1-0123abcd`, PREFIX)).toBe(true);
  });

  test.each([
    ["a living process", () => ownedName(PREFIX)],
    ["another machine", () => nameOfTheDead({ machine: "0123456789ab" })],
    ["another purpose", () => nameOfTheDead({ prefix: "twindb-backup-other-" })],
    ["nobody", () => `${PREFIX}mine`],
    ["nobody, with more behind it", () => `${nameOfTheDead()}.old`],
  ])("isLeftover() leaves the name of %s alone", (_whose, name) => {
    expect(isLeftover(name(), PREFIX)).toBe(false);
  });
});

test("makeTemporaryDirectory() makes a private directory that carries our pid and start time", async () => {
  const path = await makeTemporaryDirectory(PREFIX);
  const { pid, startTime } = ourselves();
  expect(basename(path)).toContain(`-${pid}-${startTime}-`);
  expect(statSync(path).mode & 0o777).toBe(0o700);
  expect(await makeTemporaryDirectory(PREFIX)).not.toBe(path);
});

test("makeTemporaryDirectory() names the place that cannot be used, and the way out", async () => {
  vi.stubEnv("TMPDIR", join(place, "missing"));
  const refusal = {
    message: `Cannot keep temporary files in "${join(place, "missing")}": there is no such file or directory, or a link leads nowhere`,
    hint: expect.stringContaining("TMPDIR"),
  };
  await expect(makeTemporaryDirectory(PREFIX)).rejects.toMatchObject(refusal);
  await expect(leftTemporaryDirectories(PREFIX)).rejects.toMatchObject(refusal);
});

test("leftTemporaryDirectories() finds directories of ours whose maker is gone, and nothing else", async () => {
  const dead = join(place, nameOfTheDead());
  mkdirSync(dead);
  await makeTemporaryDirectory(PREFIX);
  mkdirSync(join(place, "victim"));
  symlinkSync("victim", join(place, nameOfTheDead()));
  const foreign = join(place, nameOfTheDead());
  mkdirSync(foreign);
  chownSync(foreign, 65_534, 65_534);
  expect(await leftTemporaryDirectories(PREFIX)).toEqual([dead]);
  expect(existsSync(foreign)).toBe(true);
});

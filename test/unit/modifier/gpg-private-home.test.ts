import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { machineId } from "../../../src/lib/process-identity.ts";
import { sweepPrivateHomes } from "../../../src/modifier/gpg-private-home.ts";
import { processesMentioning } from "../../support/leftovers.ts";

let place: string;

beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), "gpg-home-test-"));
  vi.stubEnv("TMPDIR", place);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(place, { recursive: true });
});

test("sweepPrivateHomes() removes the home of a killed run, and ends its agent", async () => {
  const { pid } = spawnSync("true");
  const home = join(place, `twindb-backup-gnupg-${machineId()}-${pid}-1234-0123abcd`);
  mkdirSync(home, { mode: 0o700 });
  execFileSync("gpgconf", ["--homedir", home, "--launch", "gpg-agent"]);
  expect(processesMentioning(home)).toHaveLength(1);
  await sweepPrivateHomes();
  expect(existsSync(home)).toBe(false);
  await expect.poll(() => processesMentioning(home)).toEqual([]);
});

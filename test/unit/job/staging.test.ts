import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Staging } from "../../../src/job/staging.ts";
import { machineId } from "../../../src/lib/process-identity.ts";

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "staging-test-"));
});
afterEach(() => rmSync(root, { recursive: true }));

async function restore(target: string): Promise<void> {
  await using staging = await Staging.open(target);
  writeFileSync(join(staging.directory, "file"), "content");
  await staging.promote();
}

test("promote() makes a new target", async () => {
  await restore(join(root, "a", "b"));
  expect(readFileSync(join(root, "a", "b", "file"), "utf8")).toBe("content");
  expect(readdirSync(join(root, "a"))).toEqual(["b"]);
});

test("promote() fills an empty target and keeps its mode", async () => {
  mkdirSync(join(root, "target"), { mode: 0o711 });
  await restore(join(root, "target"));
  expect(readdirSync(join(root, "target"))).toEqual(["file"]);
  expect(statSync(join(root, "target")).mode & 0o777).toBe(0o711);
});

test("open() refuses a target that holds something and leaves it alone", async () => {
  writeFileSync(join(root, "precious"), "x");
  await expect(Staging.open(root)).rejects.toMatchObject({
    code: "USAGE",
    message: `Cannot restore into "${root}": it holds "precious"`,
  });
  expect(readdirSync(root)).toEqual(["precious"]);
});

test("open() refuses a target that is a file", async () => {
  writeFileSync(join(root, "file"), "x");
  await expect(Staging.open(join(root, "file"))).rejects.toMatchObject({ code: "USAGE" });
});

test("dispose leaves nothing of a restore that was not promoted", async () => {
  const target = join(root, "target");
  {
    await using staging = await Staging.open(target);
    writeFileSync(join(staging.directory, "file"), "half");
  }
  expect(existsSync(target)).toBe(false);
  expect(readdirSync(root)).toEqual([]);
});

test("open() removes what a killed restore left, and only that", async () => {
  mkdirSync(join(root, `.twindb-restore-${machineId()}-4194303-1-0123abcd`));
  mkdirSync(join(root, ".twindb-restore-mine"));
  await expect(Staging.open(root)).rejects.toMatchObject({
    message: expect.stringContaining(".twindb-restore-mine") as string,
  });
  expect(readdirSync(root)).toEqual([".twindb-restore-mine"]);
});

test("open() refuses a target where no directory can be made, such as below /proc", async () => {
  await expect(Staging.open("/proc/nowhere/target")).rejects.toMatchObject({ code: "FAILED" });
});

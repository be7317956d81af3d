import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

const HOME = new URL("../../", import.meta.url).pathname;

/** The JavaScript of docs/drivers.md, one text per block. */
function blocks(): string[] {
  const text = readFileSync(`${HOME}docs/drivers.md`, "utf8");
  return [...text.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, block = ""]) => block);
}

test("docs/drivers.md shows the driver that is tested", () => {
  expect(blocks()[1]).toBe(readFileSync(`${HOME}test/support/sample-driver.mjs`, "utf8"));
});

test("docs/drivers.md: an author runs the contract, which tells good from bad", {
  timeout: 240_000,
}, () => {
  const root = mkdtempSync(join(tmpdir(), "driver-author-"));
  try {
    const [tests = "", driver = ""] = blocks();
    mkdirSync(join(root, "node_modules"));
    symlinkSync(HOME, join(root, "node_modules", "twindb-backup"));
    writeFileSync(join(root, "driver.test.mjs"), tests);
    copyFileSync(`${HOME}test/support/sample-driver.mjs`, join(root, "driver.mjs"));
    const run = () => spawnSync(process.execPath, ["--test", "driver.test.mjs"], { cwd: root, encoding: "utf8" });
    const good = run();
    expect(good.stdout).toMatch(/^. fail 0$/m);
    expect(good.status).toBe(0);
    // One that puts the parts together in the wrong order.
    const careless = driver.replace("number = 1; number <= parts; number++", "number = parts; number >= 1; number--");
    expect(careless).not.toBe(driver);
    writeFileSync(join(root, "driver.mjs"), careless);
    const bad = run();
    expect(bad.stdout).toMatch(/^✖ put\(\) stores what takes several parts and several reads/m);
    expect(bad.status).toBe(1);
  } finally {
    rmSync(root, { recursive: true });
  }
});

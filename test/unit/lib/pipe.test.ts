import { spawnSync } from "node:child_process";
import { mkdtempSync, rmdirSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openPipes } from "../../../src/lib/pipe.ts";

const PIPE = new URL("../../../src/lib/pipe.ts", import.meta.url).pathname;

/** Opens a pipe and writes a byte; prints when it was last written to, before and after. */
const PROBE = `
const { writeSync } = await import("node:fs");
const [pipe] = await (await import(${JSON.stringify(PIPE)})).openPipes(1);
const before = pipe.lastWrite();
writeSync(pipe.end("write"), "x");
console.log(pipe.isStamped, before === 0, pipe.lastWrite() > 0);
`;

test("lastWrite() is 0 until something is written", async () => {
  const [pipe] = await openPipes(1);
  expect(pipe?.lastWrite()).toBe(0);
  expect(pipe?.hasLeftover()).toBe(false);
  writeSync(pipe?.end("write") ?? -1, "x");
  expect(pipe?.lastWrite()).toBeGreaterThan(Date.now() - 10_000);
  expect(pipe?.hasLeftover()).toBe(true);
  pipe?.closeAll();
});

describe.skipIf(process.geteuid?.() !== 0)("in a container, whose root is an overlay that stamps no pipes,", () => {
  function probe(preparation: string): string {
    const place = mkdtempSync(join(tmpdir(), "twindb-overlay-"));
    const script = `
      mount -t tmpfs none ${place} && cd ${place} && mkdir lower upper work at &&
      mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay at && ${preparation}
      TMPDIR=${place}/at exec "$1" --input-type=module --eval "$2"`;
    const words = ["--mount", "bash", "--norc", "-c", script, "-", process.execPath, PROBE];
    const { stdout, stderr } = spawnSync("unshare", words, { encoding: "utf8" });
    rmdirSync(place);
    expect(stderr).toBe("");
    return stdout.trim();
  }

  test("openPipes() finds a place that does", () => {
    expect(probe("")).toBe("true true true");
  });

  test("openPipes() goes on without, and takes no pipe for silent", () => {
    expect(probe("mount --bind at /dev/shm && mount --bind at /run &&")).toBe("false false true");
  });
});

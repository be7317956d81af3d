import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";

test("lib/ssh.ts loads in Node itself, which is stricter with CommonJS than the test runner", () => {
  const file = new URL("../../../src/lib/ssh.ts", import.meta.url).href;
  const script = `console.log(typeof (await import(${JSON.stringify(file)})).SshSession)`;
  expect(execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" })).toBe(
    "function\n",
  );
});

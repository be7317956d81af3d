import { execFile } from "node:child_process";
import { expect, test } from "vitest";

const TERMINAL = new URL("../../../src/cli/terminal.ts", import.meta.url).pathname;
const SECRET = new URL("../../../src/domain/secret.ts", import.meta.url).pathname;

/** Run lines with `terminal`, in a process of its own. */
function run(lines: string, { interactive = false } = {}): Promise<{ stdout: string; stderr: string }> {
  const script = `
    import { Secret } from ${JSON.stringify(SECRET)};
    import { Terminal } from ${JSON.stringify(TERMINAL)};
    process.stderr.isTTY = ${interactive}; process.stderr.columns = 20;
    const terminal = new Terminal();
    ${lines}`;
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ["--input-type=module-typescript", "-e", script],
      { maxBuffer: 2 ** 24 },
      (_error, stdout, stderr) => resolve({ stdout, stderr }),
    );
  });
}

test("print() and note() hide secrets once they are known", async () => {
  const lines = `terminal.hide([new Secret("hunter22")]); terminal.print("a hunter22"); terminal.note("b hunter22\\n");
    terminal.fail(new Error("c hunter22"));`;
  const { stdout, stderr } = await run(lines);
  expect(stdout).toBe("a [hidden]\n");
  expect(stderr).toMatch(/^b \[hidden\]\ntwindb-backup: Error: c \[hidden\]\n/);
  expect(stderr).not.toContain("hunter22");
});

test("draw() draws nothing but on a terminal", async () => {
  expect((await run('terminal.draw("half way"); terminal.draw("");')).stderr).toBe("");
});

test("draw() keeps to one line, which gives way to the next message", async () => {
  const lines =
    'terminal.draw("a line that is longer than the terminal"); terminal.note("done\\n"); terminal.note("more\\n");';
  const { stderr } = await run(lines, { interactive: true });
  expect(stderr).toBe("\r\u001b[Ka line that is long\r\u001b[Kdone\nmore\n");
});

import { execFile } from "node:child_process";
import { afterEach, expect, test, vi } from "vitest";
import { main } from "../../../src/cli/program.ts";

const PROGRAM = new URL("../../../src/main.ts", import.meta.url).pathname;

afterEach(() => vi.restoreAllMocks());

/** What the program prints on stdout when it runs here. */
async function printed(args: readonly string[]): Promise<{ readonly status: number; readonly text: string }> {
  let text = "";
  vi.spyOn(process.stdout, "write").mockImplementation((chunk) => {
    text += String(chunk);
    return true;
  });
  const status = await main(args);
  vi.restoreAllMocks();
  return { status, text };
}

/** What it says on stderr, and its exit status, as a process of its own. */
function said(args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [PROGRAM, ...args], (_error, stdout, stderr) => {
      resolve(`$ twindb-backup ${args.join(" ")}\n${stdout}${stderr}${child.exitCode}\n`);
    });
  });
}

test.each([
  ["twindb-backup", []],
  ["backup", ["backup"]],
  ["ls", ["ls"]],
  ["status", ["status"]],
  ["status-rebuild", ["status", "rebuild"]],
  ["restore", ["restore"]],
  ["restore-file", ["restore", "file"]],
  ["restore-mysql", ["restore", "mysql"]],
  ["verify", ["verify"]],
  ["verify-file", ["verify", "file"]],
  ["verify-mysql", ["verify", "mysql"]],
  ["clone", ["clone"]],
  ["clone-mysql", ["clone", "mysql"]],
  ["share", ["share"]],
  ["expire", ["expire"]],
  ["preserve", ["preserve"]],
  ["mark", ["mark"]],
  ["pause", ["pause"]],
  ["resume", ["resume"]],
  ["verify-binlog", ["verify", "binlog"]],
  ["binlog", ["binlog"]],
  ["binlog-push", ["binlog", "push"]],
  ["binlog-stream", ["binlog", "stream"]],
  ["binlog-ls", ["binlog", "ls"]],
  ["binlog-purge", ["binlog", "purge"]],
  ["binlog-takeover", ["binlog", "takeover"]],
  ["check", ["check"]],
  ["report", ["report"]],
  ["init", ["init"]],
])("main() prints the help of %s", async (name, command) => {
  const { status, text } = await printed([...command, "--help"]);
  expect(status).toBe(0);
  await expect(text).toMatchFileSnapshot(`../../golden/cli/help-${name}.txt`);
});

test("main() without a command prints the help, with the status the predecessor gave", async () => {
  const { status, text } = await printed([]);
  expect(status).toBe(255);
  expect(text).toBe((await printed(["--help"])).text);
});

test("main() says in one line what is wrong with a command, and where to look", async () => {
  const lines = [
    "",
    "dance",
    "backup",
    "backup fortnightly",
    "backup daily --wait soon",
    "backup daily weekly",
    "ls --jsn",
    "ls --type files --host a/b",
    "restore file",
    "restore mysql",
    "verify mysql latest --level best",
    "status rebuild --hostname ..",
    "clone mysql db2",
    "share",
    "share latest --expires soon",
    "expire --hostname a/b",
    "preserve db7/daily/files/x",
    "mark db7/daily/files/x --broken --ok",
    "pause",
    "pause --until 31d",
    "--config /nowhere/twindb-backup.cfg ls",
    "check --config /etc",
  ];
  const texts = await Promise.all(lines.slice(1).map((line) => said(line.split(" "))));
  await expect(texts.join("\n")).toMatchFileSnapshot("../../golden/cli/refusals.txt");
});

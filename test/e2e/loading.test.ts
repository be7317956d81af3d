import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { hasSshd, sshSection, startSshd } from "../support/servers/sshd.ts";
import type { Sections } from "../support/stores.ts";

/** Texts that only a library of a cloud holds, be it as a package or as a part of ours. */
const CLOUD = [
  /@aws-sdk|S3ServiceException|@smithy/,
  /@azure\/|azsdk-js|x-ms-version/,
  /@google-cloud|google-auth-library|storage\.googleapis\.com/,
];

/** What reading all of the program's own code may come to. */
const MOST_BYTES = 700_000;

/** The files of JavaScript that a command opens. */
async function opened(sandbox: Sandbox, args: readonly string[]): Promise<string[]> {
  const trace = sandbox.path("trace");
  const wrapper = ["strace", "-f", "-qq", "-e", "trace=open,openat", "-o", trace];
  expect((await sandbox.run(args, { wrapper })).exitCode).toBe(0);
  const found = readFileSync(trace, "utf8").matchAll(/"([^"]+\.[cm]?js)", [^)]*\) = \d+/g);
  return [...new Set([...found].map(([, path = ""]) => path))];
}

function expectNoCloud(files: readonly string[]): void {
  expect(files.length).toBeGreaterThan(2);
  for (const file of files) {
    const text = readFileSync(file, "utf8");
    for (const pattern of CLOUD) expect(pattern.exec(`${file}\n${text}`)?.[0], `in ${file}`).toBeUndefined();
  }
}

function configure(sandbox: Sandbox, sections: Sections): void {
  sandbox.configure({ source: { backup_dirs: "/etc/ssl" }, ...sections });
}

test("ls on a local destination loads no library of a cloud, and little else", async () => {
  using sandbox = new Sandbox();
  const local = { backup_dir: sandbox.directory("copies") };
  configure(sandbox, { destination: { backup_destination: "local" }, local });
  const files = await opened(sandbox, ["ls"]);
  expectNoCloud(files);
  expect(files.reduce((sum, file) => sum + readFileSync(file).length, 0)).toBeLessThan(MOST_BYTES);
});

test.skipIf(!hasSshd())("ls over SSH loads no library of a cloud", async () => {
  using sandbox = new Sandbox();
  const server = await startSshd();
  try {
    configure(sandbox, { destination: { backup_destination: "ssh" }, ssh: sshSection(server, sandbox.copies) });
    expectNoCloud(await opened(sandbox, ["ls"]));
  } finally {
    await server.stop();
  }
});

test("a backup to a local destination loads no library of a cloud", async () => {
  using sandbox = new Sandbox();
  const local = { backup_dir: sandbox.directory("copies") };
  configure(sandbox, { destination: { backup_destination: "local" }, local });
  expectNoCloud(await opened(sandbox, ["backup", "daily"]));
});

test("--version loads nothing but itself", async () => {
  using sandbox = new Sandbox();
  const trace = sandbox.path("trace");
  const program = new URL("../../bin/twindb-backup", import.meta.url).pathname;
  execFileSync("strace", ["-f", "-qq", "-e", "trace=open,openat", "-o", trace, program, "--version"]);
  const parts = [...readFileSync(trace, "utf8").matchAll(/"([^"]+\/dist\/[^"]+\.js)", [^)]*\) = \d+/g)];
  expect(parts.length).toBeLessThan(6);
});

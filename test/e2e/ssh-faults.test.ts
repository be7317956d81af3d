import { execFileSync } from "node:child_process";
import { randomBytes, randomInt } from "node:crypto";
import { copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Result, Sandbox } from "../support/cli.ts";
import { startCuttingProxy } from "../support/cutting-proxy.ts";
import { filesBelow, leftoversIn, processesMentioning, temporaryDirectories } from "../support/leftovers.ts";
import { copiesOf, restored } from "../support/listed.ts";
import { hasSshd, type Sshd, type SshdOptions, sshSection, startSshd } from "../support/servers/sshd.ts";

const MOMENTS = 10;
const SIZE = 3_000_000;

const TRANSPORTS: readonly (readonly [string, SshdOptions])[] = [
  ["the ssh program", {}],
  ["SFTP", { lines: ["ForceCommand internal-sftp"] }],
];

type Sections = Readonly<Record<string, Readonly<Record<string, string | number>>>>;

let sandbox: Sandbox;
let source: string;
let server: Sshd | undefined;

beforeEach(() => {
  sandbox = new Sandbox();
  source = sandbox.directory("source");
  writeFileSync(join(source, "noise"), randomBytes(SIZE));
});
afterEach(async () => {
  await server?.stop();
  server = undefined;
  sandbox[Symbol.dispose]();
});

/** A server, and what logs in to it below the sandbox, so that nothing on our command lines mentions its own place. */
async function start(options: SshdOptions = {}): Promise<Sshd> {
  const { keyFile, knownHostsFile, ...rest } = await startSshd(options);
  copyFileSync(keyFile, sandbox.path("key"));
  copyFileSync(knownHostsFile, sandbox.path("known"));
  server = { ...rest, keyFile: sandbox.path("key"), knownHostsFile: sandbox.path("known") };
  return server;
}

function configure(login: Pick<Sshd, "port" | "user" | "keyFile" | "knownHostsFile">, more: Sections = {}): void {
  sandbox.configure({
    source: { backup_dirs: source },
    destination: { backup_destination: "ssh" },
    ssh: sshSection(login, sandbox.copies),
    compression: { program: "none" },
    retention: { daily_copies: 100 },
    ...more,
  });
}

/** Let the same key be known for another port, which a proxy listens on. */
function knowAt(port: number, { port: own, knownHostsFile }: Sshd): void {
  const lines = readFileSync(knownHostsFile, "utf8");
  writeFileSync(knownHostsFile, lines + lines.replace(`:${own} `, `:${port} `));
}

async function backup(): Promise<void> {
  expect(await sandbox.run(["backup", "daily"])).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
}

function expectOneLine({ stdout, stderr }: Result): void {
  expect(stdout).toBe("");
  expect(stderr).toMatch(/^twindb-backup: Cannot .*\n$/);
}

/** The next run succeeds and cleans up, and what was stored earlier restores. */
async function expectRecovery(before: number): Promise<number> {
  await backup();
  const copies = await copiesOf(sandbox);
  // A run killed between manifest and status leaves a whole copy, which this one takes up beside its own.
  expect([before + 1, before + 2]).toContain(copies.length);
  expect(leftoversIn(sandbox.copies)).toEqual([]);
  expect(temporaryDirectories(sandbox.temporary)).toEqual([]);
  for (const copy of [copies[0], copies.at(-1)]) expect(await restored(sandbox, copy?.key ?? "", source)).toEqual([]);
  return copies.length;
}

describe.skipIf(!hasSshd()).each(TRANSPORTS)("a backup over %s", (_name, options) => {
  test(`stores nothing when the connection is cut, at ${MOMENTS} random places`, async () => {
    const { port: _port, ...login } = await start(options);
    const direct = server as Sshd;
    configure(direct);
    await backup();
    const proxy = await startCuttingProxy(direct.port);
    knowAt(proxy.port, direct);
    try {
      for (let moment = 0, stored = 1; moment < MOMENTS; moment++) {
        proxy.cutAfter = randomInt(20_000, SIZE);
        configure({ ...login, port: proxy.port });
        const result = await sandbox.run(["backup", "daily"]);
        expect([1, 69], `cut after ${proxy.cutAfter}: ${result.stderr}`).toContain(result.exitCode);
        expectOneLine(result);
        configure(direct);
        expect(await copiesOf(sandbox)).toHaveLength(stored);
        if (moment % 5 === 4) stored = await expectRecovery(stored);
      }
    } finally {
      await proxy.stop();
    }
  });

  test("says so and leaves nothing when the far disk is full", async () => {
    configure(await start(options));
    const mount = sandbox.directory("copies");
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", mount]);
    try {
      const result = await sandbox.run(["backup", "daily"]);
      expect(result.exitCode).toBe(1);
      expectOneLine(result);
      expect(result.stderr).toContain("its disk is full. Make room for");
      expect(filesBelow(mount).filter((path) => path.includes(".tar") || path.includes(".partial"))).toEqual([]);
      execFileSync("mount", ["-o", "remount,size=50m", mount]);
      await expectRecovery(0);
    } finally {
      execFileSync("umount", [mount]);
    }
  });

  test.each(["SIGTERM", "SIGKILL"] as const)(`leaves nothing half done at ${MOMENTS} moments of %s`, async (signal) => {
    configure(await start(options));
    await backup();
    let stored = 1;
    for (let moment = 0; moment < MOMENTS; moment++) {
      const result = await interrupted(signal, randomInt(2500));
      await expect.poll(() => processesMentioning(sandbox.root), { timeout: 10_000 }).toEqual([]);
      const now = (await copiesOf(sandbox)).length;
      if (result.exitCode === 0) expect([stored + 1, stored + 2]).toContain(now);
      else expect([stored, stored + 1, stored + 2]).toContain(now);
      // Before the program listens, the signal itself ends it.
      if (signal === "SIGTERM" && result.signal === null) expect([0, 143]).toContain(result.exitCode);
      stored = now;
      if (moment % 5 === 4) stored = await expectRecovery(stored);
    }
  });
});

/** A run that gets a signal after so many milliseconds. */
async function interrupted(signal: "SIGTERM" | "SIGKILL", milliseconds: number): Promise<Result> {
  let pid = 0;
  const running = sandbox.run(["backup", "daily"], { onStart: (started) => (pid = started) });
  await sleep(milliseconds);
  try {
    process.kill(pid, signal);
  } catch {
    // It was faster.
  }
  return running;
}

describe.skipIf(!hasSshd())("a backup to a host that cannot be used", () => {
  async function expectRefusal(exitCode: number, words: string): Promise<void> {
    const result = await sandbox.run(["backup", "daily"]);
    expect(result.exitCode).toBe(exitCode);
    expectOneLine(result);
    expect(result.stderr).toContain(words);
    expect(existsSync(sandbox.copies)).toBe(false);
  }

  test("exits 77 and sends nothing when the host key is unknown", async () => {
    const login = await start();
    writeFileSync(login.knownHostsFile, "");
    configure(login);
    await expectRefusal(77, "is not in");
    expect(readFileSync(login.knownHostsFile, "utf8")).toBe("");
  });

  test("exits 77 and sends nothing when the host key has changed", async () => {
    const login = await start();
    await login.changeHostKey();
    configure(login);
    await expectRefusal(77, "is not the one recorded");
  });

  test("exits 77 when the key is not accepted", async () => {
    const login = await start();
    const other = sandbox.path("other");
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", other]);
    configure({ ...login, keyFile: other });
    await expectRefusal(77, "it refused the key");
  });

  test("exits 69 when nothing listens there", async () => {
    const login = await start();
    await login.stop();
    configure(login);
    await expectRefusal(69, "the connection was refused");
  });
});

describe.skipIf(!hasSshd())("a backup to an odd host", () => {
  test("is not mixed with what its login files print", async () => {
    const wrapper = 'case $SSH_ORIGINAL_COMMAND in *sftp-server*) ;; *) echo "Welcome!"; printf "no newline";; esac';
    configure(await start({ wrapper }));
    await backup();
    await expectRecovery(1);
    expect((await sandbox.run(["verify", "file", "all"])).exitCode).toBe(0);
  });
});

test.skipIf(!hasSshd())("restore logs in once for a small copy, and twice more for a large one", async () => {
  const login = await start();
  configure(login);
  await backup();
  const [large] = await copiesOf(sandbox);
  writeFileSync(join(source, "noise"), "small");
  await backup();
  const [, small] = await copiesOf(sandbox);
  const logins = () => readFileSync(join(login.root, "log"), "utf8").split("Accepted publickey").length;
  const before = logins();
  expect(await restored(sandbox, small?.key ?? "", source)).toEqual([]);
  expect(logins() - before).toBe(1);
  expect((await sandbox.run(["restore", "file", large?.key ?? "", "--dst", sandbox.path("large")])).exitCode).toBe(0);
  expect(logins() - before).toBe(4);
});

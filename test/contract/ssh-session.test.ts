import { execFileSync, spawn } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { shellCommand } from "../../src/lib/shell-quote.ts";
import { SshSession } from "../../src/lib/ssh.ts";
import type { SshTarget } from "../../src/lib/ssh-target.ts";
import { hasSshd, type Sshd, signalAll, startSshd } from "../support/servers/sshd.ts";

let sshd: Sshd;
const signal = new AbortController().signal;

function target(changes: Partial<SshTarget> = {}): SshTarget {
  const { port, user, keyFile, knownHostsFile } = sshd;
  return { host: "127.0.0.1", port, user, keyFile, knownHostsFile, hostKeys: "strict", ...changes };
}

function refused(changes: Partial<SshTarget> = {}): Promise<unknown> {
  return SshSession.connect(target(changes), { signal }).then(
    async (session) => {
      await session[Symbol.asyncDispose]();
      throw new Error("it connected");
    },
    (error: unknown) => error,
  );
}

describe.skipIf(!hasSshd())("SshSession", () => {
  beforeAll(async () => {
    sshd = await startSshd();
    vi.stubEnv("SSH_AUTH_SOCK", "");
  });
  afterAll(async () => {
    await sshd.stop();
    vi.unstubAllEnvs();
  });
  afterEach(() => vi.stubEnv("SSH_AUTH_SOCK", ""));

  test("exec() tells status, output and error output apart", async () => {
    await using session = await SshSession.connect(target(), { signal });
    const answer = await session.exec(shellCommand('echo "$1"; echo bad >&2; exit 3', ["it's $(id)"]), { signal });
    expect(answer).toEqual({ status: 3, stdout: "it's $(id)\n", stderr: "bad\n" });
  });

  test("exec() misses nothing of commands that end at once", async () => {
    await using session = await SshSession.connect(target(), { signal });
    const answers = await Promise.all(Array.from({ length: 200 }, () => session.exec("echo x", { signal })));
    expect(new Set(answers.map((answer) => JSON.stringify(answer)))).toEqual(
      new Set([JSON.stringify({ status: 0, stdout: "x\n", stderr: "" })]),
    );
  });

  test("exec() keeps no more than 64 KiB", async () => {
    await using session = await SshSession.connect(target(), { signal });
    const { status, stdout } = await session.exec("head -c 5000000 /dev/zero", { signal });
    expect([status, stdout.length]).toEqual([0, 65_536]);
  });

  test("exec() throws the reason when it is aborted, and the session stays usable", async () => {
    await using session = await SshSession.connect(target(), { signal });
    const controller = new AbortController();
    const running = session.exec("sleep 60", { signal: controller.signal });
    setTimeout(() => controller.abort(new Error("enough")), 100);
    await expect(running).rejects.toThrow("enough");
    expect((await session.exec("true", { signal })).status).toBe(0);
  });

  test("connect() refuses an unknown host and names its fingerprint", async () => {
    const file = join(sshd.root, "none");
    const printed = execFileSync("ssh-keygen", ["-l", "-f", join(sshd.root, "host.pub")], { encoding: "utf8" });
    const error = await refused({ knownHostsFile: file });
    expect(error).toMatchObject({
      code: "NOT_PERMITTED",
      hint: expect.stringContaining(`ssh-keyscan -p ${sshd.port}`),
    });
    expect(String(error)).toContain(printed.split(" ")[1]);
    expect(String(error)).toContain(file);
  });

  test("connect() records the key of a new host when it may", async () => {
    const knownHostsFile = join(sshd.root, "fresh");
    const session = await SshSession.connect(target({ knownHostsFile, hostKeys: "accept-new" }), { signal });
    await session[Symbol.asyncDispose]();
    expect(readFileSync(knownHostsFile, "utf8")).toBe(readFileSync(sshd.knownHostsFile, "utf8"));
  });

  test("connect() refuses a changed key even when new ones are accepted", async () => {
    const other = join(sshd.root, "other");
    rmSync(other, { force: true });
    execFileSync("ssh-keygen", ["-q", "-t", "ecdsa", "-N", "", "-f", other]);
    const knownHostsFile = join(sshd.root, "changed");
    writeFileSync(knownHostsFile, `[127.0.0.1]:${sshd.port} ${readFileSync(`${other}.pub`, "utf8")}`);
    expect(await refused({ knownHostsFile, hostKeys: "accept-new" })).toMatchObject({
      code: "NOT_PERMITTED",
      message: expect.stringContaining("is not the one recorded"),
      hint: expect.stringContaining(`ssh-keygen -R '[127.0.0.1]:${sshd.port}'`),
    });
  });

  test("connect() names user and key when the login is refused", async () => {
    const keyFile = join(sshd.root, "stranger");
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", keyFile]);
    const error = await refused({ keyFile });
    expect(error).toMatchObject({ code: "NOT_PERMITTED", message: expect.stringContaining(`"${keyFile}"`) });
    expect(String(error)).toContain(`${sshd.user}@127.0.0.1`);
  });

  test("connect() says what is wrong with a key file", async () => {
    const encrypted = join(sshd.root, "encrypted");
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "secret", "-f", encrypted]);
    expect(String(await refused({ keyFile: encrypted }))).toContain("it is encrypted, and no SSH agent is running");
    expect(String(await refused({ keyFile: join(sshd.root, "nowhere") }))).toContain("there is no such file");
    expect(await refused({ keyFile: join(sshd.root, "config") })).toMatchObject({ code: "CONFIG_INVALID" });
  });

  test.each(["rsa", "ecdsa"])("connect() logs in with a PEM key of type %s", async (type) => {
    const keyFile = join(sshd.root, `pem-${type}`);
    execFileSync("ssh-keygen", ["-q", "-m", "PEM", "-t", type, "-N", "", "-f", keyFile]);
    writeFileSync(join(sshd.root, "authorized_keys"), readFileSync(`${keyFile}.pub`), { flag: "a" });
    const session = await SshSession.connect(target({ keyFile }), { signal });
    await session[Symbol.asyncDispose]();
  });

  test("connect() uses an agent, and the key file when the agent is dead", async () => {
    const socket = join(sshd.root, "agent");
    const agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
    try {
      await expect.poll(() => execFileSync("ls", [sshd.root], { encoding: "utf8" })).toContain("agent");
      execFileSync("ssh-add", ["-q", sshd.keyFile], {
        env: { ...process.env, SSH_AUTH_SOCK: socket },
        stdio: "ignore",
      });
      vi.stubEnv("SSH_AUTH_SOCK", socket);
      await using session = await SshSession.connect(target({ keyFile: join(sshd.root, "nowhere") }), { signal });
      expect((await session.exec("true", { signal })).status).toBe(0);
    } finally {
      agent.kill();
    }
    vi.stubEnv("SSH_AUTH_SOCK", join(sshd.root, "dead"));
    await using session = await SshSession.connect(target(), { signal });
    expect((await session.exec("true", { signal })).status).toBe(0);
  });

  test("connect() names host and port that nobody listens on", async () => {
    expect(await refused({ port: 1 })).toMatchObject({
      code: "UNREACHABLE",
      retryable: true,
      message: expect.stringMatching(/127\.0\.0\.1:1".*refused/),
    });
  });

  test.each(["-oProxyCommand=id", "a b", "$(id)", ""])("connect() refuses the host %j", async (host) => {
    expect(await refused({ host })).toMatchObject({ code: "CONFIG_INVALID" });
  });

  test("connect() ends when it is aborted while the host says nothing", async () => {
    const sockets: Socket[] = [];
    const silent: Server = createServer((socket) => sockets.push(socket)).listen(0, "127.0.0.1");
    await new Promise((resolve) => silent.once("listening", resolve));
    const { port } = silent.address() as { port: number };
    const reason = new Error("enough");
    await expect(SshSession.connect(target({ port }), { signal: abortSoon(reason) })).rejects.toBe(reason);
    for (const socket of sockets) socket.destroy();
    silent.close();
  });

  test("exec() ends when the far side goes silent", async () => {
    await using session = await SshSession.connect(target({ keepAliveSeconds: 0.2 }), { signal });
    const running = session.exec("sleep 60", { signal });
    const frozen = sshd.connections();
    signalAll(frozen, "SIGSTOP");
    try {
      await expect(running).rejects.toMatchObject({
        code: "UNREACHABLE",
        message: expect.stringContaining("not answered"),
      });
    } finally {
      signalAll(frozen, "SIGCONT");
    }
  });

  test("exec() ends when the far side is killed", async () => {
    await using session = await SshSession.connect(target(), { signal });
    const running = session.exec("sleep 60", { signal });
    setTimeout(() => signalAll(sshd.connections(), "SIGKILL"), 200);
    await expect(running).rejects.toMatchObject({ code: "UNREACHABLE", retryable: true });
  });
});

function abortSoon(reason: Error): AbortSignal {
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), 100);
  return controller.signal;
}

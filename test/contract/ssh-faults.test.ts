import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Destination } from "../../src/destination/destination.ts";
import type { SshOptions } from "../../src/destination/options.ts";
import { openSsh } from "../../src/destination/ssh.ts";
import type { SshTuning } from "../../src/destination/ssh-connection.ts";
import { toKey } from "../../src/domain/key.ts";
import type { ByteStream } from "../../src/lib/bytes.ts";
import { run } from "../../src/lib/command.ts";
import { startCuttingProxy } from "../support/cutting-proxy.ts";
import { hasSshd, type Sshd, signalAll, startSshd } from "../support/servers/sshd.ts";

const KEY = toKey("h/daily/files/_etc-2026-11-21_02_36_45.tar.gz");
const STATUS = toKey("h/status");
const SIZE = 3_000_000;
const TRANSPORTS = ["ssh program", "sftp"] as const;
const { signal } = new AbortController();

let sshd: Sshd;
let count = 0;

function options(changes: Partial<SshOptions> = {}): SshOptions {
  const { port, user, keyFile, knownHostsFile } = sshd;
  const directory = join(sshd.root, `faults ${++count}`);
  return {
    kind: "ssh",
    host: "127.0.0.1",
    port,
    user,
    keyFile,
    knownHostsFile,
    directory,
    hostKeys: "strict",
    ...changes,
  };
}

/** Bytes out of a program, as pipelines hand them over. */
function programContent(bytes: number): ByteStream {
  return run({ file: "head", args: ["-c", String(bytes), "/dev/zero"] }, { signal });
}

async function* slowContent(): ByteStream & AsyncGenerator<Uint8Array, void> {
  for (let sent = 0; sent < SIZE; sent += 100_000) {
    yield Buffer.alloc(100_000, sent);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function lengthOf(content: ByteStream): Promise<number> {
  let bytes = 0;
  for await (const chunk of content) bytes += chunk.length;
  return bytes;
}

async function keysOf(destination: Destination): Promise<string[]> {
  const entries = await Array.fromAsync(destination.list("", { signal }));
  return entries.map(({ key }) => key);
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name);
}

function killConnections(): void {
  signalAll(sshd.connections(), "SIGKILL");
}

/** A known_hosts file that knows the server under another port, too. */
function knownAt(port: number): string {
  const file = join(sshd.root, `known-${port}`);
  writeFileSync(file, readFileSync(sshd.knownHostsFile, "utf8").replace(`:${sshd.port} `, `:${port} `));
  return file;
}

describe.skipIf(!hasSshd())("faults of SSH", () => {
  beforeAll(async () => {
    vi.stubEnv("SSH_AUTH_SOCK", "");
    sshd = await startSshd();
  });
  afterAll(async () => {
    await sshd.stop();
    vi.unstubAllEnvs();
  });

  test("openSsh() takes the ssh program where it works, and SFTP where it does not", async () => {
    await using fast = await openSsh(options());
    expect(await fast.capabilities({ signal })).toMatchObject({ transport: "ssh program", digest: "far" });
    // The program refuses a key that others can read.
    const keyFile = join(sshd.root, "open-key");
    writeFileSync(keyFile, readFileSync(sshd.keyFile));
    chmodSync(keyFile, 0o644);
    await using slow = await openSsh(options({ keyFile }));
    expect(await slow.capabilities({ signal })).toMatchObject({ transport: "sftp", digest: "both" });
  });

  test.each(TRANSPORTS)(
    "put() over %s never publishes what a cut connection truncated",
    { timeout: 180_000 },
    async (transport) => {
      const proxy = await startCuttingProxy(sshd.port);
      const place = options();
      const tuning: SshTuning = { transport };
      const proxied = { ...place, port: proxy.port, knownHostsFile: knownAt(proxy.port) };
      try {
        await using direct = await openSsh(place, tuning);
        for (let round = 0; round < 10; round += 1) {
          await using destination = await openSsh(proxied, tuning);
          // With the program the data has a connection of its own; SFTP shares the one that is made now.
          if (transport === "ssh program") await destination.capabilities({ signal });
          proxy.cutAfter = 20_000 + Math.floor(Math.random() * (SIZE - 40_000));
          const storing = destination.put(KEY, programContent(SIZE), { signal });
          await expect(storing, `cut after ${proxy.cutAfter}`).rejects.toMatchObject({ code: "UNREACHABLE" });
          proxy.cutAfter = undefined;
          expect(await keysOf(direct)).toEqual([]);
        }
        await using destination = await openSsh(proxied, tuning);
        expect(await destination.put(KEY, programContent(SIZE), { signal })).toMatchObject({ bytes: SIZE });
        expect(await lengthOf(destination.get(KEY, { signal }))).toBe(SIZE);
        expect(filesBelow(place.directory)).toEqual([KEY.split("/").at(-1)]);
      } finally {
        await proxy.stop();
      }
    },
  );

  test.each(TRANSPORTS)("put() over %s ends when the connection stalls, and publishes nothing", async (transport) => {
    const proxy = await startCuttingProxy(sshd.port);
    const proxied = options({ port: proxy.port, knownHostsFile: knownAt(proxy.port) });
    try {
      await using destination = await openSsh(proxied, { transport, keepAliveSeconds: 0.5 });
      proxy.stallAfter = 1_000_000;
      const error: unknown = await destination
        .put(KEY, programContent(SIZE), { signal })
        .catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: "UNREACHABLE", retryable: true });
      proxy.stallAfter = undefined;
      await using again = await openSsh(proxied, { transport });
      expect(await keysOf(again)).toEqual([]);
    } finally {
      await proxy.stop();
    }
  });

  test.each(TRANSPORTS)("put() over %s publishes nothing when the producer is killed", async (transport) => {
    await using destination = await openSsh(options(), { transport });
    const killed = run({ file: "sh", args: ["-c", "head -c 1000000 /dev/zero; kill -9 $$"] }, { signal });
    await expect(destination.put(KEY, killed, { signal })).rejects.toMatchObject({ code: "PROGRAM_FAILED" });
    expect(await keysOf(destination)).toEqual([]);
  });

  test.each(TRANSPORTS)("put() over %s publishes nothing when the far side is killed", async (transport) => {
    const place = options();
    await using destination = await openSsh(place, { transport });
    await destination.capabilities({ signal });
    // Again and again: how soon the upload has its connection, nobody knows.
    const killing = setInterval(killConnections, 60);
    try {
      await expect(destination.put(KEY, slowContent(), { signal })).rejects.toMatchObject({ code: "UNREACHABLE" });
    } finally {
      clearInterval(killing);
    }
    expect(await keysOf(destination)).toEqual([]);
  });

  test("put() over ssh program outlives the loss of the other connection", async () => {
    await using destination = await openSsh(options(), { transport: "ssh program" });
    await destination.capabilities({ signal });
    const idle = sshd.connections();
    async function* content() {
      yield Buffer.alloc(100_000);
      signalAll(idle, "SIGKILL");
      yield Buffer.alloc(100_000);
    }
    expect(await destination.put(KEY, content(), { signal })).toMatchObject({ bytes: 200_000 });
    expect(await keysOf(destination)).toEqual([KEY]);
  });

  test.each(TRANSPORTS)("get() over %s throws when the connection is cut, and never just ends", async (transport) => {
    const place = options();
    await using destination = await openSsh(place, { transport });
    await destination.put(KEY, programContent(20_000_000), { signal });
    const reading = async () => {
      let bytes = 0;
      for await (const chunk of destination.get(KEY, { signal })) {
        if (bytes === 0) killConnections();
        bytes += chunk.length;
      }
      return bytes;
    };
    await expect(reading()).rejects.toMatchObject({ code: "UNREACHABLE" });
    expect(await lengthOf(destination.get(KEY, { signal }))).toBe(20_000_000);
  });

  test.each(TRANSPORTS)("put() over %s on a full disk says so and leaves nothing", async (transport) => {
    const place = options();
    mkdirSync(place.directory);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", place.directory]);
    try {
      await using destination = await openSsh(place, { transport });
      await destination.replaceSmall(STATUS, Buffer.from("old"), { signal, expected: undefined });
      await expect(destination.put(KEY, programContent(50_000_000), { signal })).rejects.toMatchObject({
        code: "NO_SPACE",
        message: expect.stringContaining(`${sshd.user}@127.0.0.1:${sshd.port}${place.directory}`),
      });
      expect(filesBelow(place.directory)).toEqual(["status"]);
      writeFileSync(join(place.directory, "filler"), Buffer.alloc(1_900_000));
      const old = await destination.readSmall(STATUS, { signal });
      const replacing = destination.replaceSmall(STATUS, Buffer.alloc(500_000), { signal, expected: old?.version });
      await expect(replacing).rejects.toMatchObject({ code: "NO_SPACE" });
      expect(await destination.readSmall(STATUS, { signal })).toEqual(old);
      rmSync(join(place.directory, "filler"));
      await destination.put(KEY, programContent(1_000_000), { signal });
    } finally {
      execFileSync("umount", [place.directory]);
    }
  });

  test("put() sends nothing to a host whose key changed", async () => {
    const other = await startSshd();
    try {
      const { port, user, keyFile, knownHostsFile } = other;
      const place = { ...options(), port, user, keyFile, knownHostsFile };
      await other.changeHostKey();
      await using destination = await openSsh(place);
      let pulled = false;
      const content = async function* () {
        pulled = true;
        yield Buffer.from("secret");
      };
      await expect(destination.put(KEY, content(), { signal })).rejects.toMatchObject({
        code: "NOT_PERMITTED",
        hint: expect.stringContaining("ssh-keygen -R"),
      });
      expect([pulled, existsSync(place.directory)]).toEqual([false, false]);
    } finally {
      await other.stop();
    }
  });

  test("openSsh() records a new host once, and both ways of transport use it", async () => {
    const knownHostsFile = join(sshd.root, "accepted hosts 100%");
    await using destination = await openSsh(options({ knownHostsFile, hostKeys: "accept-new" }));
    expect(await destination.capabilities({ signal })).toMatchObject({ transport: "ssh program" });
    await destination.put(KEY, programContent(10), { signal });
    expect(readFileSync(knownHostsFile, "utf8")).toBe(readFileSync(sshd.knownHostsFile, "utf8"));
  });

  test("put() refuses a directory that a symbolic link leads out of the root", async () => {
    const place = options();
    const outside = join(sshd.root, "outside");
    mkdirSync(place.directory);
    mkdirSync(outside);
    symlinkSync(outside, join(place.directory, "h"));
    await using destination = await openSsh(place);
    await expect(destination.put(KEY, programContent(10), { signal })).rejects.toMatchObject({ code: "NOT_PERMITTED" });
    expect(filesBelow(outside)).toEqual([]);
  });

  test("openSsh() makes the missing parts of the root for its user only", async () => {
    const place = options();
    await using destination = await openSsh({ ...place, directory: `${place.directory}/a/b/` });
    await destination.put(KEY, programContent(10), { signal });
    const modes = execFileSync("stat", ["-c", "%a", place.directory, `${place.directory}/a/b/h/daily`], {
      encoding: "utf8",
    });
    expect(modes).toBe("700\n700\n");
  });

  test("list() passes over names that are no keys", async () => {
    const place = options();
    await using destination = await openSsh(place);
    await destination.put(KEY, programContent(10), { signal });
    writeFileSync(join(place.directory, "h", "new\nline"), "x");
    writeFileSync(Buffer.concat([Buffer.from(`${place.directory}/h/`), Buffer.from([0xff, 0xfe])]), "x");
    symlinkSync("/etc/passwd", join(place.directory, "h", "link"));
    expect(await keysOf(destination)).toEqual([KEY]);
  });

  test.each(["relative", "/a\nb", ""])("openSsh() refuses the directory %j", async (directory) => {
    await expect(openSsh(options({ directory }))).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });
});

describe.skipIf(!hasSshd())("a far side whose login prints text", () => {
  let noisy: Sshd;

  beforeAll(async () => {
    vi.stubEnv("SSH_AUTH_SOCK", "");
    noisy = await startSshd({
      wrapper: 'case $SSH_ORIGINAL_COMMAND in *sftp-server*) ;; *) echo "Welcome!"; printf "no newline";; esac',
    });
  });
  afterAll(async () => {
    await noisy.stop();
    vi.unstubAllEnvs();
  });

  test("put() and get() never mix it into the data", async () => {
    const { port, user, keyFile, knownHostsFile } = noisy;
    const directory = join(noisy.root, "store");
    await using destination = await openSsh({
      kind: "ssh",
      host: "127.0.0.1",
      port,
      user,
      keyFile,
      knownHostsFile,
      directory,
      hostKeys: "strict",
    });
    expect(await destination.capabilities({ signal })).toMatchObject({ transport: "ssh program" });
    await destination.put(KEY, programContent(SIZE), { signal });
    expect(readFileSync(join(directory, KEY)).equals(Buffer.alloc(SIZE))).toBe(true);
    expect(await lengthOf(destination.get(KEY, { signal }))).toBe(SIZE);
  });

  test("list() says so when the text breaks SFTP itself", async () => {
    const broken = await startSshd({ wrapper: 'echo "Welcome to this machine, it is monitored!"' });
    const { port, user, keyFile, knownHostsFile } = broken;
    await using destination = await openSsh({
      kind: "ssh",
      host: "127.0.0.1",
      port,
      user,
      keyFile,
      knownHostsFile,
      directory: "/x",
      hostKeys: "strict",
    });
    try {
      await expect(keysOf(destination)).rejects.toMatchObject({ hint: expect.stringContaining("print") });
    } finally {
      await broken.stop();
    }
  });
});

import { randomBytes, randomInt } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ListMultipartUploadsCommand } from "@aws-sdk/client-s3";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { childOf } from "../support/children.ts";
import { type Result, Sandbox } from "../support/cli.ts";
import { type CuttingProxy, startCuttingProxy } from "../support/cutting-proxy.ts";
import { breaking, type FaultyProxy, type HttpFault, s3Answer, startFaultyProxy } from "../support/http-faults.ts";
import { processesMentioning, temporaryDirectories } from "../support/leftovers.ts";
import { copiesOf, restored } from "../support/listed.ts";
import { hasSeaweed } from "../support/servers/seaweedfs.ts";
import { BUCKET, openStore, type Sections, startSeaweedStore } from "../support/stores.ts";

const { signal } = new AbortController();
const MOMENTS = 25;
/** Two parts. */
const SIZE = 9_000_000;
const READER = { accessKeyId: "reader0reader0", secretAccessKey: "secret+of/the=reader" };
const LOADER = { accessKeyId: "loader0loader0", secretAccessKey: "secret+of/the=loader" };

let store: Awaited<ReturnType<typeof startSeaweedStore>>;
let sandbox: Sandbox;
let source: string;

describe.skipIf(!hasSeaweed())("a backup to S3", () => {
  beforeAll(async () => {
    store = await startSeaweedStore({
      reader: { keys: READER, actions: ["Read", "List"] },
      loader: { keys: LOADER, actions: ["Write"] },
    });
  });
  afterAll(async () => {
    await store.stop();
  });
  beforeEach(() => {
    sandbox = new Sandbox();
    source = sandbox.directory("source");
    writeFileSync(join(source, "noise"), randomBytes(SIZE));
    configure();
  });
  afterEach(() => sandbox[Symbol.dispose]());

  /** Copies of each test are those of a host of its own. */
  function configure(s3: Readonly<Record<string, string>> = {}, more: Sections = {}): void {
    sandbox.configure({
      ...store.sections,
      s3: { ...store.sections["s3"], ...s3 },
      source: { backup_dirs: source, hostname: hostOf() },
      compression: { program: "none" },
      retention: { daily_copies: 200 },
      ...more,
    });
  }

  function hostOf(): string {
    return `h${sandbox.root.slice(-6)}`;
  }

  /** Those of this test; the store has others. */
  async function ownCopies() {
    return (await copiesOf(sandbox)).filter(({ key }) => key.startsWith(`${hostOf()}/`));
  }

  /** What lies under the names of copies. */
  async function copiesStored(): Promise<{ readonly key: string; readonly bytes: number }[]> {
    await using destination = await openStore(store);
    const entries = await Array.fromAsync(destination.list(`${hostOf()}/`, { signal }));
    return entries.filter(({ key }) => key.includes("/daily/files/"));
  }

  async function unfinished(): Promise<string[]> {
    const { Uploads = [] } = await store.client.send(new ListMultipartUploadsCommand({ Bucket: BUCKET }));
    return Uploads.map(({ Key = "" }) => Key).filter((key) => key.startsWith(hostOf()));
  }

  async function marks(): Promise<string[]> {
    await using destination = await openStore(store);
    const entries = await Array.fromAsync(destination.list(`${hostOf()}/`, { signal }));
    return entries.map(({ key }) => key).filter((key) => key.endsWith(".unfinished"));
  }

  /** The next run succeeds and cleans up; every copy is whole, and the newest restores. */
  async function expectRecovery(): Promise<number> {
    expect(await sandbox.run(["backup", "daily"])).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
    const own = await ownCopies();
    const stored = await copiesStored();
    expect(own.map(({ key }) => key).sort()).toEqual(stored.map(({ key }) => key).sort());
    expect(new Set(stored.map(({ bytes }) => bytes)).size).toBe(1);
    expect(stored[0]?.bytes).toBeGreaterThan(SIZE);
    expect(await unfinished()).toEqual([]);
    expect(await marks()).toEqual([]);
    expect(temporaryDirectories(sandbox.temporary)).toEqual([]);
    expect(await restored(sandbox, own.at(-1)?.key ?? "", source)).toEqual([]);
    return own.length;
  }

  function expectOneLine({ stdout, stderr }: Result): void {
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^twindb-backup: Cannot .*\n$/);
  }

  test.each(["SIGTERM", "SIGKILL"] as const)(
    `that gets %s leaves nothing half done, at ${MOMENTS} random moments`,
    async (kill) => {
      await expectRecovery();
      // How long a run takes here, so that the moments are spread over all of it.
      const startedAt = performance.now();
      await expectRecovery();
      const longest = Math.round((performance.now() - startedAt) * 0.6);
      for (let moment = 0; moment < MOMENTS; moment++) {
        let pid = 0;
        const running = sandbox.run(["backup", "daily"], { onStart: (started) => (pid = started) });
        await sleep(randomInt(longest));
        try {
          process.kill(pid, kill);
        } catch {
          // It was faster.
        }
        const result = await running;
        // Before the program has told the system that it handles SIGTERM, it is ended by it.
        if (result.exitCode !== 0) expect(kill === "SIGTERM" ? [143, null] : [null]).toContain(result.exitCode);
        const sizes = new Set((await copiesStored()).map(({ bytes }) => bytes));
        expect([...sizes], "no short object under the name of a copy").toHaveLength(1);
        await expect.poll(() => processesMentioning(source), { timeout: 5000 }).toEqual([]);
        if (moment % 8 === 7) await expectRecovery();
      }
      await expectRecovery();
    },
  );

  test("stores nothing when its program is killed", async () => {
    await expectRecovery();
    configure({}, { compression: { program: "zstd", threads: 1, level: 19 } });
    let run = 0;
    const running = sandbox.run(["backup", "daily"], { onStart: (started) => (run = started) });
    process.kill(await childOf(run, "tar", "-c"), "SIGKILL");
    const result = await running;
    expect(result.exitCode).toBe(1);
    expectOneLine(result);
    expect(result.stderr).toContain('Cannot run "tar": it was killed by SIGKILL');
    expect(await unfinished()).toEqual([]);
    configure();
    expect(await expectRecovery()).toBe(2);
  });

  describe("over a network that fails", () => {
    let proxy: CuttingProxy;

    beforeEach(async () => {
      proxy = await startCuttingProxy(Number(new URL(store.server.plainEndpoint).port));
    });
    afterEach(async () => {
      await proxy.stop();
    });

    test("goes on after connections were cut, at 5 random places", async () => {
      for (let moment = 1; moment <= 5; moment++) {
        configure({ endpoint: `http://127.0.0.1:${proxy.port}` });
        proxy.cutAfter = randomInt(1, 8_000_000);
        const mended = sleep(randomInt(300, 2500)).then(() => (proxy.cutAfter = undefined));
        const result = await sandbox.run(["backup", "daily"]);
        await mended;
        expect(result, `cut after ${proxy.cutAfter}`).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
      }
      configure();
      expect(await expectRecovery()).toBe(6);
    });

    test("ends soon after SIGTERM while nothing moves, and leaves nothing that could be taken for a copy", async () => {
      await expectRecovery();
      configure({ endpoint: `http://127.0.0.1:${proxy.port}` });
      proxy.stallAfter = 2_000_000;
      let pid = 0;
      const running = sandbox.run(["backup", "daily"], { onStart: (started) => (pid = started) });
      await sleep(2500);
      process.kill(pid, "SIGTERM");
      const killedAt = performance.now();
      expect((await running).exitCode).toBe(143);
      expect(performance.now() - killedAt).toBeLessThan(30_000);
      configure();
      expect(await expectRecovery()).toBe(2);
    });
  });

  describe("to a server that fails", () => {
    let proxy: FaultyProxy;

    beforeEach(async () => {
      proxy = await startFaultyProxy(store.server.plainEndpoint);
      configure({ endpoint: proxy.endpoint });
    });
    afterEach(async () => {
      await proxy.stop();
    });

    async function backup(): Promise<void> {
      expect(await sandbox.run(["backup", "daily"])).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
    }

    test("goes on after errors 500, 503 and 429, and connections that end, at random requests", async () => {
      const faults: readonly HttpFault[] = [
        s3Answer(500, "InternalError"),
        s3Answer(503, "SlowDown", { "retry-after": "0" }),
        s3Answer(429, "TooManyRequests"),
      ];
      // What has a body can end in the middle of it.
      const endings: Readonly<Record<string, HttpFault>> = {
        UploadPart: { kind: "cut", afterBytes: 100_000 },
        PutObject: { kind: "cut", afterBytes: 10 },
        ListObjectsV2: { kind: "cut answer", afterBytes: 50 },
      };
      let met = 0;
      for (let run = 0; run < 4; run++) {
        proxy.reset();
        // Never twice in a row, so that no call is given up.
        let isSpared = true;
        proxy.meet = ({ action }) => {
          isSpared = isSpared ? Math.random() < 0.8 : true;
          if (isSpared) return undefined;
          met += 1;
          return faults[met % (faults.length + 1)] ?? endings[action];
        };
        await backup();
      }
      expect(met).toBeGreaterThan(5);
      // An upload whose beginning was answered by nobody is swept by the next run to the same place.
      proxy.reset();
      await backup();
      configure();
      expect(await expectRecovery()).toBe(6);
    });

    test.each(["CompleteMultipartUpload", "PutObject", "UploadPart"])(
      "knows its own work when the answer to %s is lost",
      async (action) => {
        proxy.meet = breaking(action, { kind: "lose answer" }, 1);
        await backup();
        expect(proxy.seen.filter((each) => each.action === action).length).toBeGreaterThan(0);
        configure();
        expect(await expectRecovery()).toBe(2);
      },
    );

    test("stores nothing when its credentials expire half way", async () => {
      await expectRecovery();
      proxy.reset();
      proxy.meet = ({ action, nth }) =>
        action === "UploadPart" && nth >= 2 ? s3Answer(400, "ExpiredToken") : undefined;
      const result = await sandbox.run(["backup", "daily"]);
      expect(result.exitCode).toBe(77);
      expectOneLine(result);
      configure();
      expect(await copiesStored()).toHaveLength(1);
      expect(await expectRecovery()).toBe(2);
    });
  });

  describe("by a host that may not delete", () => {
    let proxy: FaultyProxy;

    beforeEach(async () => {
      proxy = await startFaultyProxy(store.server.plainEndpoint);
      proxy.meet = breaking("DeleteObject", s3Answer(403, "AccessDenied"));
    });
    afterEach(async () => {
      await proxy.stop();
    });

    /** Through the proxy, with two copies that stay. */
    function guard(destination: Readonly<Record<string, string>> = {}): void {
      configure(
        { endpoint: proxy.endpoint },
        { destination: { backup_destination: "s3", ...destination }, retention: { daily_copies: 2 } },
      );
    }

    test("keeps what it may not remove, and says so", async () => {
      guard();
      for (let run = 1; run <= 3; run++) {
        const { exitCode, stdout, stderr } = await sandbox.run(["backup", "daily"]);
        expect([exitCode, stdout]).toEqual([0, ""]);
        expect(stderr).toMatch(
          run < 3 ? /^$/ : /^[^\n]* WARNING: "[^"]+" cannot be removed yet and stays recorded.*\n$/,
        );
        expect(await ownCopies()).toHaveLength(run);
      }
      const { exitCode, stdout } = await sandbox.run(["check", "--destination"]);
      expect([exitCode, stdout]).toEqual([0, expect.stringMatching(/^delete +warning +not permitted/m)]);
    });

    test("is silent where another host removes, which loses nothing", async () => {
      guard({ remove_expired: "no" });
      for (let run = 1; run <= 4; run++) {
        expect(await sandbox.run(["backup", "daily"])).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
      }
      const all = await ownCopies();
      expect(all).toHaveLength(4);
      configure({}, { retention: { daily_copies: 2 } });
      const expiry = ["expire", "--hostname", hostOf(), "--lock-file", sandbox.path("expire.lock")];
      expect(await sandbox.run(expiry)).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
      guard({ remove_expired: "no" });
      expect((await ownCopies()).map(({ key }) => key)).toEqual(all.slice(2).map(({ key }) => key));
      expect(await sandbox.run(["backup", "daily"])).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
      configure();
      expect(await expectRecovery()).toBe(4);
    });
  });

  test.each([
    ["a key that is wrong", 77, { aws_secret_access_key: "wrong/wrong/wrong" }],
    ["a user nobody knows", 77, { aws_access_key_id: "NOBODY0NOBODY0" }],
    ["a bucket that is not there", 78, { bucket: "nowhere-to-be-found" }],
    ["no right to write", 77, { aws_access_key_id: READER.accessKeyId, aws_secret_access_key: READER.secretAccessKey }],
    ["no right to list", 77, { aws_access_key_id: LOADER.accessKeyId, aws_secret_access_key: LOADER.secretAccessKey }],
  ])("says in one line what is wrong with %s", async (_what, exitCode, s3) => {
    configure(s3);
    const result = await sandbox.run(["backup", "daily"]);
    expect(result.exitCode).toBe(exitCode);
    expectOneLine(result);
    expect(result.stderr).not.toMatch(/wrong\/wrong|secret\+of/);
    expect([await copiesStored(), await unfinished(), await marks()]).toEqual([[], [], []]);
  });
});

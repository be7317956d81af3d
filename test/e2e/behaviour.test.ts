import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { filesBelow } from "../support/leftovers.ts";
import { copiesOf, type Row, restored } from "../support/listed.ts";

let sandbox: Sandbox;
let source: string;

type Sections = Readonly<Record<string, Readonly<Record<string, string | number>>>>;

beforeEach(() => {
  sandbox = new Sandbox();
  source = sandbox.directory("source");
  writeFileSync(join(source, "text"), "text\n".repeat(100_000));
  configure({});
});
afterEach(() => sandbox[Symbol.dispose]());

function configure(more: Sections): void {
  sandbox.configure({
    source: { backup_dirs: source },
    destination: { backup_destination: "local" },
    local: { backup_dir: sandbox.copies },
    compression: { program: "zstd" },
    ...more,
  });
}

async function backup(): Promise<void> {
  expect(await sandbox.run(["backup", "daily"])).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
}

function makeKey(name: string, user: string): string {
  const home = sandbox.directory(name);
  execFileSync("chmod", ["700", home]);
  const args = [
    "--homedir",
    home,
    "--batch",
    "--quiet",
    "--passphrase",
    "",
    "--quick-gen-key",
    user,
    "default",
    "default",
    "never",
  ];
  execFileSync("gpg", args, { stdio: "ignore" });
  return home;
}

function stopAgent(home: string): void {
  execFileSync("gpgconf", ["--homedir", home, "--kill", "all"]);
}

test("copies are decoded by what they are, whatever the config says today", async () => {
  const home = makeKey("gnupg", "backup@example.org");
  const gpg = { recipient: "backup@example.org", homedir: home };
  for (const program of ["gzip", "bzip2", "zstd", "xz", "lz4", "none"]) {
    configure({ compression: { program }, gpg });
    await backup();
    configure({ compression: { program } });
    await backup();
  }
  configure({ compression: { program: "pigz" }, gpg });
  const copies = await copiesOf(sandbox);
  expect(copies).toHaveLength(7);
  configure({ compression: { program: "none" }, gpg: { homedir: home } });
  for (const { key } of copies) expect(await restored(sandbox, key, source)).toEqual([]);
  expect((await sandbox.run(["verify", "file", "all"])).exitCode).toBe(0);
  stopAgent(home);
});

/** Path of the stored bytes of a listed copy. */
function objectOf(row: Row | undefined): string {
  return sandbox.path("copies", row?.key ?? "");
}

describe("verify file", () => {
  test("finds a flipped bit, a cut end and a missing object, and says so ever after", async () => {
    for (let run = 0; run < 4; run++) await backup();
    const [first, second, third] = await copiesOf(sandbox);
    const flip = readFileSync(objectOf(first));
    flip[100] = (flip[100] ?? 0) ^ 1;
    writeFileSync(objectOf(first), flip);
    execFileSync("truncate", ["-s", "-1", objectOf(second)]);
    rmSync(objectOf(third));
    const result = await sandbox.run(["verify", "file", "all", "--json"]);
    expect(result.exitCode).toBe(65);
    expect((JSON.parse(result.stdout) as { success: boolean }[]).map(({ success }) => success)).toEqual([
      false,
      false,
      false,
      true,
    ]);
    const states = (await copiesOf(sandbox)).map(({ state }) => state);
    expect(states).toEqual(["broken", "resized", "gone", "verified"]);
  });

  test("takes the latest of each directory, and exits 66 for a copy that is not there", async () => {
    await backup();
    await backup();
    const result = await sandbox.run(["verify", "file", "latest"]);
    expect(result.exitCode).toBe(0);
    expect(result.stdout.trim().split("\n")).toHaveLength(2);
    expect((await sandbox.run(["verify", "file", "nothing"])).exitCode).toBe(66);
  });
});

describe("restore file", () => {
  test("takes the latest sound copy of one directory, and does not choose between directories", async () => {
    configure({ source: { backup_dirs: `${source} ${sandbox.directory("other")}` } });
    await backup();
    const refused = await sandbox.run(["restore", "file", "latest", "--dst", sandbox.path("target")]);
    expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('Cannot choose "latest"') });
    const [first, ...others] = await copiesOf(sandbox);
    expect(others).toHaveLength(1);
    for (const copy of [first, ...others]) expect(refused.stderr).toContain(copy?.key);
    for (const { key } of others) await sandbox.run(["mark", key, "--broken", "--reason", "a test"]);
    expect(await sandbox.run(["restore", "file", "latest", "--dst", sandbox.path("target")])).toMatchObject({
      exitCode: 0,
      stderr: "",
    });
    await sandbox.run(["mark", first?.key ?? "", "--broken", "--reason", "a test"]);
    expect(await sandbox.run(["restore", "file", "latest", "--dst", sandbox.path("again")])).toMatchObject({
      exitCode: 66,
      stderr: expect.stringContaining("all that it has are broken"),
    });
  });

  test("refuses damaged data and leaves the target as it was", async () => {
    await backup();
    const [copy] = await copiesOf(sandbox);
    const path = sandbox.path("copies", copy?.key ?? "");
    const damaged = readFileSync(path);
    damaged[damaged.length - 20] = (damaged[damaged.length - 20] ?? 0) ^ 1;
    writeFileSync(path, damaged);
    const target = sandbox.directory("target");
    const result = await sandbox.run(["restore", "file", copy?.key ?? "", "--dst", target]);
    expect([1, 65]).toContain(result.exitCode);
    expect(readdirSync(target)).toEqual([]);
  });

  test("brings one path back, and exits 66 for one that is not in the copy", async () => {
    mkdirSync(join(source, "sub dir"));
    writeFileSync(join(source, "sub dir", "wanted"), "here");
    await backup();
    const [copy] = await copiesOf(sandbox);
    const target = sandbox.path("target");
    const one = ["restore", "file", copy?.key ?? "", "--dst", target, "--path", join(source, "sub dir")];
    expect(await sandbox.run(one)).toMatchObject({ exitCode: 0, stdout: "" });
    expect(filesBelow(target)).toEqual([join(source, "sub dir", "wanted").slice(1)]);
    const other = await sandbox.run([
      "restore",
      "file",
      copy?.key ?? "",
      "--dst",
      sandbox.path("two"),
      "--path",
      "/none",
    ]);
    expect(other.exitCode).toBe(66);
    expect(readdirSync(sandbox.root)).not.toContain("two");
  });

  test("refuses a target that holds anything, and names a missing copy", async () => {
    await backup();
    const [copy] = await copiesOf(sandbox);
    const full = await sandbox.run(["restore", "file", copy?.key ?? "", "--dst", source]);
    expect(full.exitCode).toBe(2);
    expect(full.stderr).toContain(`Cannot restore into "${source}"`);
    expect((await sandbox.run(["restore", "file", "db9/daily/files/none", "--dst", sandbox.path("t")])).exitCode).toBe(
      66,
    );
  });

  test("reads a copy kept on this host by its path", async () => {
    configure({ destination: { backup_destination: "local", keep_local_path: sandbox.path("kept") } });
    await backup();
    const [kept] = filesBelow(sandbox.path("kept"));
    expect(await restored(sandbox, sandbox.path("kept", kept ?? ""), source)).toEqual([]);
  });
});

describe("the status", () => {
  const files = (): string[] => filesBelow(sandbox.copies).filter((path) => path.includes("status"));

  test("is rebuilt when all its files are deleted", async () => {
    for (let run = 0; run < 3; run++) await backup();
    const before = await copiesOf(sandbox);
    for (const path of files()) rmSync(sandbox.path("copies", path));
    const result = await sandbox.run(["status", "rebuild"]);
    expect(result.exitCode).toBe(0);
    expect(result.stdout).toContain("files: 3 copies");
    expect(await copiesOf(sandbox)).toEqual(before);
  });

  test("is recovered by a backup that then deletes nothing and exits 65", async () => {
    configure({ retention: { daily_copies: 1 } });
    await backup();
    const [host = ""] = readdirSync(sandbox.copies);
    writeFileSync(sandbox.path("copies", host, "files-status"), "{");
    const result = await sandbox.run(["backup", "daily"]);
    expect(result.exitCode).toBe(65);
    expect(await copiesOf(sandbox)).toHaveLength(2);
    await backup();
    expect(await copiesOf(sandbox)).toHaveLength(1);
  });

  test("takes up the files copies of the predecessor, which then expire", async () => {
    await backup();
    const [own] = await copiesOf(sandbox);
    const [host = ""] = own?.key.split("/") ?? [];
    const name = `${source.replaceAll("/", "_")}-2019-03-04_05_06_07.tar.gz`;
    // The predecessor's archives hold whole seconds.
    execFileSync("touch", ["-d", "2019-03-04 05:00:00", join(source, "text"), source]);
    const old = sandbox.path("copies", host, "daily", "files", name);
    execFileSync("tar", ["czf", old, "-C", "/", source.slice(1)]);
    for (const path of [...files(), ...filesBelow(sandbox.copies).filter((each) => each.includes("manifest"))]) {
      rmSync(sandbox.path("copies", path));
    }
    expect((await copiesOf(sandbox)).map(({ key }) => key)).toContain(`${host}/daily/files/${name}`);
    expect(await restored(sandbox, name, source)).toEqual([]);
    configure({ retention: { daily_copies: 2 } });
    await backup();
    expect((await copiesOf(sandbox)).map(({ key }) => key)).not.toContain(`${host}/daily/files/${name}`);
  });
});

describe("the lock", () => {
  test("makes a second run exit with 75 after its time", async () => {
    const slow = sandbox.directory("slow");
    execFileSync("bash", ["-c", `head -c 200000000 /dev/urandom > ${slow}/noise`]);
    configure({ source: { backup_dirs: slow }, compression: { program: "xz", level: 9 } });
    let pid = 0;
    const first = sandbox.run(["backup", "daily"], { onStart: (started) => (pid = started) });
    await sleep(1000);
    const second = await sandbox.run(["backup", "daily", "--wait", "1"]);
    expect(second.exitCode).toBe(75);
    expect(second.stderr).toContain("still held it after 1 seconds");
    process.kill(pid, "SIGKILL");
    await first;
    configure({});
    await backup();
  });

  test("lets a second run wait for the first", async () => {
    const results = await Promise.all([1, 2, 3].map(() => sandbox.run(["backup", "daily", "--wait", "60"])));
    expect(results.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0]);
    expect(await copiesOf(sandbox)).toHaveLength(3);
  });
});

test("a run type that is turned off does nothing", async () => {
  configure({
    intervals: { run_hourly: "no", run_daily: "yes", run_weekly: "yes", run_monthly: "yes", run_yearly: "yes" },
  });
  expect(await sandbox.run(["backup", "hourly"])).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
  expect(filesBelow(sandbox.copies)).toEqual([]);
});

test("a run appends to the log of measures", async () => {
  await backup();
  await backup();
  const { measures } = JSON.parse(readFileSync(sandbox.path("measures.log"), "utf8")) as {
    measures: Record<string, number>[];
  };
  expect(measures).toHaveLength(2);
  expect(Object.keys(measures[0] ?? {}).toSorted()).toEqual(["duration", "finish", "start"]);
});

test("copies, status and directories are private", async () => {
  await backup();
  for (const path of readdirSync(sandbox.copies, { recursive: true, encoding: "utf8" })) {
    expect(statSync(sandbox.path("copies", path)).mode & 0o077).toBe(0);
  }
});

test("check finds nothing wrong after a backup, and names a destination that cannot be written", async () => {
  await backup();
  const good = await sandbox.run(["check", "--json"]);
  expect(good.exitCode).toBe(0);
  expect((JSON.parse(good.stdout) as { result: string }[]).map(({ result }) => result)).not.toContain("failed");
  expect(filesBelow(sandbox.copies).filter((path) => path.includes("check"))).toEqual([]);
  writeFileSync(sandbox.path("file"), "");
  configure({ local: { backup_dir: sandbox.path("file") } });
  const bad = await sandbox.run(["check"]);
  expect(bad.exitCode).not.toBe(0);
  expect(bad.stdout).toContain("failed");
});

test("init writes a config that works, once", async () => {
  rmSync(sandbox.configPath);
  const words = ["init", "--dst", sandbox.copies, "--source", source];
  expect((await sandbox.run(words)).exitCode).toBe(0);
  expect(statSync(sandbox.configPath).mode & 0o777).toBe(0o600);
  expect((await sandbox.run(["backup", "daily"])).exitCode).toBe(0);
  expect((await sandbox.run(words)).exitCode).toBe(78);
});

describe("a canary in every key that holds a secret", () => {
  const canary = "canary7f3b1c";

  test("is never printed, logged, stored or put on a command line", async () => {
    configure({
      s3: {
        bucket: "b",
        aws_access_key_id: `${canary}-1`,
        aws_secret_access_key: `${canary}%2/+=`,
        sse: "customer",
        sse_customer_key: `${canary.padEnd(43, "7")}=`,
      },
      gcs: { bucket: "b", gc_encryption_key: `${canary.padEnd(43, "3")}=` },
      az: { connection_string: `AccountKey=${canary}-4;x=y`, container_name: "c" },
      export: { transport: "datadog", app_key: `${canary}-5`, api_key: `${canary}-6` },
    });
    const lines = new Set<string>();
    const timer = setInterval(() => {
      for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
        try {
          lines.add(readFileSync(`/proc/${pid}/cmdline`, "utf8"));
        } catch {
          // Gone between the two looks.
        }
      }
    }, 5);
    const outputs: string[] = [];
    const commands = [
      ["backup", "daily"],
      ["ls"],
      ["ls", "--json"],
      ["status", "--type", "files"],
      ["verify", "file", "all"],
      ["check"],
      ["status", "rebuild"],
    ];
    for (const words of commands) {
      const result = await sandbox.run([
        "--debug",
        ...words,
        ...(words[0] === "backup" ? ["--lock-file", sandbox.lock] : []),
      ]);
      expect(result.exitCode).toBe(0);
      outputs.push(result.stdout, result.stderr);
    }
    clearInterval(timer);
    const stored = filesBelow(sandbox.root).filter((path) => !path.endsWith("twindb-backup.cfg"));
    const texts = [...outputs, ...lines, ...stored.map((path) => readFileSync(sandbox.path(path), "latin1"))];
    expect(lines.size).toBeGreaterThan(5);
    for (const text of texts) {
      expect(text).not.toContain(canary);
      expect(Buffer.from(text, "base64").toString("latin1")).not.toContain(canary);
    }
  });
});

describe("the command line", () => {
  test("prints help and exits 255 without a command, 2 for nonsense", async () => {
    const program = new URL("../../bin/twindb-backup", import.meta.url).pathname;
    const none = spawn(program, [], { stdio: "ignore" });
    expect(await new Promise((resolve) => none.once("close", resolve))).toBe(255);
    expect((await sandbox.run(["backup", "fortnightly"])).exitCode).toBe(2);
    expect((await sandbox.run(["dance"])).exitCode).toBe(2);
    expect((await sandbox.run(["backup", "--help"])).exitCode).toBe(0);
    expect((await sandbox.run(["--version"])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test("works through a link, from another directory, with another Node in the path", async () => {
    const away = mkdtempSync(join(sandbox.root, "away-"));
    execFileSync("ln", [
      "-s",
      new URL("../../bin/twindb-backup", import.meta.url).pathname,
      join(away, "twindb-backup"),
    ]);
    writeFileSync(join(away, "node"), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
    const env = { PATH: `${away}:/usr/bin:/bin` };
    expect(execFileSync("twindb-backup", ["--version"], { cwd: "/", env, encoding: "utf8" })).toMatch(/^\d/);
  });

  test.each([
    ["missing", (): void => rmSync(sandbox.configPath)],
    ["world-writable", (): void => void execFileSync("chmod", ["666", sandbox.configPath])],
    ["misspelt", (): void => configure({ retention: { dialy_copies: 3 } })],
  ])("exits 78 and touches nothing when the config is %s", async (_name, spoil) => {
    spoil();
    for (const words of [["backup", "daily"], ["ls"], ["check"]]) {
      const result = await sandbox.run(words);
      expect(result.exitCode).toBe(78);
      expect(result.stdout).toBe("");
    }
    expect(
      filesBelow(sandbox.root).filter((path) => path !== "twindb-backup.cfg" && !path.startsWith("source")),
    ).toEqual([]);
  });
});

import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Result, Sandbox } from "../support/cli.ts";
import { filesBelow } from "../support/leftovers.ts";
import { copiesOf, restored } from "../support/listed.ts";

const PROGRAM = new URL("../../bin/twindb-backup", import.meta.url).pathname;
const NOBODY = 65_534;
const AS_NOBODY = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];

let sandbox: Sandbox;
let source: string;

type Sections = Readonly<Record<string, Readonly<Record<string, string | number>>>>;

function configure(sections: Sections = {}): void {
  sandbox.configure({
    source: { backup_dirs: source },
    destination: { backup_destination: "local" },
    local: { backup_dir: sandbox.copies },
    ...sections,
  });
}

beforeEach(() => {
  sandbox = new Sandbox();
  source = sandbox.directory("source");
  writeFileSync(join(source, "text"), "hello\n");
  configure();
});
afterEach(() => sandbox[Symbol.dispose]());

async function backup(): Promise<string> {
  expect(await sandbox.run(["backup", "daily"])).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
  const copies = await copiesOf(sandbox);
  return copies.at(-1)?.key ?? "";
}

/** A failure is one line that says what is wrong and what to do. */
function expectRefusal(result: Result, status: number, words: string): void {
  expect(result.stderr).toContain(words);
  expect(result.stderr).toMatch(/^twindb-backup: Cannot [^\n]+[.?] [A-Z][^\n]+\.\n$/);
  expect(result).toMatchObject({ exitCode: status, stdout: "" });
}

/** Run a line of shell in which $TB is the program with its config. */
function shell(line: string): { status: number | null; stdout: string; stderr: string } {
  const TB = `${PROGRAM} --config ${sandbox.configPath}`;
  return spawnSync("bash", ["--norc", "-c", line], {
    encoding: "utf8",
    cwd: sandbox.root,
    env: { PATH: "/usr/bin:/bin", TB },
  });
}

describe("a mistake on the command line is one line and exits 2:", () => {
  test.each([
    ["dance", "unknown command 'dance'"],
    ["backup", "missing required argument 'run-type'"],
    ["backup dayly", "'dayly' is invalid"],
    ["backup daily --wait soon", '"soon" is not a whole number of seconds'],
    ["backup daily extra", "too many arguments"],
    ["ls --jsn", "Did you mean --json?"],
    ["restore fil x", "Did you mean file?"],
    ["restore file", "missing required argument 'copy'"],
    ["status rebuild --hostname ../db1", 'it holds a "/"'],
    ["ls --host ..", '".." is no name of a host'],
  ])("%s", async (line, words) => {
    expectRefusal(await sandbox.run(line.split(" ")), 2, words);
  });

  test("a group without its command prints its help", async () => {
    const result = await sandbox.run(["restore"]);
    expect(result).toMatchObject({ exitCode: 2, stdout: "" });
    expect(result.stderr).toContain("Usage: twindb-backup restore");
  });
});

describe("a mistake in the config is one line with its number, and exits 78:", () => {
  const text = (): string => readFileSync(sandbox.configPath, "utf8");

  test.each([
    ["a misspelt section", () => text().replace("[source]", "[sources]"), "did you mean [source]?"],
    ["a misspelt key", () => text().replace("backup_dirs", "backup_dir"), "line 6: [source] backup_dir"],
    ["a relative destination", () => text().replace(sandbox.copies, "copies"), '"copies" is not an absolute path'],
    [
      "an unknown kind",
      () => text().replace("= local", "= sftp").replace("=local", "=sftp"),
      '"sftp" is none of local',
    ],
    [
      "a kind whose section lacks something",
      () => `${text().replace("=local", "=s3")}[s3]\nprefix=p\n`,
      "[s3] bucket: it is missing",
    ],
    ["a missing directory", () => text().replace(source, "/nowhere/at/all"), 'Cannot copy "/nowhere/at/all"'],
  ])("%s", async (_name, change, words) => {
    writeFileSync(sandbox.configPath, change());
    expectRefusal(await sandbox.run(["backup", "daily"]), 78, words);
  });

  test("a program that is not installed", async () => {
    configure({ compression: { program: "zstd" } });
    const line = `mount --bind /dev/null /usr/bin/zstd; $TB backup daily --lock-file ${sandbox.lock}`;
    const { status, stderr } = shell(`unshare --mount sh -c '${line}'`);
    expect(stderr).toContain('Cannot run "zstd": it is not installed');
    expect(status).toBe(78);
  });
});

test("what is odd in the config is told by backup and check, and does not disturb a restore", async () => {
  configure({ retention: { daily_copies: 0 } });
  const told = await sandbox.run(["backup", "daily"]);
  expect(told.stderr).toMatch(/WARNING: .*twindb-backup\.cfg: line \d+: \[retention\] daily_copies/);
  const checked = await sandbox.run(["check"]);
  expect(checked).toMatchObject({ exitCode: 0, stderr: "" });
  expect(checked.stdout).toMatch(/^config +warning +.*daily_copies/m);
  const [copy] = await copiesOf(sandbox);
  expect(await restored(sandbox, copy?.key ?? "", source)).toEqual([]);
});

describe("restore file", () => {
  test("says which target it wants, and touches no other", async () => {
    const key = await backup();
    const file = sandbox.path("source", "text");
    const restore = (...words: string[]) => sandbox.run(["restore", "file", ...words]);
    expectRefusal(await restore(key, "--dst", source), 2, 'it holds "text"');
    expectRefusal(await restore(key, "--dst", file), 2, "it is not a directory");
    expectRefusal(await restore(key, "--dst", join(file, "below")), 1, "a part of the path is not a directory");
    expectRefusal(await restore(key, "--dst", "/proc/nowhere/target"), 1, 'Cannot restore into "/proc/nowhere/target"');
    expect(readdirSync(source)).toEqual(["text"]);
  });

  test("names the copy that is not there, and the command that lists copies", async () => {
    const key = await backup();
    const wrong = await sandbox.run(["restore", "file", key.replace("daily", "hourly"), "--dst", sandbox.path("t")]);
    expectRefusal(wrong, 66, 'Run "twindb-backup ls"');
    expect(existsSync(sandbox.path("t"))).toBe(false);
  });

  test("brings back the copy of another host, and wants the key in full where two hosts have the name", async () => {
    const key = await backup();
    const [host = ""] = key.split("/");
    execFileSync("cp", ["-r", join(sandbox.copies, host), join(sandbox.copies, "db9")]);
    for (const name of filesBelow(join(sandbox.copies, "db9"))) {
      if (!name.startsWith("daily/")) execFileSync("rm", [join(sandbox.copies, "db9", name)]);
    }
    expect(await restored(sandbox, key.replace(host, "db9"), source)).toEqual([]);
    const name = key.split("/").at(-1) ?? "";
    expectRefusal(await sandbox.run(["restore", "file", name, "--dst", sandbox.path("t")]), 2, "2 copies have it");
  });
});

describe("output", () => {
  test("a reader that leaves is no failure", async () => {
    await backup();
    expect(shell("set -o pipefail; $TB ls --json | head -1")).toMatchObject({ status: 0, stdout: "{\n", stderr: "" });
  });

  test("a listing that is lost is a failure", async () => {
    await backup();
    const { status, stderr } = shell("$TB ls > /dev/full");
    expect(stderr).toContain("no space is left on the disk");
    expect(status).toBe(1);
  });

  test("a backup without any standard stream works", async () => {
    expect(shell(`$TB backup daily --lock-file ${sandbox.lock} <&- >&- 2>&-`)).toMatchObject({ status: 0 });
    expect(await copiesOf(sandbox)).toHaveLength(1);
    expect(shell("$TB --config nowhere ls 2>&-").status).toBe(78);
  });

  test("an empty destination lists as nothing", async () => {
    expect(await sandbox.run(["ls"])).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
    expect(JSON.parse((await sandbox.run(["ls", "--json"])).stdout)).toMatchObject({ copies: [] });
  });
});

describe("the environment", () => {
  test("may be as empty as that of cron", async () => {
    const line = `$TB backup daily --lock-file ${sandbox.lock}`;
    expect(shell(`env -i TB="$TB" /bin/sh -c '${line}'`)).toMatchObject({ status: 0, stdout: "", stderr: "" });
    expect(shell("env -i $TB check").status).toBe(0);
  });

  test("may have any locale and time zone", async () => {
    for (const TZ of ["Asia/Kathmandu", "Nowhere/Bad", ":", ""]) {
      const env = { TZ, LC_ALL: "xx_XX.bad" };
      expect(await sandbox.run(["backup", "daily"], { env })).toMatchObject({ exitCode: 0, stderr: "" });
    }
    const keys = (await copiesOf(sandbox)).map(({ key }) => key);
    expect(keys).toHaveLength(4);
    expect(new Set(keys).size).toBe(4);
  });

  test("may name the program by a link to a link, and the config by a relative path", async () => {
    await backup();
    symlinkSync(PROGRAM, sandbox.path("tb"));
    symlinkSync("tb", sandbox.path("tb2"));
    expect(shell("./tb2 ls --config twindb-backup.cfg").stdout).toContain("/daily/files/");
    expect(shell("PATH=$PWD:$PATH; cd /; tb2 --config $OLDPWD/twindb-backup.cfg ls").stdout).toContain("/daily/files/");
  });
});

describe("another user than root", () => {
  const asNobody = (args: readonly string[]) => sandbox.run(args, { wrapper: AS_NOBODY });

  test("is told what he may not", async () => {
    const key = await backup();
    expectRefusal(await asNobody(["ls"]), 78, "Run the command as root.");
    chmodSync(sandbox.root, 0o755);
    expectRefusal(await asNobody(["ls"]), 78, "reading it is not permitted");
    chownSync(sandbox.configPath, NOBODY, NOBODY);
    expectRefusal(
      await asNobody(["ls"]),
      77,
      `Give the user that runs twindb-backup write access to "${sandbox.copies}"`,
    );
    expectRefusal(await asNobody(["backup", "daily"]), 77, "Cannot lock");
    execFileSync("chmod", ["-R", "a+rX", sandbox.copies]);
    const target = sandbox.path("nobody");
    expectRefusal(await asNobody(["restore", "file", key, "--dst", target]), 77, "permission is denied");
    mkdirSync(target);
    chownSync(target, NOBODY, NOBODY);
    expect(await asNobody(["restore", "file", key, "--dst", target])).toMatchObject({ exitCode: 0, stderr: "" });
    expect(readFileSync(join(target, source, "text"), "utf8")).toBe("hello\n");
  });

  test("verifies copies that he may only read, and says that nothing is recorded", async () => {
    await backup();
    chmodSync(sandbox.root, 0o755);
    execFileSync("chmod", ["-R", "a+rX", sandbox.copies]);
    chownSync(sandbox.configPath, NOBODY, NOBODY);
    const result = await asNobody(["verify", "file", "latest"]);
    expect(result.stdout).toMatch(/^RESULT .*\nok /);
    expect(result.stderr).toContain("WARNING: the result is not recorded");
    expect(result.exitCode).toBe(0);
  });
});

test("a destination on a read-only file system is named as such, and still restores", async () => {
  const key = await backup();
  const mount = `mount --bind ${sandbox.copies} ${sandbox.copies}; mount -o remount,ro,bind ${sandbox.copies}`;
  const within = (line: string) => shell(`unshare --mount sh -c '${mount}; ${line}'`);
  const failed = within(`$TB backup daily --lock-file ${sandbox.lock}`);
  expect(failed.stderr).toContain("is on a read-only file system. Find out why");
  expect(failed.status).toBe(77);
  expect(within(`$TB restore file ${key} --dst ${sandbox.path("back")}`)).toMatchObject({ status: 0, stderr: "" });
  expect(readFileSync(join(sandbox.path("back"), source, "text"), "utf8")).toBe("hello\n");
});

test("status rebuild takes --hostname for its own, and gives a misspelt host no files", async () => {
  const key = await backup();
  const [host = ""] = key.split("/");
  expectRefusal(await sandbox.run(["status", "rebuild", "--hostname", "db8"]), 66, "nothing of it is on");
  expect(readdirSync(sandbox.copies)).toEqual([host]);
  expect((await sandbox.run(["status", "rebuild", "--hostname", host])).stdout).toContain("files: 1 copy");
});

test("a backup removes what a killed one left among the temporary files", async () => {
  const place = sandbox.directory("tmp");
  const { machineId } = await import("../../src/lib/process-identity.ts");
  const { pid } = spawnSync("true");
  const left = (kind: string, by: number) => join(place, `twindb-backup-${kind}-${machineId()}-${by}-1234-0123abcd`);
  for (const kind of ["pipes", "gnupg"]) mkdirSync(left(kind, pid), { mode: 0o700 });
  mkdirSync(join(place, "twindb-backup-pipes-mine"));
  expect(await sandbox.run(["backup", "daily"], { env: { TMPDIR: place } })).toMatchObject({ exitCode: 0, stderr: "" });
  expect(readdirSync(place)).toEqual(["twindb-backup-pipes-mine"]);
});

test("restore into a disk that is too small says so, and leaves nothing there", async () => {
  writeFileSync(join(source, "large"), Buffer.alloc(3_000_000, "x"));
  const key = await backup();
  const small = sandbox.directory("small");
  const mount = `mount -t tmpfs -o size=1m none ${small}`;
  const line = `$TB restore file ${key} --dst ${small}/back; status=$?; ls -A ${small}; exit $status`;
  const { status, stdout, stderr } = shell(`unshare --mount sh -c '${mount}; ${line}'`);
  expect(stderr).toContain(
    `Cannot restore into "${small}/back": no space is left there. Name a directory on a larger disk`,
  );
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
});

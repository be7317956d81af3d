import { randomInt } from "node:crypto";
import { existsSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { hasMariadb, type Mariadb, startMariadb } from "../support/servers/mariadb.ts";

type Verified = { readonly backup_copy: string; readonly success: boolean };

const TIMES = 50;

let server: Mariadb;
let sandbox: Sandbox;
/** A full copy, two increments on it, and another full copy. */
let keys: string[];
let contents: Map<string, Buffer>;

async function take(...args: readonly string[]): Promise<void> {
  expect(await sandbox.run(["backup", ...args])).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
}

beforeAll(async () => {
  if (!hasMariadb()) return;
  sandbox = new Sandbox();
  server = await startMariadb();
  await server.sql("create database shop; create table shop.t (id int primary key auto_increment, t varchar(100))");
  sandbox.configure({
    source: { backup_mysql: "yes" },
    destination: { backup_destination: "local" },
    local: { backup_dir: sandbox.copies },
    mysql: { mysql_defaults_file: server.defaultsFile, full_backup: "daily", incremental_from: "last" },
    compression: { program: "zstd", threads: 1 },
  });
  for (const args of [["daily"], ["hourly"], ["hourly"], ["daily"]]) {
    await server.sql("use shop; insert into shop.t (t) select md5(seq) from seq_1_to_1000");
    await take(...args);
  }
  const listed = JSON.parse((await sandbox.run(["ls", "--type", "mysql", "--json"])).stdout) as {
    copies: { key: string }[];
  };
  keys = listed.copies.map(({ key }) => key).sort((left, right) => (nameOf(left) < nameOf(right) ? -1 : 1));
  contents = new Map(keys.map((key) => [key, readFileSync(pathOf(key))]));
});

afterAll(async () => {
  await server?.stop();
  sandbox?.[Symbol.dispose]();
});

let status: Buffer;
beforeEach(() => {
  status = readFileSync(sandbox.path("copies", hostOf(), "status"));
});
afterEach(() => {
  for (const [key, content] of contents) writeFileSync(pathOf(key), content);
  writeFileSync(sandbox.path("copies", hostOf(), "status"), status);
});

function nameOf(key: string): string {
  return key.slice(key.lastIndexOf("/") + 1);
}

function hostOf(): string {
  return keys[0]?.split("/")[0] ?? "";
}

function pathOf(key: string | undefined): string {
  return sandbox.path("copies", key ?? "");
}

/** Verify says which copy it is, restore refuses, and nothing appears where it was to go. */
async function expectRefused(key: string): Promise<void> {
  const target = sandbox.path("target");
  const verified = await sandbox.run(["verify", "mysql", key, "--level", "checksum", "--json"]);
  expect(verified.exitCode).toBe(65);
  expect(JSON.parse(verified.stdout)).toMatchObject({ backup_copy: key, success: false });
  const restored = await sandbox.run(["restore", "mysql", key, "--dst", target]);
  expect(restored.exitCode).toBe(65);
  expect(restored.stderr).toContain(key);
  expect(existsSync(target)).toBe(false);
}

describe.skipIf(!hasMariadb())("a damaged copy of MySQL", () => {
  test(`is refused when it is cut, at ${TIMES} places`, async () => {
    for (let time = 0; time < TIMES; time++) {
      const key = keys[time % keys.length] ?? "";
      truncateSync(pathOf(key), randomInt(0, contents.get(key)?.length ?? 1));
      await expectRefused(key);
      writeFileSync(pathOf(key), contents.get(key) ?? "");
    }
  });

  test(`is refused when a bit is flipped, at ${TIMES} places`, async () => {
    for (let time = 0; time < TIMES; time++) {
      const key = keys[time % keys.length] ?? "";
      const content = Buffer.from(contents.get(key) ?? "");
      const at = randomInt(0, content.length);
      content[at] = (content[at] ?? 0) ^ (1 << randomInt(0, 8));
      writeFileSync(pathOf(key), content);
      await expectRefused(key);
      writeFileSync(pathOf(key), contents.get(key) ?? "");
    }
  });

  test("is refused when it is empty, and when two have changed places", async () => {
    for (const key of keys) {
      writeFileSync(pathOf(key), "");
      await expectRefused(key);
      writeFileSync(pathOf(key), contents.get(key) ?? "");
    }
    const [first = "", , , last = ""] = keys;
    renameSync(pathOf(first), sandbox.path("hold"));
    renameSync(pathOf(last), pathOf(first));
    renameSync(sandbox.path("hold"), pathOf(last));
    await expectRefused(first);
    await expectRefused(last);
  });

  test("takes its increments with it, and is the one that is named", async () => {
    const [full = "", first = "", second = "", other = ""] = keys;
    rmSync(pathOf(full));
    for (const key of [first, second]) {
      const target = sandbox.path("target");
      const restored = await sandbox.run(["restore", "mysql", key, "--dst", target]);
      expect([65, 66]).toContain(restored.exitCode);
      expect(restored.stderr).toContain(full);
      expect(existsSync(target)).toBe(false);
    }
    const latest = await sandbox.run(["restore", "mysql", "latest", "--dst", sandbox.path("target"), "--dry-run"]);
    expect(latest.exitCode).toBe(0);
    expect(latest.stdout).toContain(other);
  });

  test("is found by verify all, and it alone", async () => {
    const [, , , other = ""] = keys;
    const content = Buffer.from(contents.get(other) ?? "");
    content[content.length >> 1] = (content[content.length >> 1] ?? 0) ^ 1;
    writeFileSync(pathOf(other), content);
    const result = await sandbox.run(["verify", "mysql", "all", "--level", "boot", "--json"]);
    expect(result.exitCode).toBe(65);
    const found = JSON.parse(result.stdout) as Verified[];
    expect(found.filter(({ success }) => !success).map(({ backup_copy }) => backup_copy)).toEqual([other]);
    expect(found).toHaveLength(4);
  });
});

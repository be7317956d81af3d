import { spawnSync } from "node:child_process";
import { chmod, chown, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadConfig } from "../../../src/config/config.ts";

const GOOD = "[source]\n[destination]\nbackup_destination=local\n[local]\nbackup_dir=/b\n";
const SECRET = "[s3]\naws_secret_access_key=abc\n";
const uid = process.getuid?.() ?? 0;
let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "config-"));
  path = join(directory, "twindb-backup.cfg");
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

async function write(content: string | Uint8Array, mode = 0o600): Promise<void> {
  await writeFile(path, content);
  await chmod(path, mode);
}

function expectRefusal(what: string, hint: string): Promise<void> {
  return expect(loadConfig(path, { uid })).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    message: `Cannot load "${path}": ${what}`,
    hint,
  });
}

test("loadConfig() names the file and this host", async () => {
  await write(GOOD);
  const { config, warnings } = await loadConfig(path, { uid });
  expect(config).toMatchObject({ path, hostname: hostname() });
  expect(warnings).toEqual([]);
});

test("loadConfig() follows a symbolic link", async () => {
  await write(GOOD);
  await symlink(path, `${path}.link`);
  await expect(loadConfig(`${path}.link`, { uid })).resolves.toMatchObject({ warnings: [] });
});

test("loadConfig() says what to run when there is no file", async () => {
  await expectRefusal("there is no such file", 'Run "twindb-backup init" to write one.');
});

test("loadConfig() refuses a directory", async () => {
  path = directory;
  await expectRefusal("it is a directory", "Name a config file with --config.");
});

test("loadConfig() refuses a named pipe instead of waiting for it", async () => {
  expect(spawnSync("sh", ["-c", 'mkfifo "$0"', path]).status).toBe(0);
  await expectRefusal("it is not a regular file", "Name a config file with --config.");
});

test("loadConfig() names what the system said of a path it cannot open", async () => {
  await symlink(path, path);
  await expectRefusal("it cannot be opened (ELOOP)", "Name another file with --config.");
});

test.each([
  [0o602, "0602"],
  [0o620, "0620"],
  [0o666, "0666"],
])("loadConfig() refuses mode %o", async (mode, octal) => {
  await write(GOOD, mode);
  await expectRefusal(`other users may write it (mode ${octal})`, `Run "chmod 0600 ${path}".`);
});

test.skipIf(uid !== 0)("loadConfig() refuses the file of another user", async () => {
  await write(GOOD);
  await chown(path, 4321, 0);
  await expectRefusal("it belongs to user 4321, who could change it", `Run "chown 0 ${path}".`);
});

test.skipIf(uid !== 0)("loadConfig() accepts the file of its user and of root", async () => {
  await write(GOOD);
  await expect(loadConfig(path, { uid: 4321 })).resolves.toBeDefined();
  await chown(path, 4321, 0);
  await expect(loadConfig(path, { uid: 4321 })).resolves.toBeDefined();
});

test.each([0o604, 0o640])("loadConfig() warns when others may read secrets, mode %o", async (mode) => {
  await write(GOOD + SECRET, mode);
  const { warnings } = await loadConfig(path, { uid });
  expect(warnings).toEqual([`other users may read the secrets in ${path}, run "chmod 0600 ${path}"`]);
});

test("loadConfig() does not mind that others read what is no secret", async () => {
  await write(GOOD, 0o644);
  await expect(loadConfig(path, { uid })).resolves.toMatchObject({ warnings: [] });
});

test("loadConfig() keeps a private secret to itself", async () => {
  await write(GOOD + SECRET);
  await expect(loadConfig(path, { uid })).resolves.toMatchObject({ warnings: [] });
});

test("loadConfig() accepts 1 MiB and refuses more", async () => {
  const full = GOOD + "#".repeat(1024 * 1024 - GOOD.length);
  await write(full);
  await expect(loadConfig(path, { uid })).resolves.toBeDefined();
  await write(`${full}#`);
  await expectRefusal("it is larger than 1048576 bytes", "Name a config file with --config.");
});

test.each([
  ["Latin-1", [0xfc, 0x72]],
  ["a cut character", [0xe2, 0x82]],
  ["an overlong form", [0xc0, 0xaf]],
  ["a surrogate", [0xed, 0xa0, 0x80]],
])("loadConfig() names the first byte that is not UTF-8: %s", async (_, bytes) => {
  const start = Buffer.from("# é\uFFFD€\n# ");
  await write(Buffer.concat([start, Buffer.from(bytes), Buffer.from("\n# \xff", "latin1")]));
  const hint = "Save the file with the encoding UTF-8.";
  await expectRefusal(`byte ${start.length + 1} (line 2) is not UTF-8`, hint);
});

test("loadConfig() accepts a byte order mark, CR LF and U+FFFD", async () => {
  await write(`\uFEFF# \uFFFD\r\n${GOOD.replaceAll("\n", "\r\n")}`);
  await expect(loadConfig(path, { uid })).resolves.toMatchObject({ warnings: [] });
});

test("loadConfig() names the file that has problems", async () => {
  await write(`${GOOD}nonsense = 1\n`);
  await expect(loadConfig(path, { uid })).rejects.toThrow(
    `Cannot load "${path}": line 6: [local] nonsense: unknown key`,
  );
});

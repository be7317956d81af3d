import { chmod, chown, copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ModuleTools, openModule } from "../../../src/destination/module.ts";
import { toKey } from "../../../src/domain/key.ts";
import { chunks, collect } from "../../support/streams.ts";

const { signal } = new AbortController();
let root: string;
let path: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "module-"));
  path = join(root, "driver.mjs");
  await copyFile(new URL("../../support/sample-driver.mjs", import.meta.url), path);
  await chmod(path, 0o644);
});

afterEach(() => rm(root, { recursive: true }));

const open = (each = path, tools?: ModuleTools) =>
  openModule({ kind: "module", path: each, settings: { directory: join(root, "store") } }, tools);

function refusal(what: string | RegExp) {
  return { code: "CONFIG_INVALID", message: expect.stringMatching(what), hint: expect.stringMatching(/^[A-Z].*\.$/) };
}

/** Write a module. Each has a name of its own: modules are loaded once. */
async function written(text: string): Promise<string> {
  await writeFile(path, text, { mode: 0o644 });
  return path;
}

describe("openModule()", () => {
  test("openModule() stores and reads through a driver in a file, and hands it settings, log and counters", async () => {
    const told: string[] = [];
    const counted: [string, number][] = [];
    const tools = {
      log: { debug: (text: string) => told.push(text), warn: () => {} },
      count: (name: string, amount: number) => counted.push([name, amount]),
    };
    await using destination = await open(path, tools);
    const key = toKey("h/daily/files/a");
    await destination.put(key, chunks("hello"), { signal });
    expect((await collect(destination.get(key, { signal }))).toString()).toBe("hello");
    expect(destination.url).toBe(`sample:${join(root, "store")}`);
    expect(await destination.capabilities({ signal })).toMatchObject({
      transport: "sample",
      conditionalReplace: "checked",
    });
    expect(told).toEqual([`keeping objects in ${join(root, "store")}`]);
    expect(counted).toEqual([["bytes_stored", 5]]);
  });

  test("openModule() says what the driver says of its settings", async () => {
    const opening = openModule({ kind: "module", path, settings: {} });
    await expect(opening).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: `Cannot open "${path}": directory is not set in [module]`,
    });
  });

  test("openModule() refuses a file that others can change", async () => {
    await chmod(path, 0o664);
    await expect(open()).rejects.toMatchObject(refusal(/driver\.mjs" can be changed by other users/));
    await chmod(path, 0o602);
    await expect(open()).rejects.toMatchObject(refusal(/driver\.mjs" can be changed by other users/));
  });

  test("openModule() refuses a file below a directory that others can change", async () => {
    const inner = join(root, "a", "b");
    await mkdir(inner, { recursive: true });
    await copyFile(path, join(inner, "driver.mjs"));
    await open(join(inner, "driver.mjs"));
    await chmod(join(root, "a"), 0o775);
    await expect(open(join(inner, "driver.mjs"))).rejects.toMatchObject(refusal(/\/a" can be changed by other users/));
  });

  test("openModule() refuses a file, and a directory, of another user", async ({ skip }) => {
    if (process.geteuid?.() !== 0) skip("only root can give files away");
    await chown(path, 12_345, 12_345);
    await expect(open()).rejects.toMatchObject(refusal(/driver\.mjs" belongs to another user/));
    await chown(path, 0, 0);
    await chown(root, 12_345, 12_345);
    await expect(open()).rejects.toMatchObject(refusal(/belongs to another user/));
  });

  test("openModule() refuses links, what is no file, what is not there, and relative paths", async () => {
    await symlink(path, join(root, "link.mjs"));
    await expect(open(join(root, "link.mjs"))).rejects.toMatchObject(refusal(/leads to ".*driver\.mjs" by a link/));
    await expect(open(root)).rejects.toMatchObject(refusal(/it is no regular file/));
    await expect(open(join(root, "nothing.mjs"))).rejects.toMatchObject(refusal(/it is not there/));
    await expect(open("driver.mjs")).rejects.toMatchObject(refusal(/not an absolute path/));
  });

  test("openModule() names whatever a driver lacks", async () => {
    await written("export default () => ({ kind: 'x', list() {}, stat: 1, discard() {}, limits: { mostParts: 0 } })");
    await expect(open()).rejects.toMatchObject(
      refusal(
        /no text url, no method stat\(\), no method read\(\), no method start\(\), no method write\(\), no method remove\(\), no method close\(\), unfinished\(\) and discard\(\) go together, limits.leastPartBytes is no whole number above 0, .*limits\.mostParts is no whole number above 0.*limits\.isConditional is neither true nor false/,
      ),
    );
  });

  test.each([
    ["has no function as its default export", "export default 5", /default export is no function/],
    ["has no default export", "export const a = 1", /default export is no function/],
    ["cannot be parsed", "export default (", /it cannot be loaded: /],
    ["makes nothing", "export default () => undefined", /it is no object/],
  ])("openModule() refuses a module that %s", async (_, text, what) => {
    await expect(open(await written(text))).rejects.toMatchObject(refusal(what));
  });
});

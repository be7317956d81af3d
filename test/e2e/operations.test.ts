import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { leftoversIn } from "../support/leftovers.ts";
import { copiesOf } from "../support/listed.ts";

let sandbox: Sandbox;

beforeEach(() => {
  sandbox = new Sandbox();
  const etc = sandbox.directory("etc");
  writeFileSync(join(etc, "my.cnf"), "[mysqld]\n");
  sandbox.configure({
    source: { backup_dirs: etc },
    destination: { backup_destination: "local" },
    local: { backup_dir: sandbox.copies },
    retention: { daily_copies: 1 },
  });
});
afterEach(() => sandbox[Symbol.dispose]());

const SILENT = { exitCode: 0, stdout: "", stderr: "" };

async function takeOne(): Promise<string> {
  expect(await sandbox.run(["backup", "daily"])).toMatchObject(SILENT);
  return (await copiesOf(sandbox)).at(-1)?.key ?? "";
}

async function keys(): Promise<string[]> {
  return (await copiesOf(sandbox)).map(({ key }) => key);
}

test("a preserved copy outlives retention, also after the status was rebuilt, until that is taken back", async () => {
  const first = await takeOne();
  const preserved = await sandbox.run(["preserve", first, "--until", "2999-12-31"]);
  expect(preserved).toMatchObject({ exitCode: 0, stderr: "" });
  expect(preserved.stdout).toBe(`${first} is preserved until 2999-12-31 23:59:59, with every copy that it needs\n`);
  await takeOne();
  expect(await sandbox.run(["status", "rebuild"])).toMatchObject({ exitCode: 0 });
  const third = await takeOne();
  expect(await keys()).toEqual([first, third]);
  expect((await sandbox.run(["ls"])).stdout).toContain(`stored, preserved  ${first}`);

  expect(await sandbox.run(["preserve", first, "--clear"])).toMatchObject({ exitCode: 0 });
  const fourth = await takeOne();
  expect(await keys()).toEqual([fourth]);
  expect(leftoversIn(sandbox.copies)).toEqual([]);
});

test("a copy marked as broken does not count, restores with a warning, and counts again when a person says so", async () => {
  const first = await takeOne();
  const marked = await sandbox.run(["mark", first, "--broken", "--reason", "my.cnf was empty then"]);
  expect(marked).toMatchObject({ exitCode: 0, stderr: "" });
  expect((await sandbox.run(["ls"])).stdout).toContain(`broken, marked  ${first}`);
  // It cannot be seen by reading the copy, so a verify that passes changes nothing.
  expect(await sandbox.run(["verify", "file", first])).toMatchObject({ exitCode: 0 });
  expect((await copiesOf(sandbox))[0]).toMatchObject({ state: "broken", marked: { reason: "my.cnf was empty then" } });

  const restored = await sandbox.run(["restore", "file", first, "--dst", sandbox.path("restored")]);
  expect(restored.exitCode).toBe(0);
  expect(restored.stderr).toMatch(/"[^"]+" was marked as broken by \S+@\S+ at \S+: my\.cnf was empty then/);

  expect(await sandbox.run(["mark", first, "--ok"])).toMatchObject({ exitCode: 0, stderr: "" });
  expect((await copiesOf(sandbox))[0]).toMatchObject({ state: "verified", marked: { broken: false, reason: null } });
  expect(await sandbox.run(["mark", "nothing", "--ok"])).toMatchObject({ exitCode: 66, stdout: "" });
});

test("a paused host takes no copies, says so where it is asked, and goes on when told to", async () => {
  const first = await takeOne();
  const paused = await sandbox.run(["pause", "--until", "4h"]);
  expect(paused).toMatchObject({ exitCode: 0, stderr: "" });
  expect(await sandbox.run(["backup", "daily"])).toMatchObject(SILENT);
  expect((await sandbox.run(["--debug", "backup", "daily"])).stderr).toContain(
    "nothing was done: the runs of this host",
  );
  expect(await keys()).toEqual([first]);

  const notice = /the runs of this host are paused until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d, by \S+/;
  expect((await sandbox.run(["check"])).stdout).toMatch(/^pause +warning +the runs of this host are paused/m);
  expect((await sandbox.run(["ls"])).stderr).toMatch(notice);
  expect((await sandbox.run(["status", "--type", "files"])).stderr).toMatch(notice);
  expect(JSON.parse((await sandbox.run(["ls", "--json"])).stdout)).toMatchObject({
    paused_until: expect.stringMatching(/^\d{4}-.*Z$/) as string,
  });

  expect(await sandbox.run(["resume"])).toMatchObject({ exitCode: 0, stderr: "" });
  const second = await takeOne();
  expect(second).not.toBe(first);
  expect((await sandbox.run(["check"])).stdout).not.toMatch(/^pause/m);
});

test("a pause that nobody can read pauses nothing, and is told", async () => {
  writeFileSync(sandbox.path("paused.json"), "{");
  const { exitCode, stderr } = await sandbox.run(["backup", "daily"]);
  expect(exitCode).toBe(0);
  expect(stderr).toContain("cannot be read, so nothing is paused");
  expect(await keys()).toHaveLength(1);
});

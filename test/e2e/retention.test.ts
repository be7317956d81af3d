import { writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { filesBelow, leftoversIn } from "../support/leftovers.ts";
import { copiesOf } from "../support/listed.ts";
import { startSshd } from "../support/servers/sshd.ts";

let sandbox: Sandbox;
let directories: string[];

beforeEach(() => {
  sandbox = new Sandbox();
  directories = ["etc", "etc_mysql", "etc/mysql"].map((name) => sandbox.directory(name));
  for (const directory of directories) writeFileSync(join(directory, "my.cnf"), directory);
});
afterEach(() => sandbox[Symbol.dispose]());

function archives(root: string): string[] {
  return filesBelow(root).filter((path) => path.includes("/files/") && !path.includes("/manifest/"));
}

async function tenRuns(): Promise<void> {
  for (let run = 0; run < 10; run++) {
    expect(await sandbox.run(["backup", "daily"])).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
  }
}

async function expectThreeOfEach(copies: string): Promise<void> {
  const rows = await copiesOf(sandbox);
  for (const directory of directories) expect(rows.filter((row) => row.directory === directory)).toHaveLength(3);
  expect(rows).toHaveLength(9);
  expect(archives(copies)).toEqual(rows.map(({ key }) => key).sort());
  expect(leftoversIn(copies)).toEqual([]);
}

test("ten daily runs keep three copies of each directory, there and on this host", async () => {
  const kept = sandbox.path("kept");
  sandbox.configure({
    source: { backup_dirs: directories.slice(0, 2).join(" ") },
    destination: { backup_destination: "local", keep_local_path: kept },
    local: { backup_dir: sandbox.copies },
    retention: { daily_copies: 3 },
    retention_local: { daily_copies: 2 },
  });
  directories = directories.slice(0, 2);
  await tenRuns();
  expect(await copiesOf(sandbox)).toHaveLength(6);
  for (const directory of directories) {
    const name = directory.replaceAll("/", "_");
    expect(archives(kept).filter((path) => basename(path).replace(/-\d{4}-.*/, "") === name)).toHaveLength(2);
  }
  expect(archives(sandbox.copies)).toHaveLength(6);
});

test("ten daily runs over SSH keep three copies of each directory", async () => {
  const sshd = await startSshd();
  const copies = sandbox.path("far");
  directories = directories.slice(0, 2);
  sandbox.configure({
    source: { backup_dirs: directories.join(" ") },
    destination: { backup_destination: "ssh" },
    ssh: {
      backup_host: "127.0.0.1",
      port: sshd.port,
      ssh_user: "root",
      ssh_key: sshd.keyFile,
      known_hosts: sshd.knownHostsFile,
      backup_dir: copies,
    },
    retention: { daily_copies: 3 },
  });
  await tenRuns();
  expect(await copiesOf(sandbox)).toHaveLength(6);
  expect(archives(copies)).toHaveLength(6);
});

test("directories whose names share a code are kept apart", async () => {
  sandbox.configure({
    source: { backup_dirs: directories.join(" ") },
    destination: { backup_destination: "local" },
    local: { backup_dir: sandbox.copies },
    retention: { daily_copies: 3 },
  });
  for (let run = 0; run < 4; run++) expect((await sandbox.run(["backup", "daily"])).exitCode).toBe(0);
  await expectThreeOfEach(sandbox.copies);
});

test("the newest copy stays when retention says 0, and other run types are left alone", async () => {
  const one = directories[1] ?? "";
  const config = (daily: number) =>
    sandbox.configure({
      source: { backup_dirs: one },
      destination: { backup_destination: "local" },
      local: { backup_dir: sandbox.copies },
      retention: { hourly_copies: 3, daily_copies: daily },
    });
  config(7);
  for (const run of ["hourly", "daily", "daily", "weekly"]) await sandbox.run(["backup", run]);
  config(0);
  const result = await sandbox.run(["backup", "daily"]);
  expect(result.exitCode).toBe(0);
  expect(result.stderr).toContain("daily_copies");
  const keys = (await copiesOf(sandbox)).map(({ key }) => key.split("/")[1]);
  expect(new Set(keys)).toEqual(new Set(["daily", "hourly", "weekly"]));
  expect(keys).toHaveLength(3);
});

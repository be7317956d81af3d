import { chmodSync, existsSync, readdirSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { acquireLock } from "../../src/lib/lock.ts";
import { type Result, Sandbox } from "../support/cli.ts";
import { leftoversIn } from "../support/leftovers.ts";
import type { Database } from "../support/servers/database.ts";
import { hasMariadb, startMariadb } from "../support/servers/mariadb.ts";

let server: Database;
let sandbox: Sandbox;

type Row = { readonly key: string; readonly type: string; readonly recoverable_until: string | null };

function push(): Promise<Result> {
  return sandbox.run(["binlog", "push", "--lock-file", sandbox.lock]);
}

async function quiet(...args: readonly string[]): Promise<string> {
  const result = await sandbox.run(args);
  expect(result).toMatchObject({ exitCode: 0, stderr: "" });
  return result.stdout;
}

function stored(): string[] {
  const directory = join(sandbox.copies, hostname(), "binlog");
  return existsSync(directory) ? readdirSync(directory).sort() : [];
}

function configure(source: Readonly<Record<string, string>> = { backup_mysql: "yes" }): void {
  sandbox.configure({
    source,
    destination: { backup_destination: "local" },
    local: { backup_dir: sandbox.copies },
    mysql: { mysql_defaults_file: server.defaultsFile },
    compression: { program: "zstd", threads: 1 },
  });
}

describe.skipIf(!hasMariadb())("binary logs of MariaDB", () => {
  beforeAll(async () => {
    server = await startMariadb();
    await server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY AUTO_INCREMENT)");
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    sandbox = new Sandbox();
    chmodSync(sandbox.root, 0o755);
    await server.sql("RESET MASTER");
    configure();
  });
  afterEach(() => sandbox[Symbol.dispose]());

  test("a backup archives them as well; push goes on in silence, and ls says until when the copy reaches", async () => {
    await server.sql("INSERT INTO d.t VALUES ()");
    await quiet("backup", "daily");
    expect(stored()).toEqual(["binlog.000001.zst"]);
    await server.sql("INSERT INTO d.t VALUES ()");
    expect(await push()).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
    expect(await push()).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
    expect(stored()).toEqual(["binlog.000001.zst", "binlog.000002.zst"]);

    const { copies } = JSON.parse(await quiet("ls", "--json")) as { copies: Row[] };
    const [copy] = copies.filter(({ type }) => type === "mysql");
    expect(Date.now() - Date.parse(copy?.recoverable_until ?? "")).toBeLessThan(60_000);
    expect(await quiet("ls", "--type", "mysql")).toContain("RECOVERABLE UNTIL");
    expect(await quiet("status")).toContain('"recoverable_until": ');
    expect(await quiet("binlog", "ls")).toMatch(/^FROM .*\n.*binlog\.000001\.zst\n.*binlog\.000002\.zst\n$/);
    expect((await quiet("verify", "binlog", "all")).match(/^ok /gm)).toHaveLength(2);
    expect(await quiet("status", "rebuild")).toContain("binlog: 2 copies");
    expect(leftoversIn(sandbox.temporary)).toEqual([]);
  });

  test("push does not wait for a run that copies the server, but for another push", async () => {
    await server.sql("INSERT INTO d.t VALUES ()");
    const { signal } = new AbortController();
    const options = { waitSeconds: 0, signal, onLost: () => {} };
    await using _backup = await acquireLock(sandbox.lock, options);
    expect(await push()).toMatchObject({ exitCode: 0, stderr: "" });
    await using _push = await acquireLock(`${sandbox.lock}.binlog`, options);
    const refused = await sandbox.run(["binlog", "push", "--lock-file", sandbox.lock, "--wait", "0"]);
    expect(refused).toMatchObject({ exitCode: 75, stderr: expect.stringContaining("Cannot lock") });
  });

  test("push goes on behind one that was killed at any moment", async () => {
    // The status is there: its first one, missing beside a copy that is described, would be told as lost.
    await server.sql("INSERT INTO d.t VALUES ()");
    await push();
    for (let round = 0; round < 3; round++) await server.sql("INSERT INTO d.t VALUES (); FLUSH BINARY LOGS");
    for (const delay of [350, 500, 650, 800]) {
      let timer: NodeJS.Timeout | undefined;
      await sandbox.run(["binlog", "push", "--lock-file", sandbox.lock], {
        onStart: (pid) => {
          timer = setTimeout(() => process.kill(pid, "SIGKILL"), delay);
        },
      });
      clearTimeout(timer);
    }
    expect(await push()).toMatchObject({ exitCode: 0, stderr: "" });
    expect(stored()).toEqual([1, 2, 3, 4].map((number) => `binlog.00000${number}.zst`));
    expect((await quiet("verify", "binlog", "all")).match(/^ok /gm)).toHaveLength(4);
  });

  test("a section of the server that is not there is no failure of a host with directories only", async () => {
    const directory = sandbox.directory("source");
    configure({ backup_dirs: directory, backup_mysql: "no" });
    await server.sql("INSERT INTO d.t VALUES ()");
    await quiet("backup", "daily");
    expect(stored()).toEqual(["binlog.000001.zst"]);
    sandbox.configure({
      source: { backup_dirs: directory, hostname: "filesonly" },
      destination: { backup_destination: "local" },
      local: { backup_dir: sandbox.copies },
      mysql: { mysql_defaults_file: sandbox.path("nothing.cnf") },
    });
    await quiet("backup", "daily");
    expect(await push()).toMatchObject({ exitCode: 78, stderr: expect.stringContaining("nothing.cnf") });
  });
});

import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, cpSync, readdirSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { Pages } from "../support/docs/pages.ts";
import type { Database } from "../support/servers/database.ts";
import { hasMariadb } from "../support/servers/mariadb.ts";
import { hasMysql, MYSQL_BIN } from "../support/servers/mysql.ts";
import { REPLAY_MARIADB, REPLAY_MYSQL, type ReplayVendor, transactionsOf } from "../support/servers/replay-source.ts";
import {
  STEADY_STATE,
  STEADY_TABLES,
  type SteadyWriter,
  steadyState,
  writeSteadily,
} from "../support/steady-writer.ts";

const PROGRAM = new URL("../../bin/twindb-backup", import.meta.url).pathname;

const pages = new Pages(import.meta.url);

/** What is in a spool is at most so much behind the server, on a machine that has much to do. */
const LAG_MS = 2000;

describe.skipIf(!hasMariadb())("binlog stream --finish, of MariaDB", () => {
  finishing(REPLAY_MARIADB);
});
describe.skipIf(!hasMysql())("binlog stream --finish, of MySQL", () => {
  finishing(REPLAY_MYSQL);
});

function finishing(product: ReplayVendor): void {
  const isMariadb = product.vendor === "mariadb";
  let sandbox: Sandbox;
  let server: Database;
  let writer: SteadyWriter;
  let running: ChildProcess | undefined;
  let said: string;

  const spool = () => sandbox.path("spool");
  const [, ...documented] = pages.take("docs/binlog.md: After the loss of the server 1").trim().split(" ");
  const finish = (...more: readonly string[]) => sandbox.run([...documented, "--lock-file", sandbox.lock, ...more]);

  beforeEach(async () => {
    server = await product.start({ lines: ["event_scheduler=OFF"] });
    await server.sql(STEADY_TABLES);
    sandbox = new Sandbox();
    chmodSync(sandbox.root, 0o755);
    sandbox.surroundings = { env: { PATH: `${isMariadb ? "" : `${MYSQL_BIN}:`}/usr/bin:/bin:/usr/sbin` } };
    sandbox.configure({
      source: { backup_mysql: "yes" },
      destination: { backup_destination: "local" },
      local: { backup_dir: sandbox.copies },
      mysql: {
        mysql_defaults_file: server.defaultsFile,
        binlog_spool: spool(),
        ...(isMariadb ? {} : { engine: "clone" }),
      },
      compression: { program: "zstd", threads: 1 },
    });
    writer = writeSteadily({ socket: () => server.socket, isMariadb });
    const backup = await sandbox.run(["backup", "daily", "--only", "mysql"]);
    expect(backup).toMatchObject({ exitCode: 0, stderr: "" });
    stream();
    await expect.poll(() => said, { timeout: 20_000 }).toContain("following");
  });
  afterEach(async () => {
    running?.kill("SIGKILL");
    await writer.stop();
    await server.stop();
    sandbox[Symbol.dispose]();
  });

  function stream(): void {
    said = "";
    const args = ["--config", sandbox.configPath, "binlog", "stream", "--lock-file", sandbox.lock];
    running = spawn(PROGRAM, args, {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...sandbox.surroundings.env, HOME: "/", TMPDIR: sandbox.temporary },
    });
    running.stderr?.on("data", (chunk: Buffer) => (said += chunk.toString()));
  }

  /** End the stream without giving it time for anything. */
  async function endStream(): Promise<void> {
    const child = running;
    running = undefined;
    const ended = new Promise((resolve) => child?.once("exit", resolve));
    child?.kill("SIGKILL");
    await ended;
  }

  /** The server is gone, with its disk. */
  async function lose(): Promise<void> {
    server.kill();
    await writer.stop();
    await pause(500);
    rmSync(server.datadir, { recursive: true, force: true });
  }

  async function stateOf(...target: readonly string[]): Promise<string> {
    const directory = sandbox.path("restored");
    const result = await sandbox.run(["restore", "mysql", "latest", "--dst", directory, ...target]);
    expect(result).toMatchObject({ exitCode: 0, stderr: "" });
    rmSync(join(directory, "_config"), { recursive: true, force: true });
    const restored = await product.start({ datadir: directory });
    try {
      return await restored.sql(STEADY_STATE);
    } finally {
      await restored.stop();
      rmSync(directory, { recursive: true, force: true });
    }
  }

  /** Rows of the newest log that was written down, by its own transactions. */
  async function spooledRows(): Promise<number> {
    const kept = sandbox.path("kept");
    cpSync(spool(), kept, { recursive: true });
    const [newest = ""] = logsIn(kept).slice(-1);
    const { found } = await transactionsOf(join(kept, newest));
    const last = found.at(-1)?.gtid;
    return writer.commits.find(({ gtid }) => gtid === last)?.id ?? (writer.commits.at(-1)?.id ?? 0) + 1;
  }

  test("brings a lost server back with every commit that was written down", async () => {
    await pause(1000);
    await server.sql("FLUSH BINARY LOGS");
    await pause(1500);
    if (isMariadb) {
      // It takes the place of no stream that runs, and takes nothing from a server that does.
      expect(await finish()).toMatchObject({ exitCode: 75, stderr: expect.stringContaining("Cannot lock") });
      await endStream();
      expect(await finish()).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("still has it") });
      stream();
      await expect.poll(() => said, { timeout: 20_000 }).toContain("following");
      await pause(500);
    }
    const lostAt = Date.now();
    await lose();
    await endStream();
    const last = await spooledRows();
    const sure = writer.commits.findLast(({ acknowledged }) => acknowledged < lostAt - LAG_MS)?.id ?? 0;
    expect(last).toBeGreaterThanOrEqual(sure);
    expect(sure).toBeGreaterThan(50);

    const [newest = ""] = logsIn(spool()).slice(-1);
    const finished = await finish();
    expect(finished).toMatchObject({ exitCode: 0, stderr: "" });
    expect(finished.stdout).toMatch(
      new RegExp(`^the archive reaches to ${newest}:\\d+, the last commit is of 2.*Z\n$`),
    );
    expect(logsIn(spool())).toEqual([]);
    expect(await finish()).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("holds nothing") });
    expect(await sandbox.run(["verify", "binlog", "all"])).toMatchObject({ exitCode: 0 });
    expect(await stateOf("--to-time", "latest")).toBe(steadyState(last));
  });

  test.runIf(isMariadb)("hands over what was put aside, and leaves the timeline of its server as it is", async () => {
    await writer.stop();
    const mistaken = await sandbox.run(["binlog", "stream", "--spool", spool()]);
    expect(mistaken).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("--spool goes with --finish") });
    await server.sql("RESET MASTER; INSERT INTO shop.steady (id, v) VALUES (1000000, '')");
    await expect.poll(() => said, { timeout: 20_000 }).toContain("aside-");
    const [aside = ""] = readdirSync(spool()).filter((name) => name.startsWith("aside-"));
    await endStream();
    expect((await sandbox.run(["check"])).stdout).toMatch(/binlog stream +warning +.*aside-/);
    const status = await sandbox.run(["status", "--host", hostname(), "--json"]);
    const { hosts } = JSON.parse(status.stdout) as { hosts: object[] };
    expect(hosts).toMatchObject([{ binlog_stream: { state: "stopped", aside: [{ logs: 1 }] } }]);
    expect(await finish("--spool", sandbox.path("nothing"))).toMatchObject({
      exitCode: 66,
      stderr: expect.stringContaining("it is no directory"),
    });
    expect(await finish("--spool", join(spool(), aside))).toMatchObject({ exitCode: 0, stderr: "" });
    expect(await sandbox.run(["binlog", "push", "--lock-file", sandbox.lock])).toMatchObject({ exitCode: 0 });
    const { stdout } = await sandbox.run(["binlog", "ls", "--json"]);
    const { timelines } = JSON.parse(stdout) as { timelines: { logs: object[] }[] };
    expect(timelines.map(({ logs }) => logs.length)).toEqual([1, 1]);
  });
}

function logsIn(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => /^binlog\.\d+$/.test(name))
    .sort();
}

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { type CuttingProxy, startCuttingProxy } from "../support/cutting-proxy.ts";
import type { Database, DatabaseOptions } from "../support/servers/database.ts";
import { hasMariadb, startMariadb } from "../support/servers/mariadb.ts";
import { hasMysql, startMysql } from "../support/servers/mysql.ts";
import { openSession } from "../support/servers/session.ts";

const PROGRAM = new URL("../../bin/twindb-backup", import.meta.url).pathname;

type Make = {
  readonly name: string;
  readonly isThere: boolean;
  readonly start: (options?: DatabaseOptions) => Promise<Database>;
  readonly status: string;
  readonly reset: string;
  /** One that crashed takes seconds to start. */
  readonly serverKills: number;
};

const MAKES: readonly Make[] = [
  {
    name: "MariaDB",
    isThere: hasMariadb(),
    start: startMariadb,
    status: "SHOW MASTER STATUS",
    reset: "RESET MASTER",
    serverKills: 4,
  },
  {
    name: "MySQL 9",
    isThere: hasMysql(),
    start: startMysql,
    status: "SHOW BINARY LOG STATUS",
    reset: "RESET BINARY LOGS AND GTIDS",
    serverKills: 2,
  },
];

const LINES = ["sync_binlog=1"];
const LOGIN = "user=archiver\npassword=secret-word\nhost=127.0.0.1\nprotocol=TCP\n";

/** Kills of each make: of the stream, of its connection, of the server. */
function killsOf(serverKills: number): ("stream" | "connection" | "server")[] {
  const others = Array.from({ length: 50 - serverKills }, (_, index) => (index % 2 === 0 ? "stream" : "connection"));
  return [...others, ...Array<"server">(serverKills).fill("server")];
}

/** A generator with a seed, so that a failure can be had again. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}

describe.each(MAKES)("binlog stream of $name", ({ isThere, start, status, reset, serverKills }) => {
  describe.skipIf(!isThere)("on a server", () => {
    let server: Database;
    /** One for all tests but those that need another. */
    let shared: Database | undefined;
    let isApart: boolean;
    let sandbox: Sandbox;
    let proxy: CuttingProxy;
    let running: ChildProcess | undefined;
    let said: string;
    /** How much had been said when the last one was started. */
    let startedAt: number;

    const spool = () => sandbox.path("spool");
    const kept = () => sandbox.path("kept");
    const stored = () => logsIn(join(sandbox.copies, hostname(), "binlog"));

    beforeEach(async ({ task }) => {
      isApart = task.name.includes("encrypts");
      server = isApart ? await start({ lines: encrypting() }) : (shared ?? (await start({ lines: LINES })));
      await server.sql(`CREATE DATABASE IF NOT EXISTS d; CREATE TABLE IF NOT EXISTS d.t (a INT PRIMARY KEY AUTO_INCREMENT, b LONGBLOB);
        CREATE USER IF NOT EXISTS archiver@'127.0.0.1' IDENTIFIED BY 'secret-word';
        GRANT REPLICATION SLAVE, REPLICATION CLIENT, RELOAD ON *.* TO archiver@'127.0.0.1'; ${reset}`);
      proxy = await startCuttingProxy(server.port);
      sandbox = new Sandbox();
      mkdirSync(kept());
      const login = sandbox.path("login.cnf");
      writeFileSync(login, `[client]\n${LOGIN}port=${proxy.port}\n`, { mode: 0o600 });
      configure();
      said = "";
    });
    afterEach(async () => {
      running?.kill("SIGKILL");
      await proxy.stop();
      rmSync(KEYS, { force: true });
      if (isApart) await server.stop();
      else shared = server;
      sandbox[Symbol.dispose]();
    });
    afterAll(() => shared?.stop());

    function configure(mysql: Readonly<Record<string, string | number>> = {}): void {
      sandbox.configure({
        source: { backup_mysql: "yes" },
        destination: { backup_destination: "local" },
        local: { backup_dir: sandbox.copies },
        mysql: { mysql_defaults_file: sandbox.path("login.cnf"), binlog_spool: spool(), ...mysql },
        compression: { program: "none" },
      });
    }

    function stream(): void {
      const args = ["--config", sandbox.configPath, "binlog", "stream", "--lock-file", sandbox.lock];
      startedAt = said.length;
      running = spawn(PROGRAM, args, {
        stdio: ["ignore", "ignore", "pipe"],
        env: { PATH: "/usr/bin:/bin", HOME: "/", TMPDIR: sandbox.temporary },
      });
      running.stderr?.on("data", (chunk: Buffer) => (said += chunk.toString()));
    }

    async function end(signal: NodeJS.Signals): Promise<number | null> {
      const child = running;
      if (child === undefined) throw new Error("nothing runs");
      const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
      running = undefined;
      if (!child.kill(signal)) throw new Error(`it had ended by itself, with ${child.exitCode}: ${said}`);
      return ended;
    }

    /** Keep every file of the spool although it is removed from there: the same file, under another name. */
    function keep(): void {
      for (const name of logsIn(spool())) {
        const path = join(spool(), name);
        try {
          linkSync(path, join(kept(), `${name}-${statSync(path).ino}`));
        } catch (error) {
          const { code } = error as NodeJS.ErrnoException;
          if (code !== "EEXIST" && code !== "ENOENT") throw error;
        }
      }
    }

    async function restart(): Promise<void> {
      server.kill();
      await pause(200);
      const { root, datadir, port } = server;
      server = await start({ root, datadir, port, lines: LINES });
    }

    /** The server's own file. After a crash MariaDB leaves it marked as open, which it tells nobody. */
    function fileOf(name: string): Buffer {
      const bytes = readFileSync(join(server.datadir, name));
      bytes.writeUInt8(bytes.readUInt8(21) & ~1, 21);
      return bytes;
    }

    function archived(name: string): Buffer {
      const bytes = readFileSync(join(sandbox.copies, hostname(), "binlog", name));
      bytes.writeUInt8(bytes.readUInt8(21) & ~1, 21);
      return bytes;
    }

    async function untilArchived(): Promise<void> {
      const logs = logsIn(server.datadir).slice(0, -1);
      await expect.poll(stored, { timeout: 60_000, interval: 100 }).toEqual(logs);
    }

    async function lagMs(): Promise<number> {
      await server.sql("INSERT INTO d.t (b) VALUES (REPEAT('x', 1000))");
      const committedAt = performance.now();
      const [name = "", place] = (await server.sql(status)).split("\t");
      const size = () => statSync(join(spool(), name), { throwIfNoEntry: false })?.size ?? 0;
      while (size() < Number(place) && performance.now() - committedAt < 10_000) await pause(5);
      return performance.now() - committedAt;
    }

    test("what is archived is the server's, whatever is killed, and when", async () => {
      const random = randomOf(7);
      const kills = killsOf(serverKills).sort(() => random() - 0.5);
      const writer = writeTo(() => server.socket, random);
      stream();
      for (const kill of kills) {
        const until = performance.now() + 80 + random() * 320;
        while (performance.now() < until) {
          keep();
          await pause(20);
        }
        if (kill === "connection") proxy.cut();
        else if (kill === "server") await restart();
        else {
          await end("SIGKILL");
          stream();
        }
      }
      // The last one may have to wait for the lock of one that was killed while it took it.
      await expect.poll(() => said.slice(startedAt), { timeout: 40_000 }).toContain("following");
      await writer.stop();
      const lags: number[] = [];
      for (let round = 0; round < 5; round++) lags.push(await lagMs());
      expect(Math.max(...lags)).toBeLessThan(2000);
      await server.sql("FLUSH BINARY LOGS");
      await untilArchived();
      keep();
      await expect.poll(() => logsIn(spool()).length, { timeout: 10_000 }).toBe(1);
      const endedAt = performance.now();
      expect(await end("SIGTERM")).toBe(143);
      expect(performance.now() - endedAt).toBeLessThan(5000);

      for (const name of stored()) expect([name, archived(name).equals(fileOf(name))]).toEqual([name, true]);
      const spooled = readdirSync(kept());
      expect(spooled.length).toBeGreaterThan(5);
      expect(writer.count()).toBeGreaterThan(200);
      for (const each of spooled) {
        const name = each.replace(/-\d+$/, "");
        const bytes = readFileSync(join(kept(), each));
        expect([each, bytes.equals(fileOf(name).subarray(0, bytes.length))]).toEqual([each, true]);
      }
      expect(readdirSync(spool()).filter((name) => name.startsWith("aside"))).toEqual([]);
      const verified = await sandbox.run(["verify", "binlog", "all"]);
      expect(verified).toMatchObject({ exitCode: 0 });
      expect(said).not.toContain("secret-word");
    });

    test.skipIf(start !== startMariadb)(
      "a log that the server encrypts arrives plain, also from the middle",
      async () => {
        stream();
        for (let round = 1; round <= 3; round++) {
          await server.sql("INSERT INTO d.t (b) VALUES ('plain-words')");
          await lagMs();
          if (round === 2) {
            await end("SIGKILL");
            stream();
          } else proxy.cut();
          await expect
            .poll(() => said.match(/following "binlog.000001"/g)?.length ?? 0, { timeout: 10_000 })
            .toBe(round + 1);
        }
        // It would be closed for ever if its age were not known.
        expect(said).not.toContain("had the server close");
        await server.sql("FLUSH BINARY LOGS");
        await untilArchived();
        expect(
          archived("binlog.000001")
            .toString("latin1")
            .match(/plain-words/g),
        ).toHaveLength(6);
        expect(fileOf("binlog.000001").includes("plain-words")).toBe(false);
        expect(await sandbox.run(["verify", "binlog", "all"])).toMatchObject({ exitCode: 0 });
      },
    );

    test.skipIf(start !== startMariadb)("a log that the server encrypts is closed when it is old enough", async () => {
      configure({ rotate_seconds: 1 });
      stream();
      await expect.poll(() => said, { timeout: 10_000 }).toContain('following "binlog.000001"');
      await server.sql("INSERT INTO d.t (b) VALUES ('plain-words')");
      await expect.poll(stored, { timeout: 10_000 }).toEqual(["binlog.000001"]);
      // Nothing is written to the next one.
      await pause(3000);
      expect(stored()).toEqual(["binlog.000001"]);
    });

    test("what the server has purged, reset or taken with it is still in the spool", async () => {
      configure({ binlog_spool_mb: 1 });
      // Nothing can be archived: where the copies go is a file.
      writeFileSync(sandbox.copies, "");
      stream();
      await expect.poll(() => said, { timeout: 10_000 }).toContain('following "binlog.000001"');
      // It waits for the lock longer than the rest takes; one of the two makes has to do.
      const again = ["binlog", "stream", "--lock-file", sandbox.lock];
      const second = start === startMariadb ? sandbox.run(again) : undefined;
      const insert = "INSERT INTO d.t (b) VALUES (REPEAT('x', 300000));";
      await server.sql(`${insert} FLUSH BINARY LOGS; ${insert} FLUSH BINARY LOGS; ${insert}`);
      await expect.poll(() => logsIn(spool()).length, { timeout: 10_000 }).toBe(3);
      await expect.poll(() => said).toMatch(/WARNING: Cannot .*copies/);
      const before = ["binlog.000001", "binlog.000002"].map((name) => [name, fileOf(name)] as const);
      await expect
        .poll(
          async () => (await server.sql("PURGE BINARY LOGS TO 'binlog.000003'; SHOW BINARY LOGS")).split("\n").length,
        )
        .toBe(1);
      const more = async () => {
        await server.sql(insert);
        return said;
      };
      await expect.poll(more, { timeout: 20_000, interval: 200 }).toContain("MB that are not archived yet");
      expect(said.match(/not archived yet/g)).toHaveLength(1);

      rmSync(sandbox.copies);
      await expect.poll(stored, { timeout: 60_000, interval: 100 }).toEqual(["binlog.000001", "binlog.000002"]);
      for (const [name, bytes] of before) expect([name, archived(name).equals(bytes)]).toEqual([name, true]);
      const written = Number((await server.sql(status)).split("\t")[1]);
      const size = (): number => statSync(join(spool(), "binlog.000003")).size;
      await expect.poll(size, { timeout: 20_000 }).toBe(written);
      const open = fileOf("binlog.000003");

      const checked = await sandbox.run(["check"]);
      expect(checked.stdout).toMatch(/binlog stream +ok +"binlog.000003"/);
      await server.sql(`${reset}; ${insert}`);
      await expect.poll(() => logsIn(spool()), { timeout: 20_000 }).toEqual(["binlog.000001"]);
      const [aside = ""] = readdirSync(spool()).filter((name) => name.startsWith("aside"));
      expect(said).toContain(aside);
      const put = readFileSync(join(spool(), aside, "binlog.000003"));
      expect(put.subarray(0, open.length).equals(open)).toBe(true);
      if (second !== undefined) expect(await second).toMatchObject({ exitCode: 75 });
      expect(await end("SIGTERM")).toBe(143);
      expect((await sandbox.run(["check"])).stdout).toMatch(/binlog stream +warning +it does not run/);
    });
  });
});

const KEYS = `/tmp/binlog-stream-keys-${process.pid}`;

/** Options that have MariaDB encrypt its logs, with a key that it can read. */
function encrypting(): string[] {
  writeFileSync(KEYS, `1;${"a7".repeat(32)}\n`, { mode: 0o644 });
  return ["plugin_load_add=file_key_management", `file_key_management_filename=${KEYS}`, "encrypt_binlog=ON"];
}

function logsIn(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => /^binlog\.\d+$/.test(name))
    .sort();
}

/** Small and large transactions, and new logs now and then; goes on when the server does. */
function writeTo(socket: () => string, random: () => number): { stop(): Promise<void>; count(): number } {
  const stopping = new AbortController();
  const { signal } = stopping;
  let count = 0;
  async function session(): Promise<void> {
    await using client = await openSession(socket());
    while (!signal.aborted) {
      await client.rows("INSERT INTO d.t (b) VALUES (REPEAT(?, ?))", ["y", Math.floor(random() * 40_000)]);
      if (++count % 80 === 0) await client.rows("FLUSH BINARY LOGS");
      await pause(5);
    }
  }
  async function sessions(): Promise<void> {
    while (!signal.aborted) {
      try {
        await session();
      } catch {
        // It was killed.
        await pause(100);
      }
    }
  }
  const done = sessions();
  return {
    count: () => count,
    async stop() {
      stopping.abort();
      await done;
    },
  };
}

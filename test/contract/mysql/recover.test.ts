import { execFile } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { formatMoment } from "../../../src/domain/recovery-target.ts";
import { openClient } from "../../../src/mysql/client.ts";
import type { Database } from "../../support/servers/database.ts";
import { hasMariadb } from "../../support/servers/mariadb.ts";
import { hasMysql, MYSQL_BIN } from "../../support/servers/mysql.ts";
import {
  REPLAY_MARIADB,
  REPLAY_MYSQL,
  type ReplayVendor,
  transactionsOf,
} from "../../support/servers/replay-source.ts";
import { isDoubtful, untilSecondIsOver } from "../../support/steady-writer.ts";

const MAIN = new URL("../../../src/main.ts", import.meta.url).pathname;
const signal = new AbortController().signal;
/** More of them take longer, and MariaDB a longer life: its logs tell whole seconds. */
const MOMENTS = Number(process.env["MOMENTS"] ?? 6);

type Result = { readonly exitCode: number | null; readonly stdout: string; readonly stderr: string };

/** One committed row, with what the client saw: milliseconds since 1970, before it was sent and after it was acknowledged. */
type Written = { readonly id: number; readonly sent: number; readonly acknowledged: number };

/** Commit rows until told otherwise. */
async function write({ defaultsFile }: Database, written: Written[], until: () => boolean): Promise<void> {
  await using client = await openClient({ defaultsFile }, { signal });
  for (let id = (written.at(-1)?.id ?? 0) + 1; !until(); id++) {
    const sent = Date.now();
    await client.rows("INSERT INTO shop.steady (id, v) VALUES (?, REPEAT('v', 200))", [id]);
    written.push({ id, sent, acknowledged: Date.now() });
    await pause(4 + untilSecondIsOver(Date.now()));
  }
}

describe.skipIf(!hasMariadb())("restore mysql to a moment, of MariaDB", () => {
  recovering(REPLAY_MARIADB);
});
describe.skipIf(!hasMysql())("restore mysql to a moment, of MySQL", () => {
  recovering(REPLAY_MYSQL);
});

function recovering(product: ReplayVendor): void {
  const isMariadb = product.vendor === "mariadb";
  const written: Written[] = [];
  let scratch: string;
  let server: Database;
  let logs: readonly string[];
  let dropped: { readonly gtid: string; readonly log: string; readonly start: number };
  let cache: string;
  let targets = 0;

  /** Run the program. */
  function run(args: readonly string[], onStart: (pid: number) => void = () => {}): Promise<Result> {
    return new Promise((resolve) => {
      const words = [MAIN, "--config", join(scratch, "twindb.cfg"), ...args];
      const PATH = `${isMariadb ? "" : `${MYSQL_BIN}:`}/usr/bin:/bin:/usr/sbin`;
      const env = { PATH, HOME: scratch, TMPDIR: join(scratch, "tmp") };
      const child = execFile(process.execPath, words, { env }, (_error, stdout, stderr) =>
        resolve({ exitCode: child.exitCode, stdout, stderr }),
      );
      onStart(child.pid ?? 0);
    });
  }

  function newTarget(): string {
    return join(scratch, `restored-${targets++}`);
  }

  async function restore(...args: readonly string[]): Promise<{ readonly target: string; readonly told: Told }> {
    const target = newTarget();
    const result = await run(["restore", "mysql", "latest", "--dst", target, "--cache", cache, "--json", ...args]);
    expect(result).toMatchObject({ exitCode: 0, stderr: "" });
    return { target, told: (JSON.parse(result.stdout) as { recovered: Told }).recovered };
  }

  type Told = {
    readonly gtid: string;
    readonly last_gtid: string;
    readonly transactions: number;
    readonly position: number;
  };

  /** What is in a restored directory, once a server runs on it as on any other. */
  async function inside<T>(target: string, look: (server: Database) => Promise<T>): Promise<T> {
    rmSync(join(target, "_config"), { recursive: true, force: true });
    const restored = await product.start({ datadir: target });
    try {
      return await look(restored);
    } finally {
      await restored.stop();
      rmSync(target, { recursive: true, force: true });
    }
  }

  async function backUp(interval: string): Promise<void> {
    const args = ["backup", interval, "--full", "--only", "mysql", "--lock-file", join(scratch, "lock")];
    expect(await run(args)).toMatchObject({ exitCode: 0, stderr: "" });
  }

  function idsIn(target: string): Promise<string> {
    return inside(target, ({ sql }) => sql("SELECT COUNT(*), COALESCE(MAX(id), 0) FROM shop.steady"));
  }

  beforeAll(async () => {
    scratch = mkdtempSync(join(tmpdir(), "recover-"));
    chmodSync(scratch, 0o755);
    cache = join(scratch, "cache");
    for (const name of ["tmp", "cache"]) mkdirSync(join(scratch, name));
    chmodSync(join(scratch, "tmp"), 0o1777);
    server = await product.start({ lines: ["event_scheduler=OFF"] });
    await server.sql(`CREATE DATABASE shop; CREATE TABLE shop.steady (id INT PRIMARY KEY, v VARCHAR(200), at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6));
      CREATE TABLE shop.dear (id INT PRIMARY KEY); INSERT INTO shop.dear VALUES (1), (2)`);
    const sections = [
      "[source]\nbackup_mysql=yes",
      "[destination]\nbackup_destination=local",
      `[local]\nbackup_dir=${join(scratch, "copies")}`,
      `[mysql]\nmysql_defaults_file=${server.defaultsFile}\nfull_backup=daily${isMariadb ? "" : "\nengine=clone"}`,
      "[compression]\nprogram=zstd\nthreads=1",
    ];
    writeFileSync(join(scratch, "twindb.cfg"), `${sections.join("\n\n")}\n`, { mode: 0o600 });
    const state = { isDone: false };
    const writing = write(server, written, () => state.isDone);
    await backUp("daily");
    for (let turn = 0; turn < 3; turn++) {
      await pause(Math.max(1500, (MOMENTS * 1000) / 3));
      await server.sql("FLUSH BINARY LOGS");
      if (turn === 1 && isMariadb) await backUp("weekly");
    }
    await server.sql("INSERT INTO shop.dear VALUES (3); DROP TABLE shop.dear");
    await pause(500);
    state.isDone = true;
    await writing;
    await server.sql("FLUSH BINARY LOGS");
    const names = readdirSync(server.datadir)
      .filter((name) => /^binlog\.\d+$/.test(name))
      .sort()
      .slice(0, -1);
    logs = names.map((name) => join(server.datadir, name));
    const push = await run(["binlog", "push", "--lock-file", join(scratch, "lock")]);
    expect(push).toMatchObject({ exitCode: 0, stderr: "" });
    dropped = await findDrop();
  }, 120_000);
  afterAll(async () => {
    await server?.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  /** The transaction that drops the table, by the tool of the server. */
  async function findDrop(): Promise<typeof dropped> {
    const log = logs.at(-1) ?? "";
    const events = await server.sql(`SHOW BINLOG EVENTS IN '${basename(log)}'`);
    const drop = events.split("\n").find((line) => /DROP TABLE/.test(line));
    const position = Number(drop?.split("\t")[1]);
    const found = (await transactionsOf(log)).found.find(({ start, end }) => start <= position && position < end);
    return { gtid: found?.gtid ?? "", log, start: found?.start ?? 0 };
  }

  /** Moments at which nothing was being written, and the last row committed before. */
  function moments(): { readonly at: string; readonly last: number }[] {
    const [first, end] = [written[0]?.sent ?? 0, written.at(-1)?.sent ?? 0];
    if (isMariadb) {
      // Its logs tell whole seconds: of when the statement began, or of the commit, by the version.
      const from = Math.ceil(end / 1000) - MOMENTS;
      const seconds = Array.from({ length: MOMENTS }, (_, index) => from + index);
      return seconds
        .filter((second) => !isDoubtful(second * 1000, written))
        .map((second) => ({
          at: formatMoment(second * 1e6),
          last: written.findLast(({ acknowledged }) => acknowledged < second * 1000)?.id ?? 0,
        }));
    }
    const quiet = written.flatMap(({ id, acknowledged }, index) => {
      const next = written[index + 1]?.sent ?? 0;
      const isInside = acknowledged > first + (end - first) / 2 && acknowledged < end - 1500;
      return next - acknowledged >= 3 && isInside ? [{ id, acknowledged }] : [];
    });
    return Array.from({ length: MOMENTS }, () => {
      const { id = 0, acknowledged = 0 } = quiet[Math.floor(Math.random() * quiet.length)] ?? {};
      return { at: formatMoment((acknowledged + 1) * 1000 + 500), last: id };
    });
  }

  test(
    "holds exactly what was committed before it",
    async () => {
      const chosen = moments();
      expect(chosen.length).toBeGreaterThanOrEqual(4);
      for (const { at, last } of chosen) {
        const { target } = await restore("--to-time", at);
        expect({ at, rows: await idsIn(target) }).toEqual({ at, rows: `${last}\t${last}` });
      }
    },
    120_000 + MOMENTS * 10_000,
  );

  /** A transaction in the middle of the logs, and the GTIDs up to it. */
  async function middle(): Promise<{
    readonly gtid: string;
    readonly place: string;
    readonly end: number;
    readonly all: string;
  }> {
    const log = logs.at(-2) ?? "";
    const { found } = await transactionsOf(log);
    const { gtid = "", end = 0 } = found[Math.floor(found.length / 2)] ?? {};
    const all = isMariadb ? gtid : gtid.replace(/:(\d+)$/, ":1-$1");
    return { gtid, end, place: `${basename(log)}:${end}`, all };
  }

  test("stops behind a GTID, and before a place, and keeps the GTIDs", async () => {
    const { gtid, place, end, all } = await middle();
    const byGtid = await restore("--to-gtid", gtid);
    expect(byGtid.told).toMatchObject({ last_gtid: gtid, gtid: all, position: end });
    const byPlace = await restore("--to-position", place);
    // A copy may have been taken right there: then nothing is left to replay.
    expect(byPlace.told).toMatchObject({ position: end, gtid: all });
    const rows = await idsIn(byGtid.target);
    await inside(byPlace.target, async ({ sql }) => {
      expect(await sql("SELECT COUNT(*), COALESCE(MAX(id), 0) FROM shop.steady")).toBe(rows);
      const state = await sql(isMariadb ? "SELECT @@GLOBAL.gtid_slave_pos" : "SELECT @@GLOBAL.gtid_executed");
      expect(state.replaceAll(/\s|\\n/g, "")).toBe(all);
    });
  }, 60_000);

  test("everything but a DROP TABLE", async () => {
    const { target, told } = await restore("--exclude-gtid", dropped.gtid);
    expect(told).toMatchObject({ excluded_gtids: [dropped.gtid] });
    await inside(target, async ({ sql }) => {
      expect(await sql("SELECT GROUP_CONCAT(id ORDER BY id) FROM shop.dear")).toBe("1,2,3");
      expect(await sql("SELECT MAX(id) FROM shop.steady")).toBe(String(written.at(-1)?.id));
    });
  }, 60_000);

  test("tells what it would do, and changes nothing", async () => {
    const target = newTarget();
    const at = formatMoment(((written.at(-1)?.sent ?? 0) - 1600) * 1000);
    const args = ["restore", "mysql", "latest", "--dst", target, "--to-time", at.replace("Z", ""), "--dry-run"];
    const result = await run([...args, "--json"]);
    expect(result).toMatchObject({ exitCode: 0, stderr: expect.stringContaining("read as UTC") });
    const { recovery } = JSON.parse(result.stdout) as { recovery: { logs: object[]; target: object } };
    expect(recovery.logs.length).toBeGreaterThanOrEqual(1);
    expect(recovery.target).toEqual({ kind: "time", before: at });
    const { stdout } = await run(args);
    expect(stdout).toContain(`replay: before ${at}`);
    expect(readdirSync(scratch).filter((name) => name.startsWith(".twindb"))).toEqual([]);
    expect(existsSync(target)).toBe(false);
  });

  test("refuses what cannot be, and leaves nothing", async () => {
    const unknown = dropped.gtid.replace(/\d+$/, "99999999");
    const refusals: readonly (readonly [readonly string[], number, RegExp])[] = [
      [["--to-time", "2001-01-01T00:00:00Z"], 66, /no copy was taken before that/],
      [["--to-time", "2101-01-01T00:00:00Z"], 66, /brings it from 2.*Z to 2.*Z/],
      [["--to-time", "yesterday"], 2, /no date and time/],
      [["--to-time", "latest", "--to-position", "binlog.000001:4"], 2, /exclude each other/],
      [["--to-position", "binlog.999999:4"], 66, /no log that can be reached/],
      [["--to-gtid", unknown], 66, /no log that can be reached/],
    ];
    // These show once the copy is restored, which is the same for both vendors.
    const late: typeof refusals = [
      [["--exclude-gtid", unknown, "--cache", cache], 66, /do not hold that/],
      [
        ["--to-position", `${basename(dropped.log)}:${dropped.start + 1}`, "--cache", cache],
        66,
        /a transaction goes from/,
      ],
    ];
    for (const [args, exitCode, words] of [...refusals, ...(isMariadb ? late : [])]) {
      const target = newTarget();
      const result = await run(["restore", "mysql", "latest", "--dst", target, ...args]);
      expect(result).toMatchObject({ exitCode, stderr: expect.stringMatching(words) });
      expect(existsSync(target)).toBe(false);
      expect(readdirSync(scratch).filter((name) => name.startsWith(".twindb"))).toEqual([]);
    }
  }, 60_000);

  /** Replace a stored object for as long as `work` takes; `undefined` removes it. */
  async function spoiled(
    path: string,
    spoil: (bytes: Buffer) => Buffer | undefined,
    work: () => Promise<void>,
  ): Promise<void> {
    const bytes = readFileSync(path);
    const bad = spoil(Buffer.from(bytes));
    if (bad === undefined) rmSync(path);
    else writeFileSync(path, bad);
    try {
      await work();
    } finally {
      writeFileSync(path, bytes);
    }
  }

  function flip(bytes: Buffer): Buffer {
    const at = Math.floor(bytes.length / 2);
    bytes[at] = (bytes[at] ?? 0) ^ 0x40;
    return bytes;
  }

  function storedLog(log: string): string {
    return join(scratch, "copies", hostname(), "binlog", `${basename(log)}.zst`);
  }

  test.runIf(isMariadb)(
    "crosses a gap only when that is accepted, and names a log that was changed",
    async () => {
      const args = ["restore", "mysql", "latest", "--to-time", "latest", "--cache", cache, "--dst"];
      const lost = storedLog(logs.at(-2) ?? "");
      await spoiled(
        lost,
        () => undefined,
        async () => {
          const refused = await run([...args, newTarget()]);
          expect(refused).toMatchObject({
            exitCode: 66,
            stderr: expect.stringMatching(/a log is damaged or gone.*--accept-gap/),
          });
          const target = newTarget();
          const accepted = await run([...args, target, "--accept-gap"]);
          expect(accepted).toMatchObject({
            exitCode: 0,
            stderr: expect.stringContaining("what was written in a gap is lost"),
          });
          const [count, last] = (await idsIn(target)).split("\t").map(Number);
          expect(last).toBe(written.at(-1)?.id);
          expect(count).toBeLessThan(last ?? 0);
        },
      );
      await spoiled(lost, flip, async () => {
        const target = newTarget();
        const refused = await run([...args, target]);
        expect(refused).toMatchObject({ exitCode: 65, stderr: expect.stringContaining(basename(lost)) });
        expect(existsSync(target)).toBe(false);
      });
    },
    60_000,
  );

  test.runIf(isMariadb)(
    "goes back to an older copy when the newest is damaged and that is allowed",
    async () => {
      const folder = join(scratch, "copies", hostname(), "weekly", "mysql");
      const newest = join(folder, readdirSync(folder)[0] ?? "");
      const args = ["restore", "mysql", "latest", "--to-time", "latest", "--dst"];
      await spoiled(newest, flip, async () => {
        const refused = await run([...args, newTarget()]);
        expect(refused).toMatchObject({ exitCode: 65, stderr: expect.stringContaining(basename(newest)) });
        const target = newTarget();
        const result = await run([...args, target, "--fallback"]);
        expect(result).toMatchObject({ exitCode: 0, stderr: expect.stringMatching(/going back to ".*daily/) });
        const last = String(written.at(-1)?.id);
        expect(await idsIn(target)).toBe(`${last}\t${last}`);
      });
    },
    60_000,
  );

  test.runIf(isMariadb)(
    "verify replays the logs on request, and does not blame the copy for them",
    async () => {
      const args = ["verify", "mysql", "latest", "--with-binlogs", "--json"];
      expect(await run(args)).toMatchObject({
        exitCode: 0,
        stderr: "",
        stdout: expect.stringContaining('"level": "boot"'),
      });
      const log = storedLog(logs.at(-1) ?? "");
      await spoiled(log, flip, async () => {
        const result = await run(args);
        expect(result).toMatchObject({ exitCode: 65, stderr: expect.stringContaining(basename(log)) });
      });
      const { stdout } = await run(["ls", "--type", "mysql"]);
      expect(stdout).toContain("verified");
      expect(stdout).not.toContain("broken");
      const refused = await run([...args, "--level", "prepare"]);
      expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("starts no server") });
    },
    60_000,
  );

  test("goes on after it was killed in the middle", async () => {
    const target = newTarget();
    const args = ["restore", "mysql", "latest", "--dst", target, "--to-time", "latest", "--json"];
    let stage = "";
    const killed = await run(args, (pid) => {
      void (async () => {
        // The journal says that the replay begins.
        while (existsSync(scratch) && !existsSync(join(stage, "journal.json"))) {
          stage = join(scratch, readdirSync(scratch).find((name) => name.startsWith(".twindb-recover-")) ?? "none");
          await pause(2);
        }
        await pause(100);
        process.kill(pid, "SIGKILL");
      })();
    });
    expect(killed.exitCode).toBeNull();
    expect(existsSync(target)).toBe(false);
    expect(statSync(stage).isDirectory()).toBe(true);
    await pause(500);
    const result = await run(args);
    expect(result).toMatchObject({ exitCode: 0, stderr: "" });
    expect(existsSync(stage)).toBe(false);
    const last = String(written.at(-1)?.id);
    expect(await idsIn(target)).toBe(`${last}\t${last}`);
  }, 60_000);
}

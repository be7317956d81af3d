import { chmodSync, cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { GnupgHome } from "../support/gnupg.ts";
import { filesBelow } from "../support/leftovers.ts";
import { anyOf, quietMoments, type Span } from "../support/quiet-moments.ts";
import { lookInto } from "../support/restored.ts";
import type { Database } from "../support/servers/database.ts";
import { hasMariadb } from "../support/servers/mariadb.ts";
import { hasMysql, MYSQL_BIN } from "../support/servers/mysql.ts";
import { REPLAY_MARIADB, REPLAY_MYSQL, type ReplayVendor } from "../support/servers/replay-source.ts";
import { hasSeaweed } from "../support/servers/seaweedfs.ts";
import { hasSshd, type Sshd, sshSection, startSshd } from "../support/servers/sshd.ts";
import { type Commit, STEADY_STATE, STEADY_TABLES, steadyState, writeSteadily } from "../support/steady-writer.ts";
import { BUCKET, type Sections, startSeaweedStore } from "../support/stores.ts";

/** One in each phase of a life, and one more from the first copy to the last phase. */
const KINDS = 7;

/** Restores of each make; as few as meet everything once, unless somebody asks for more. */
const MOMENTS = Number(process.env["MOMENTS"] ?? KINDS - 1);

/** A life long enough that each phase of MariaDB's has a whole second for each of its moments: its logs tell no more. */
const PHASE_MS = { mariadb: Math.max(2100, 1000 * (1.2 + MOMENTS / 6)), mysql: 900 + 50 * MOMENTS };

/** Much of a life is waiting. */
const BESIDE = { concurrent: true };

const LINES = ["event_scheduler=OFF"];

/** A time in which nothing happens to the server but writes, and what came right before. */
type Phase = Span & { readonly behind: string };

/** What is restored, and the last row that has to be there. */
type Moment = {
  readonly behind: string;
  readonly destination: string;
  readonly copy: string;
  readonly target: readonly string[];
  readonly last: number;
};

const gnupg = new GnupgHome();
let recipient: string;
let sshd: Sshd | undefined;
let store: Awaited<ReturnType<typeof startSeaweedStore>> | undefined;

beforeAll(async () => {
  recipient = gnupg.generate({ userId: "moments <backup@example.org>" });
  if (hasSshd()) sshd = await startSshd();
  if (hasSeaweed()) store = await startSeaweedStore();
});
afterAll(async () => {
  await sshd?.stop();
  await store?.stop();
  gnupg[Symbol.dispose]();
});

describe.skipIf(!hasMariadb())("restore mysql to random moments of a life, of MariaDB", BESIDE, () => {
  recovering(REPLAY_MARIADB);
});
describe.skipIf(!hasMysql())("restore mysql to random moments of a life, of MySQL", BESIDE, () => {
  recovering(REPLAY_MYSQL);
});

function recovering(product: ReplayVendor): void {
  const isMariadb = product.vendor === "mariadb";
  const sandboxes = new Map<string, Sandbox>();
  const phases: Phase[] = [];
  /** The first copy. */
  let oldest: string;
  let server: Database;
  let commits: readonly Commit[];
  let targets = 0;

  function destinations(sandbox: (name: string) => Sandbox): Readonly<Record<string, Sections>> {
    return {
      local: { destination: { backup_destination: "local" }, local: { backup_dir: sandbox("local").copies } },
      ...(sshd && {
        ssh: { destination: { backup_destination: "ssh" }, ssh: sshSection(sshd, sandbox("ssh").copies) },
      }),
      ...(store && { s3: store.sections }),
    };
  }

  function configure(): void {
    const make = (name: string): Sandbox => {
      const sandbox = sandboxes.get(name) ?? new Sandbox();
      chmodSync(sandbox.root, 0o755);
      sandboxes.set(name, sandbox);
      return sandbox;
    };
    for (const [name, sections] of Object.entries(destinations(make))) {
      const sandbox = make(name);
      const PATH = `${isMariadb ? "" : `${MYSQL_BIN}:`}/usr/bin:/bin:/usr/sbin`;
      sandbox.surroundings = { env: { PATH, ...store?.env } };
      sandbox.configure({
        ...sections,
        source: { backup_mysql: "yes", hostname: `life-of-${product.vendor}` },
        mysql: {
          mysql_defaults_file: server.defaultsFile,
          full_backup: "daily",
          ...(isMariadb ? {} : { engine: "clone" }),
        },
        compression: { program: "zstd", threads: 1 },
        gpg: { recipient, homedir: gnupg.directory },
        retention: { hourly_copies: 10, daily_copies: 10 },
      });
    }
  }

  async function run(name: string, ...args: readonly string[]): Promise<void> {
    const sandbox = sandboxOf(name);
    const lock = args[0] === "backup" ? [] : ["--lock-file", sandbox.lock];
    expect(await sandbox.run([...args, ...lock])).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
  }

  function sandboxOf(name: string): Sandbox {
    const sandbox = sandboxes.get(name);
    if (sandbox === undefined) throw new Error(`no destination ${name}`);
    return sandbox;
  }

  /** The other destinations get what the first one has; the rest of the life they get as it comes. */
  async function spread(): Promise<void> {
    const { copies } = sandboxOf("local");
    if (sshd !== undefined) cpSync(copies, sandboxOf("ssh").copies, { recursive: true });
    for (const Key of store === undefined ? [] : filesBelow(copies)) {
      await store?.client.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: readFileSync(join(copies, Key)) }));
    }
  }

  async function phase(behind: string): Promise<void> {
    const from = Date.now();
    await pause(isMariadb ? PHASE_MS.mariadb : PHASE_MS.mysql);
    phases.push({ behind, from, to: Date.now() });
  }

  async function restart(how: "shutDown" | "kill"): Promise<void> {
    await server[how]();
    if (how === "kill") await pause(200);
    const { root, datadir, port } = server;
    server = await product.start({ root, datadir, port, lines: LINES });
  }

  beforeAll(
    async () => {
      server = await product.start({ lines: LINES });
      await server.sql(STEADY_TABLES);
      configure();
      const writer = writeSteadily({ socket: () => server.socket, isMariadb });
      await run("local", "backup", "daily", "--only", "mysql");
      await phase("a full copy");
      await server.sql("FLUSH BINARY LOGS");
      await phase("a rotation");
      await run("local", "binlog", "push");
      await run("local", "backup", "hourly", "--only", "mysql");
      await phase(isMariadb ? "an increment" : "another copy");
      await restart("shutDown");
      await phase("a restart");
      await run("local", "binlog", "push");
      await restart("kill");
      await phase("a crash");
      await spread();
      for (const name of sandboxes.keys()) await run(name, "binlog", "push");
      await run("local", "backup", "daily", "--only", "mysql");
      if (sshd !== undefined) await run("ssh", "backup", "daily", "--only", "mysql");
      await phase("a later full copy");
      await writer.stop();
      commits = writer.commits;
      for (const name of sandboxes.keys()) await run(name, "binlog", "push");
      const { stdout } = await sandboxOf("local").run(["status", "--type", "mysql"]);
      const folders = JSON.parse(stdout) as Record<string, Record<string, { readonly type: string }>>;
      const copies = new Map(Object.values(folders).flatMap((folder) => Object.entries(folder)));
      const increments = [...copies.values()].filter(({ type }) => type === "incremental");
      expect([copies.size, increments.length]).toEqual([3, isMariadb ? 1 : 0]);
      oldest = [...copies.keys()].toSorted(byText)[0] ?? "";
    },
    180_000 + 20 * PHASE_MS.mariadb,
  );
  afterAll(async () => {
    await server?.stop();
    for (const sandbox of sandboxes.values()) sandbox[Symbol.dispose]();
  });

  function momentIn(index: number): Moment {
    const turn = index % KINDS;
    const which = phases[Math.min(turn, phases.length - 1)];
    if (which === undefined) throw new Error("there was no life");
    const names = [...sandboxes.keys()];
    const destination = names[(index + Math.floor(index / KINDS)) % names.length] ?? "";
    const { behind, from, to } = which;
    const common = { behind, destination, copy: "latest" };
    const {
      gtid = "",
      place = "",
      id,
    } = anyOf(commits.filter((each) => each.gtid !== undefined && each.sent > from && each.acknowledged < to));
    // Behind a restart, and behind everything, from the very first copy on.
    if (turn === 3) return { ...common, target: ["--to-position", place], last: id };
    if (turn === 5) return { ...common, copy: oldest, target: ["--to-gtid", gtid], last: id };
    const { at, last } = anyOf(quietMoments(which, commits, isMariadb));
    const copy = turn === 6 ? oldest : "latest";
    return { ...common, copy, target: ["--to-time", at], last };
  }

  async function stateAt({ destination, copy, target }: Moment): Promise<string> {
    const sandbox = sandboxOf(destination);
    const directory = sandbox.path(`restored-${targets++}`);
    const args = ["restore", "mysql", copy, "--dst", directory, "--cache", sandbox.directory("cache"), ...target];
    const result = await sandbox.run(args);
    if (result.exitCode !== 0 || result.stderr !== "") return `${result.exitCode}: ${result.stderr}`;
    return lookInto(directory, product.start, ({ sql }) => sql(STEADY_STATE));
  }

  test(
    "holds exactly what was committed before",
    async () => {
      expect(await server.sql(STEADY_STATE)).toBe(steadyState(commits.at(-1)?.id ?? 0));
      for (let index = 0; index < MOMENTS; index++) {
        const moment = momentIn(index);
        expect({ ...moment, state: await stateAt(moment) }).toEqual({ ...moment, state: steadyState(moment.last) });
      }
    },
    60_000 + MOMENTS * 20_000,
  );
}

function byText(left: string, right: string): number {
  return left < right ? -1 : 1;
}

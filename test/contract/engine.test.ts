import {
  chmodSync,
  createReadStream,
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { toKey } from "../../src/domain/key.ts";
import type { Engine, Outcome, Restorer } from "../../src/engine/engine.ts";
import { type Binaries, openEngine, openRestorer } from "../../src/engine/open.ts";
import { type Command, CommandError, into, run, text } from "../../src/lib/command.ts";
import { inspectXbstream } from "../../src/lib/xbstream.ts";
import type { Database, DatabaseOptions } from "../support/servers/database.ts";
import { checksums } from "../support/servers/load.ts";
import { hasMariadb, startMariadb } from "../support/servers/mariadb.ts";
import { hasNextMariadb, NEXT_MARIADB_BIN, startNextMariadb } from "../support/servers/mariadb-next.ts";

type Release = {
  readonly name: string;
  readonly isThere: () => boolean;
  readonly start: (options?: DatabaseOptions) => Promise<Database>;
  readonly binaries: Binaries;
};

const signal = new AbortController().signal;
const INSTALLED: Binaries = { xtrabackup: undefined, xbstream: undefined };

const RELEASES: readonly Release[] = [
  { name: "MariaDB of the system", isThere: hasMariadb, start: startMariadb, binaries: INSTALLED },
  {
    name: "MariaDB 11.8",
    isThere: hasNextMariadb,
    start: startNextMariadb,
    binaries: { xtrabackup: join(NEXT_MARIADB_BIN, "mariadb-backup"), xbstream: undefined },
  },
];

function textsIn(directory: string): Map<string, string> {
  const names = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(names.map(({ name }) => [name, readFileSync(join(directory, name), "latin1")]));
}

/** A copy as it lies somewhere, and what its engine made of it. */
type Taken = { readonly file: string; readonly outcome: Outcome };

type Wanted = {
  readonly engine: Engine;
  readonly server: Database;
  readonly since?: bigint | undefined;
  readonly defaultsFile?: string;
};

async function take(root: string, { engine, server, since, defaultsFile }: Wanted): Promise<Taken> {
  const directory = mkdtempSync(join(root, "copy-"));
  const [lsnDirectory, scratchDirectory] = [join(directory, "lsn"), join(directory, "scratch")];
  for (const each of [lsnDirectory, scratchDirectory]) mkdirSync(each);
  const command = engine.backup({
    defaultsFile: defaultsFile ?? server.defaultsFile,
    hostname: undefined,
    port: undefined,
    socket: server.socket,
    lsnDirectory,
    scratchDirectory,
    incrementalLsn: since,
    parallel: 2,
    galera: false,
  });
  const file = join(directory, "stream");
  let stderr = "";
  await pipeline(run(command, { signal, onFinish: (finished) => (stderr = finished.stderr) }), createWriteStream(file));
  expect(readdirSync(scratchDirectory)).toEqual([]);
  return { file, outcome: { stderr, files: textsIn(lsnDirectory) } };
}

async function unpack(restorer: Restorer, file: string, directory: string): Promise<void> {
  mkdirSync(directory);
  await into(createReadStream(file), restorer.unpack(directory), { signal });
  expect(restorer.lastFiles.some((name) => readdirSync(directory).includes(name))).toBe(true);
}

async function prepare(restorer: Restorer, directory: string, [incremental, isLast]: [string | undefined, boolean]) {
  const command: Command | undefined = restorer.prepare({
    directory,
    incremental,
    isLast,
    memoryBytes: 64 * 1024 ** 2,
  });
  if (command === undefined) throw new Error("there is a step to do");
  let stderr = "";
  await text(command, { signal, onFinish: (finished) => (stderr = finished.stderr) });
  restorer.checkPrepared({ stderr, files: textsIn(directory) });
}

describe.each(RELEASES)("$name", ({ isThere, start, binaries }) => {
  const root = mkdtempSync(join(tmpdir(), "engine-"));
  // The server of the restored directory runs as another user.
  chmodSync(root, 0o755);
  /** Whether to try what does not depend on the release. */
  const isFirst = binaries === INSTALLED && isThere();
  let server: Database;
  let engine: Engine;
  let version: string;

  beforeAll(async () => {
    if (!isThere()) return;
    server = await start();
    version = await server.sql("SELECT @@version");
    const opened = await openEngine({ server: { vendor: "mariadb", version }, wanted: "auto", binaries }, { signal });
    if (opened === "clone") throw new Error("MariaDB has no CLONE");
    engine = opened;
    await server.sql("CREATE DATABASE shop; USE shop; CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(500))");
    await server.sql("USE shop; CREATE TABLE empty (id INT) ENGINE=Aria; CREATE TABLE gone (id INT)");
  });

  afterAll(async () => {
    await server?.stop();
    rmSync(root, { recursive: true, force: true });
  });

  /** A copy of what the server holds now, an increment where there is a parent; checked against the server. */
  async function takeNext(parent: Taken | undefined): Promise<Taken> {
    const since = parent === undefined ? undefined : engine.facts(parent.outcome).toLsn;
    const copy = await take(root, { engine, server, since });
    const report = await inspectXbstream(createReadStream(copy.file));
    expect(engine.lastFiles).toContain(report.lastFile);
    const facts = engine.facts(copy.outcome);
    expect(facts).toMatchObject({ fromLsn: since ?? 0n, serverVersion: version });
    expect(facts.gtid).toBe(await server.sql("SELECT @@gtid_binlog_pos"));
    return copy;
  }

  test.runIf(isThere())("openEngine() finds the tool of the server's release", () => {
    expect(engine).toMatchObject({ name: "mariadb-backup", format: "xbstream", canIncrement: true });
    expect(version.startsWith(engine.version.split(".").slice(0, 2).join("."))).toBe(true);
  });

  test.runIf(isThere())("a full copy and two increments restore to what the server had, and boot", async () => {
    const statements = [
      "INSERT INTO t SELECT seq, REPEAT(MD5(seq), 9) FROM seq_1_to_4000",
      "UPDATE t SET v = REVERSE(v) WHERE id % 7 = 0; CREATE TABLE late (id INT); INSERT INTO late VALUES (1); DROP TABLE gone",
      "DELETE FROM t WHERE id % 5 = 0; ALTER TABLE t ADD COLUMN more INT DEFAULT 3; FLUSH BINARY LOGS",
    ];
    const copies: Taken[] = [];
    for (const statement of statements) {
      await server.sql(`USE shop; ${statement}`);
      copies.push(await takeNext(copies.at(-1)));
    }
    const facts = copies.map(({ outcome }) => engine.facts(outcome));
    const [file = "", offset] = (await server.sql("SHOW MASTER STATUS")).split("\t");
    expect(facts.at(-1)?.binlog).toEqual({ file, offset: Number(offset) });

    const origin = { vendor: "mariadb", format: "xbstream", key: toKey("h/daily/mysql/mysql-x.xbstream") } as const;
    const { toolVersion, serverVersion } = facts[0] ?? {};
    const restorer = await openRestorer(
      { ...origin, tool: engine.name, toolVersion, serverVersion },
      { binaries, signal },
    );
    const base = join(root, "base");
    for (const [index, copy] of copies.entries()) {
      const directory = index === 0 ? base : join(root, `increment-${index}`);
      await unpack(restorer, copy.file, directory);
      await prepare(restorer, base, [index === 0 ? undefined : directory, index === copies.length - 1]);
    }
    const restored = await start({ datadir: base });
    try {
      expect(await checksums(restored)).toEqual(await checksums(server));
      expect(await restored.sql("SHOW TABLES IN shop")).toBe("empty\nlate\nt");
    } finally {
      await restored.stop();
    }
  });

  test.runIf(isFirst)("a stream that the tool's own extractor takes for whole is refused", async () => {
    const { file } = await take(root, { engine, server });
    const bytes = readFileSync(file);
    const cut = bytes.subarray(0, bytes.lastIndexOf("XBSTCK01", bytes.lastIndexOf("XBSTCK01") - 1));
    writeFileSync(file, cut);
    await expect(inspectXbstream(createReadStream(file))).rejects.toMatchObject({ code: "DATA_DAMAGED" });
    mkdirSync(join(root, "cut"));
    await into(createReadStream(file), engine.unpack(join(root, "cut")), { signal });
    expect(readdirSync(join(root, "cut")).filter((name) => engine.lastFiles.includes(name))).toEqual([]);
  });

  test.runIf(isFirst).each([
    ["databases=shop", "it holds only a part of the server"],
    ["compress", "it holds files that the tool compressed itself"],
  ])("facts() refuses what %s in the option file leads to", async (line, message) => {
    const defaultsFile = join(root, "odd.cnf");
    writeFileSync(defaultsFile, `${readFileSync(server.defaultsFile, "utf8")}[mariadb-backup]\n${line}\n`);
    const { outcome } = await take(root, { engine, server, defaultsFile });
    expect(() => engine.facts(outcome)).toThrow(message);
  });

  test.runIf(isFirst)("hintFor() knows what to do about a missing privilege, whose hash is not told", async () => {
    await server.sql("CREATE USER poor@localhost IDENTIFIED BY 'secret'; GRANT PROCESS ON *.* TO poor@localhost");
    const defaultsFile = join(root, "poor.cnf");
    writeFileSync(defaultsFile, `[client]\nuser=poor\npassword=secret\nsocket=${server.socket}\n`, { mode: 0o600 });
    const error: unknown = await take(root, { engine, server, defaultsFile }).catch((error: unknown) => error);
    if (!(error instanceof CommandError)) throw error;
    expect(engine.hintFor(error.stderrTail)).toMatch(/^Grant RELOAD to the user/);
    expect(error.message).toContain("RELOAD");
    expect(error.message).not.toMatch(/\*[0-9A-F]{40}/);
  });
});

describe("openEngine() and openRestorer()", () => {
  const mysql = { vendor: "oracle", version: "8.4.6" } as const;
  const copy = {
    key: toKey("h/daily/mysql/mysql-x.xbstream"),
    vendor: "mariadb",
    tool: "mariadb-backup",
    serverVersion: undefined,
    format: "xbstream",
  } as const;

  test.runIf(hasMariadb())("a tool of another release or vendor is refused, with what to install", async () => {
    const open = (server: { vendor: "mariadb" | "oracle"; version: string }, binaries = INSTALLED) =>
      openEngine({ server, wanted: "auto", binaries }, { signal });
    await expect(open({ vendor: "mariadb", version: "13.0.1-MariaDB" })).rejects.toThrow("needs mariadb-backup 13.0");
    const named = { xtrabackup: "/usr/bin/mariadb-backup", xbstream: undefined };
    await expect(open(mysql, named)).rejects.toThrow("it copies MariaDB only, the server is MySQL");
    await expect(open(mysql, { ...named, xtrabackup: "/usr/bin/tar" })).rejects.toMatchObject({ exitCode: 64 });
    await expect(open(mysql, { ...named, xtrabackup: "/nowhere" })).rejects.toThrow("xtrabackup_binary names it");
    await expect(openRestorer({ ...copy, toolVersion: "13.0.1" }, { binaries: INSTALLED, signal })).rejects.toThrow(
      /^Cannot prepare ".*": mariadb-backup 13.0 is not installed, mariadb-backup is \d/,
    );
  });

  test("MySQL without any tool takes CLONE, unless a tool is wanted", async () => {
    await expect(openEngine({ server: mysql, wanted: "auto", binaries: INSTALLED }, { signal })).resolves.toBe("clone");
    await expect(
      openEngine({ server: mysql, wanted: "xtrabackup", binaries: INSTALLED }, { signal }),
    ).rejects.toMatchObject({
      message: "Cannot copy the server: XtraBackup 8.4 is not installed",
      hint: expect.stringContaining("or set engine=clone under [mysql]"),
    });
  });

  test("a copy of CLONE needs no tool", async () => {
    const clone = { ...copy, vendor: "oracle", tool: "clone", toolVersion: undefined, format: "tar" } as const;
    const restorer = await openRestorer(clone, { binaries: INSTALLED, signal });
    const root = mkdtempSync(join(tmpdir(), "engine-"));
    try {
      for (const each of ["data", "target"]) mkdirSync(join(root, each));
      writeFileSync(join(root, "data", "ibdata1"), "pages");
      const archive = run({ file: "tar", args: ["-c", "-f", "-", "-C", join(root, "data"), "."] }, { signal });
      await into(archive, restorer.unpack(join(root, "target")), { signal });
      expect(readFileSync(join(root, "target", "ibdata1"), "utf8")).toBe("pages");
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});

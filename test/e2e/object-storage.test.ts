import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { quoteShellWord } from "../../src/config/shell-words.ts";
import type { Destination } from "../../src/destination/destination.ts";
import { toKey } from "../../src/domain/key.ts";
import { manifestKey } from "../../src/domain/manifest.ts";
import { statusOf } from "../../src/domain/status.ts";
import { formatManifest } from "../../src/status/manifest-codec.ts";
import { Sandbox } from "../support/cli.ts";
import { filesCopy } from "../support/copies.ts";
import { GnupgHome } from "../support/gnupg.ts";
import { filesBelow, temporaryDirectories } from "../support/leftovers.ts";
import { copiesOf, type Described, described, restored } from "../support/listed.ts";
import { checksums } from "../support/servers/load.ts";
import { hasMariadb, type Mariadb, startMariadb } from "../support/servers/mariadb.ts";
import { shelfOn } from "../support/shelves.ts";
import { openStore, type Sections, STORES, type Store, type StoreKind } from "../support/stores.ts";
import { noise } from "../support/streams.ts";
import { makeNastyTree } from "../support/tree.ts";

const { signal } = new AbortController();
/** More than one part. */
const LARGE_BYTES = 9_000_000;
const MANY = 1500;

const root = mkdtempSync(join(tmpdir(), "twindb-stores-"));
const gnupg = new GnupgHome();
let recipient: string;
let trees: Described[];
let server: Mariadb | undefined;

beforeAll(async () => {
  const names = [`it's a "name"`, "größe, mit Leerzeichen", "nasty"];
  const [quotes = "", large = "", nasty = ""] = names.map((name) => join(root, name));
  for (const directory of [quotes, large]) mkdirSync(directory);
  writeFileSync(join(quotes, "my.cnf"), "[mysqld]\n");
  writeFileSync(join(large, "noise"), noise(LARGE_BYTES));
  makeNastyTree(nasty);
  trees = [quotes, large, nasty].map(described);
  recipient = gnupg.generate({ userId: "stores <backup@example.org>" });
  if (hasMariadb()) server = await startMariadb();
});

afterAll(async () => {
  await server?.stop();
  gnupg[Symbol.dispose]();
  rmSync(root, { recursive: true, force: true });
});

/** A sandbox whose copies go to a store, of all directories unless `sections` say otherwise. */
function sandboxOn(store: Store, sections: Sections = {}): Sandbox {
  const sandbox = new Sandbox();
  // The server's user has to get at what is restored below it.
  chmodSync(sandbox.root, 0o755);
  sandbox.surroundings = { env: store.env };
  const directories = trees.map(({ directory }) => quoteShellWord(directory)).join(" ");
  sandbox.configure({
    ...store.sections,
    compression: { program: "zstd", threads: 1 },
    retention: { hourly_copies: 3, daily_copies: 3 },
    ...sections,
    source: { hostname: "db7", backup_dirs: directories, ...sections["source"] },
    destination: { ...store.sections["destination"], ...sections["destination"] },
  });
  return sandbox;
}

async function backup(sandbox: Sandbox, runType = "daily"): Promise<void> {
  expect(await sandbox.run(["backup", runType])).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
}

/** Names of what lies on a store besides copies, manifests and status files. */
async function leftoversOn(destination: Destination): Promise<string[]> {
  const entries = await Array.fromAsync(destination.list("", { signal }));
  return entries.map(({ key }) => key).filter((key) => key.endsWith(".unfinished") || key.includes("/check-"));
}

async function withDestination<T>(store: Store, use: (destination: Destination) => Promise<T>): Promise<T> {
  await using destination = await openStore(store);
  return await use(destination);
}

/** What one store is tried with besides: each of them once is enough. */
const EXTRAS: Readonly<Record<string, "kept" | "encrypted">> = { SeaweedFS: "kept", versitygw: "encrypted" };

function extraSections({ name }: StoreKind, sandbox: Sandbox): Sections {
  switch (EXTRAS[name]) {
    case "kept":
      return { destination: { keep_local_path: sandbox.path("kept") } };
    case "encrypted":
      return { gpg: { recipient, homedir: gnupg.directory } };
    case undefined:
      return {};
  }
  throw new TypeError(name);
}

describe.each(STORES.filter(({ has }) => has()))("backup to $name", (kind) => {
  let store: Store;

  beforeAll(async () => {
    store = await kind.start();
  });
  afterAll(async () => {
    await store.stop();
  });

  test("copies directories, restores them as they were, and expires what is old", async () => {
    using scratch = new Sandbox();
    using sandbox = sandboxOn(store, extraSections(kind, scratch));
    await backup(sandbox);
    const first = await copiesOf(sandbox);
    expect(new Set(first.map(({ directory }) => directory))).toEqual(new Set(trees.map(({ directory }) => directory)));
    expect(first.every(({ key }) => key.endsWith(EXTRAS[kind.name] === "encrypted" ? ".gpg" : ".zst"))).toBe(true);
    for (const tree of trees) {
      const { key = "" } = first.find(({ directory }) => directory === tree.directory) ?? {};
      expect(await restored(sandbox, key, tree)).toEqual([]);
    }
    expect(await sandbox.run(["verify", "file", "all"])).toMatchObject({ exitCode: 0, stderr: "" });
    if (EXTRAS[kind.name] === "kept") expect(filesBelow(scratch.path("kept"))).toHaveLength(trees.length);

    for (let run = 0; run < 3; run++) await backup(sandbox);
    const kept = await copiesOf(sandbox);
    expect(kept).toHaveLength(3 * trees.length);
    expect(kept.filter(({ key }) => first.some((gone) => gone.key === key))).toEqual([]);
    expect(temporaryDirectories(sandbox.temporary)).toEqual([]);
    await withDestination(store, async (destination) => {
      expect(await leftoversOn(destination)).toEqual([]);
      // Data and manifest of each, the status and the one before it.
      expect(await Array.fromAsync(destination.list("", { signal }))).toHaveLength(2 * kept.length + 2);
    });
  });

  test("rebuilds a status that was removed", async () => {
    using sandbox = sandboxOn(store);
    const before = await copiesOf(sandbox);
    await withDestination(store, async (destination) => {
      for (const name of ["files-status", "files-status.previous"]) {
        await destination.remove(toKey(`db7/${name}`), { signal });
      }
    });
    expect(await sandbox.run(["status", "rebuild", "--hostname", "db7"])).toMatchObject({ exitCode: 0, stderr: "" });
    const keysOf = (rows: typeof before) => rows.map(({ key, bytes, sha256 }) => ({ key, bytes, sha256 }));
    expect(keysOf(await copiesOf(sandbox))).toEqual(keysOf(before));
    await backup(sandbox);
  });

  test("is found fit by check, which leaves nothing", async () => {
    using sandbox = sandboxOn(store);
    const result = await sandbox.run(["check", "--destination", "--json"]);
    expect(result).toMatchObject({ exitCode: 0, stderr: "" });
    const findings = JSON.parse(result.stdout) as { name: string; result: string }[];
    const names = ["destination", "list", "write", "read", "listing", "clock", "large object", "replace", "conditions"];
    const expected = [...names, "delete"].map((name) => {
      return `${name}: ${name === "conditions" && kind.conditions === "none" ? "warning" : "ok"}`;
    });
    expect(findings.map(({ name, result }) => `${name}: ${result}`)).toEqual(expected);
    expect((await sandbox.run(["check"])).exitCode).toBe(0);
    await withDestination(store, async (destination) => expect(await leftoversOn(destination)).toEqual([]));
  });

  test("shares a copy by a URL, or says why it cannot", async () => {
    using sandbox = sandboxOn(store);
    const copy = (await copiesOf(sandbox)).at(-1)!;
    const result = await sandbox.run(["share", `s3://bucket/${copy.key}`, "--expires", "5m", "--json"]);
    if (!kind.canShare) {
      expect(result.exitCode).not.toBe(0);
      expect(result.stderr).toMatch(/^twindb-backup: Cannot share .*\n$/);
      return;
    }
    expect(result).toMatchObject({ exitCode: 0, stderr: "" });
    const { key, url } = JSON.parse(result.stdout) as { key: string; url: string };
    expect(key).toBe(copy.key);
    const answer = await fetch(url);
    expect(answer.status).toBe(200);
    expect(
      createHash("sha256")
        .update(await answer.bytes())
        .digest("hex"),
    ).toBe(copy.sha256);
    const [bare = ""] = url.split("?");
    expect((await fetch(bare)).status).toBeGreaterThanOrEqual(400);
    const missing = await sandbox.run(["share", "db7/daily/files/_nothing-2026-01-01_00_00_00.tar"]);
    expect(missing).toMatchObject({ exitCode: 66, stdout: "" });
  });

  test.skipIf(!hasMariadb())("copies a server, and restores a copy that starts", async () => {
    const { defaultsFile, sql } = server!;
    await sql("create database if not exists shop; create table if not exists shop.t (id int primary key, v text)");
    using sandbox = sandboxOn(store, {
      source: { backup_mysql: "yes", backup_dirs: "" },
      mysql: { mysql_defaults_file: defaultsFile, full_backup: "daily" },
    });
    await backup(sandbox);
    await sql("use shop; replace into shop.t select seq, md5(seq) from seq_1_to_500");
    const isIncremental = kind.name === "SeaweedFS";
    if (isIncremental) await backup(sandbox, "hourly");
    else await backup(sandbox);
    const sums = await checksums(server!);
    const target = sandbox.path("restored");
    const result = await sandbox.run(["restore", "mysql", "latest", "--hostname", "db7", "--dst", target]);
    expect(result).toMatchObject({ exitCode: 0, stderr: "" });
    const status = await sandbox.run(["status", "--type", "mysql", "--hostname", "db7"]);
    expect(status.stdout.includes('"type": "incremental"') || status.stdout.includes('"incremental"')).toBe(
      isIncremental,
    );
    const copy = await startMariadb({ datadir: target });
    try {
      expect(await checksums(copy)).toEqual(sums);
    } finally {
      await copy.stop();
    }
  });

  test.skipIf(!kind.hasPages)(`lists ${MANY} copies, and expires some of them`, async () => {
    await withDestination(store, plantMany);
    using sandbox = sandboxOn(store, {
      source: { hostname: "db7", backup_dirs: "" },
      retention: { daily_copies: MANY - 49 },
    });
    const ofMany = async () => (await copiesOf(sandbox)).filter(({ directory }) => directory === root);
    const before = await ofMany();
    expect(before).toHaveLength(MANY);
    expect(before.every(({ state }) => state === "stored")).toBe(true);
    const result = await sandbox.run(["expire", "--hostname", "db7", "--lock-file", sandbox.lock]);
    expect(result).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
    expect((await ofMany()).map(({ key }) => key)).toEqual(before.slice(49).map(({ key }) => key));
  });
});

test("share says which destinations have URLs, where the configured one has none", async () => {
  using sandbox = new Sandbox();
  const local = { backup_dir: sandbox.directory("copies") };
  sandbox.configure({ source: { backup_dirs: "" }, destination: { backup_destination: "local" }, local });
  const result = await sandbox.run(["share", "db7/daily/files/_etc-2026-11-21_00_00_00.tar"]);
  expect(result).toMatchObject({ exitCode: 2, stdout: "" });
  expect(result.stderr).toMatch(/: a destination of kind local has no URLs\. Share from .* s3, gcs or az, [^\n]*\n$/);
});

/** Small copies of a directory, put there without runs. */
async function plantMany(destination: Destination): Promise<void> {
  const { status } = shelfOn(destination, "files");
  const copies = Array.from({ length: MANY }, (_, index) =>
    filesCopy(new Date(2020, 0, 1, index), { directory: root }),
  );
  const planted = copies.map((copy) => ({
    ...copy,
    bytes: 5,
    sha256: createHash("sha256").update("small").digest("hex"),
  }));
  const rest = planted.values();
  const work = async (): Promise<void> => {
    for (const copy of rest) {
      await destination.replaceSmall(copy.key, Buffer.from("small"), { expected: undefined, signal });
      await destination.replaceSmall(manifestKey(copy.key), formatManifest(copy), { expected: undefined, signal });
    }
  };
  await Promise.all(Array.from({ length: 16 }, work));
  await status.update((now) => statusOf([...now.copies, ...planted]), { signal });
}

import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { MysqlFullCopy } from "../../../src/domain/copy.ts";
import { BackupError } from "../../../src/domain/errors.ts";
import { planRestore } from "../../../src/domain/restore-plan.ts";
import { cloneRestorer } from "../../../src/engine/clone.ts";
import { lookAhead } from "../../../src/job/dry-run.ts";
import {
  type MysqlRestore,
  type RestoredFacts,
  type RestoreTarget,
  restoreMysql,
} from "../../../src/job/restore-mysql.ts";
import { storeCopy } from "../../../src/job/shelf.ts";
import { spaceWarnings } from "../../../src/job/space.ts";
import { at, fullCopy } from "../../support/copies.ts";
import { FailingDestination, unreachable } from "../../support/failing-destination.ts";
import { shelfOn } from "../../support/shelves.ts";
import { chunks } from "../../support/streams.ts";

const { signal } = new AbortController();
const UUID = "7d3c1fd4-c6ae-11f0-9c5e-8f2f0a1b2c3d";

let scratch: string;
let tree: string;
let destination: FailingDestination;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "restore-mysql-test-"));
  tree = join(scratch, "tree");
  mkdirSync(tree);
  writeFileSync(join(tree, "ibdata1"), "data");
  destination = new FailingDestination();
});
afterEach(() => rmSync(scratch, { recursive: true }));

/** Store what is in `tree` as the CLONE plugin's data directory is stored: a plain archive, which needs no preparing. */
async function stored(facts: Partial<MysqlFullCopy> = {}): Promise<MysqlFullCopy> {
  const archive = execFileSync("tar", ["-C", tree, "-cf", "-", "."]);
  const copy = fullCopy(at(1), { format: "tar", tool: "clone", vendor: "oracle", suffixes: [], ...facts });
  const describe = (digest: { bytes: number; sha256: string }) => ({ ...digest, ...copy });
  await storeCopy(shelfOn(destination, "mysql"), { key: copy.key, content: chunks(archive), describe }, { signal });
  return copy;
}

function requestFor(copy: MysqlFullCopy): MysqlRestore {
  return {
    plan: planRestore(copy, [{ copy, doubt: undefined }]),
    openPart: async () => ({
      decoders: [],
      explain: (error) => error,
      destination,
      stored: copy,
      async [Symbol.asyncDispose]() {},
    }),
    openRestorer: async () => cloneRestorer("8.0.40"),
    cache: undefined,
    memoryBytes: 1,
    idleSeconds: 0,
    signal,
  };
}

function restore(copy: MysqlFullCopy, to: Partial<RestoreTarget> = {}): Promise<RestoredFacts> {
  return restoreMysql(requestFor(copy), { target: join(scratch, "target"), withConfig: true, ...to });
}

function leftovers(): string[] {
  return readdirSync(scratch).filter((name) => name !== "tree");
}

describe("restoreMysql()", () => {
  test("restoreMysql() lets a node join its cluster where the copy stands, and takes nothing else of the old node", async () => {
    writeFileSync(join(tree, "xtrabackup_galera_info"), `${UUID}:1234\n`);
    for (const name of ["gvwstate.dat", "auto.cnf", "galera.cache", "grastate.dat"])
      writeFileSync(join(tree, name), "old");
    const facts = await restore(await stored({ galeraVersion: "26.4.14" }));
    expect(facts).toMatchObject({ galera: { uuid: UUID, seqno: 1234n }, warnings: [] });
    const target = join(scratch, "target");
    expect(readdirSync(target).sort()).toEqual(["grastate.dat", "ibdata1", "xtrabackup_galera_info"]);
    expect(readFileSync(join(target, "grastate.dat"), "utf8")).toContain(
      `uuid:    ${UUID}\nseqno:   1234\nsafe_to_bootstrap: 0\n`,
    );
  });

  test("restoreMysql() says so when the place in the cluster is not known", async () => {
    const facts = await restore(await stored({ galeraVersion: "26.4.14" }));
    expect(facts.warnings).toEqual([expect.stringContaining("does not tell its place in the cluster")]);
    expect(existsSync(join(scratch, "target", "grastate.dat"))).toBe(false);
  });

  test("restoreMysql() writes config files of the copy below _config, for their owner only", async () => {
    const config = new Map([
      ["/etc/my.cnf", "[mysqld]\n"],
      ["/etc/my.cnf/below", "x"],
      ["/etc/../../../outside.cnf", "x"],
    ]);
    const facts = await restore(await stored({ config }));
    expect(readFileSync(join(scratch, "target", "_config", "etc", "my.cnf"), "utf8")).toBe("[mysqld]\n");
    expect(statSync(join(scratch, "target", "_config", "etc", "my.cnf")).mode & 0o777).toBe(0o600);
    expect(facts.warnings).toEqual([
      'the config file "/etc/my.cnf/below" of the copy is left out: another one has its place',
      'the config file "/etc/../../../outside.cnf" of the copy is left out: it is no absolute path',
    ]);
  });

  test("restoreMysql() follows no link that a copy brings along", async () => {
    const outside = join(scratch, "outside");
    mkdirSync(outside);
    symlinkSync(outside, join(tree, "_config"));
    symlinkSync(join(outside, "grastate"), join(tree, "grastate.dat"));
    writeFileSync(join(tree, "xtrabackup_galera_info"), `${UUID}:1\n`);
    const facts = await restore(await stored({ config: new Map([["/etc/my.cnf", "x"]]) }));
    expect(readdirSync(outside)).toEqual([]);
    expect(facts).toMatchObject({ hasConfig: false, warnings: [expect.stringContaining("has a _config of its own")] });
  });

  test("restoreMysql() leaves nothing when what finishes it fails", async () => {
    const finish = () => Promise.reject(new Error("no such user"));
    await expect(restore(await stored(), { finish })).rejects.toThrow("no such user");
    expect(leftovers()).toEqual([]);
  });

  test("restoreMysql() refuses before it fetches what cannot fit", async () => {
    const copy = await stored({ rawBytes: Number.MAX_SAFE_INTEGER });
    await expect(restore(copy)).rejects.toMatchObject({ code: "NO_SPACE" });
    expect(destination.calls).not.toContain("get");
    expect(leftovers()).toEqual([]);
  });

  test("restoreMysql() blames no copy for a destination that cannot be reached", async () => {
    const copy = await stored();
    destination.faults.push({ on: "get", error: unreachable() });
    await expect(restore(copy)).rejects.toMatchObject({ name: "BackupError", code: "UNREACHABLE" });
    expect(leftovers()).toEqual([]);
  });
});

describe("lookAhead()", () => {
  test("lookAhead() finds what is there, and reads nothing", async () => {
    const copy = await stored();
    const outlook = await lookAhead({ ...requestFor(copy), target: join(scratch, "not", "there") });
    expect(outlook).toMatchObject({ tooling: [{ found: ["clone 8.0.40"], missing: [] }], problems: [] });
    expect(outlook.freeBytes).toBeGreaterThan(0);
    expect(destination.calls).not.toContain("get");
    expect(leftovers()).toEqual([]);
  });

  test("lookAhead() tells a lack of room as a problem", async () => {
    const copy = await stored({ rawBytes: Number.MAX_SAFE_INTEGER });
    const { problems } = await lookAhead({ ...requestFor(copy), target: join(scratch, "target") });
    expect(problems).toMatchObject([{ code: "NO_SPACE", message: expect.stringContaining("are free") as string }]);
  });

  test("lookAhead() tells of a target that is taken, and of what else is wrong with it", async () => {
    const copy = await stored();
    const checkTarget = () => Promise.reject(new BackupError("USAGE", 'Cannot restore into "x": a server runs there'));
    const { problems } = await lookAhead({ ...requestFor(copy), target: tree, checkTarget });
    expect(problems.map(({ message }) => message)).toEqual([
      `Cannot restore into "${tree}": it holds "ibdata1"`,
      'Cannot restore into "x": a server runs there',
    ]);
  });
});

test("spaceWarnings() warns of an estimate that does not fit, and of nothing else", () => {
  const copy = fullCopy(at(1));
  const plan = planRestore(copy, [{ copy, doubt: undefined, storedBytes: 1000 }]);
  expect(spaceWarnings(plan, 3999)).toEqual(["it may take 3.9 KiB, as an estimate, and 3.9 KiB are free"]);
  expect(spaceWarnings(plan, 4000)).toEqual([]);
  expect(spaceWarnings(plan, undefined)).toEqual([]);
});

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Outcome } from "../../../src/engine/engine.ts";
import { adviceFor } from "../../../src/engine/hints.ts";
import { SAMPLES, sample, sampleEngine, sampleOutcome, TOOLS } from "./samples.ts";

const TOOL = "mariadb-backup-10.11";

/** An outcome with a piece of one of its files replaced. */
function changed(run: string, file: string, [from, to]: readonly [string, string]): Outcome {
  const outcome = sampleOutcome(TOOL, run);
  const text = outcome.files.get(file) ?? "";
  expect(text).toContain(from);
  return { ...outcome, files: new Map([...outcome.files, [file, text.replace(from, to)]]) };
}

describe("facts()", () => {
  test.each(TOOLS)("facts() of %s are those of the golden file", async (name) => {
    const engine = sampleEngine(name);
    const facts = ["full", "increment"].map((run) => engine.facts(sampleOutcome(name, run)));
    const text = JSON.stringify(facts, (_, value: unknown) => (typeof value === "bigint" ? `${value}n` : value), 2);
    await expect(`${text}\n`).toMatchFileSnapshot(`../../golden/engine/${name}.json`);
  });

  test.each([
    ["is silent", ""],
    ["was killed", "[00] 2026-11-21 13:21:40 Streaming ./d/t.ibd\n"],
    ["failed after an earlier success", "completed OK!\nFATAL ERROR: it failed\n"],
    ["only mentions it", "it would have said completed OK! later\n"],
  ])("facts() refuses a tool that %s", (_, stderr) => {
    const outcome = { ...sampleOutcome(TOOL, "full"), stderr };
    expect(() => sampleEngine(TOOL).facts(outcome)).toThrow(
      expect.objectContaining({ code: "PROGRAM_FAILED", message: expect.stringContaining("completed OK!") }),
    );
  });

  test("facts() takes the advice from what the tool said", () => {
    const stderr = sample("failures", "mariadb-10.11-server-down.log");
    expect(() => sampleEngine(TOOL).facts({ ...sampleOutcome(TOOL, "full"), stderr })).toThrow(
      expect.objectContaining({ hint: "Start the server, or correct hostname, port and socket under [mysql]." }),
    );
  });

  test.each(["xtrabackup_checkpoints", "xtrabackup_info"])("facts() refuses a copy without %s", (name) => {
    const outcome = sampleOutcome(TOOL, "full");
    const files = new Map([...outcome.files].filter(([file]) => file !== name));
    expect(() => sampleEngine(TOOL).facts({ ...outcome, files })).toThrow(`Cannot find "${name}"`);
  });

  test.each([
    ["full", "xtrabackup_checkpoints", ["to_lsn = 44776", "to_lsn = "], "its to_lsn is not a number"],
    ["full", "xtrabackup_checkpoints", ["to_lsn = 44776", "to_lsn = -1"], "its to_lsn is not a number"],
    ["full", "xtrabackup_checkpoints", ["to_lsn = 44776", `to_lsn = ${2n ** 64n}`], "its to_lsn is not a number"],
    ["increment", "xtrabackup_checkpoints", ["to_lsn = 44776", "to_lsn = 44775"], "below its from_lsn"],
    ["full", "xtrabackup_checkpoints", ["from_lsn = 0", "from_lsn = 7"], "contradicts itself"],
    ["full", "xtrabackup_checkpoints", ["full-backuped", "incremental"], "contradicts itself"],
    ["full", "xtrabackup_checkpoints", ["full-backuped", "log-applied"], "contradicts itself"],
    ["full", "xtrabackup_checkpoints", ["full-backuped", "half"], "its backup_type is half"],
    ["increment", "xtrabackup_info", ["incremental = Y", "incremental = N"], "contradicts itself"],
    ["full", "xtrabackup_info", ["incremental = N", "incremental ="], "whether the copy is incremental"],
    ["full", "xtrabackup_info", ["partial = N", "partial = Y"], "it holds only a part of the server"],
    ["full", "xtrabackup_info", ["compressed = N", "compressed = compressed"], "the tool compressed itself"],
    ["full", "xtrabackup_info", ["compressed = N", "encrypted = Y"], "the tool encrypted itself"],
  ] as const)("facts() of a %s copy refuses %s with %j", (...[run, file, change, message]) => {
    expect(() => sampleEngine(TOOL).facts(changed(run, file, change))).toThrow(
      expect.objectContaining({ code: "PROGRAM_FAILED", message: expect.stringContaining(message) }),
    );
  });
});

describe("checkPrepared()", () => {
  test.each(TOOLS)("checkPrepared() of %s accepts what it prepared, and no copy as it was taken", (name) => {
    const engine = sampleEngine(name);
    engine.checkPrepared(sampleOutcome(name, "prepared"));
    expect(() => engine.checkPrepared(sampleOutcome(name, "full"))).toThrow('it is still "full-backuped"');
  });

  test("checkPrepared() refuses a tool that did not say that all went well", () => {
    const outcome = { ...sampleOutcome(TOOL, "prepared"), stderr: "InnoDB: Starting shutdown...\n" };
    expect(() => sampleEngine(TOOL).checkPrepared(outcome)).toThrow("its last words are: InnoDB: Starting shutdown...");
  });

  test("checkPrepared() blames the copy when its checkpoints cannot be read", () => {
    const files = new Map([["xtrabackup_checkpoints", "\0\0\0"]]);
    expect(() => sampleEngine(TOOL).checkPrepared({ ...sampleOutcome(TOOL, "prepared"), files })).toThrow(
      expect.objectContaining({ code: "DATA_DAMAGED" }),
    );
  });
});

describe("hintFor()", () => {
  test("the advice for each known failure is that of the golden file", async () => {
    const logs = readdirSync(join(SAMPLES, "failures")).sort();
    const text = logs.map((log) => `${log}: ${adviceFor(sample("failures", log)) ?? "-"}\n`);
    await expect(text.join("")).toMatchFileSnapshot("../../golden/engine/failures.txt");
  });

  test.each(TOOLS)("hintFor() has nothing to say about a run of %s that went well", (name) => {
    for (const run of ["full", "increment", "prepared"]) {
      expect(sampleEngine(name).hintFor(sampleOutcome(name, run).stderr)).toBeUndefined();
    }
  });
});

import { describe, expect, test } from "vitest";
import { cloneRestorer } from "../../../src/engine/clone.ts";
import type { BackupRequest, PrepareStep } from "../../../src/engine/engine.ts";
import { mariadbBackup } from "../../../src/engine/mariadb-backup.ts";
import { xtrabackup } from "../../../src/engine/xtrabackup.ts";
import type { Command } from "../../../src/lib/command.ts";
import { sampleEngine, sampleTool, TOOLS } from "./samples.ts";

const REQUEST: BackupRequest = {
  defaultsFile: "/root/.my.cnf",
  hostname: undefined,
  port: undefined,
  socket: undefined,
  lsnDirectory: "/tmp/lsn",
  scratchDirectory: "/tmp/scratch",
  incrementalLsn: undefined,
  parallel: undefined,
  galera: false,
};

const STEP: PrepareStep = { directory: "/base", incremental: undefined, isLast: false, memoryBytes: 2 ** 31 };

function line(command: Command | undefined): string {
  return command === undefined ? "nothing" : [command.file, ...command.args].join(" ");
}

describe("the command lines of every tool are those of its golden file", () => {
  test.each(TOOLS)("%s", async (name) => {
    const engine = sampleEngine(name);
    const lines = {
      "full copy": engine.backup(REQUEST),
      "increment through TCP": engine.backup({
        ...REQUEST,
        incrementalLsn: 2_512_733_212_975n,
        hostname: "127.0.0.1",
        port: 3307,
      }),
      "node of a cluster through a socket": engine.backup({
        ...REQUEST,
        socket: "/run/my sql.sock",
        parallel: 8,
        galera: true,
      }),
      unpack: engine.unpack("/base"),
      "prepare a full copy": engine.prepare({ ...STEP, isLast: true }),
      "prepare the base of a chain": engine.prepare(STEP),
      "prepare an increment": engine.prepare({ ...STEP, incremental: "/increment 1" }),
      "prepare the last increment": engine.prepare({ ...STEP, incremental: "/increment 2", isLast: true }),
    };
    const text = Object.entries(lines).map(([what, command]) => `${what}: ${line(command)}\n`);
    await expect(text.join("")).toMatchFileSnapshot(`../../golden/engine/${name}.txt`);
  });

  test("clone", async () => {
    const restorer = cloneRestorer("9.7.4");
    const text = `unpack: ${line(restorer.unpack("/base"))}\nprepare: ${line(restorer.prepare(STEP))}\n`;
    await expect(text).toMatchFileSnapshot("../../golden/engine/clone.txt");
  });
});

describe("every tool", () => {
  test.each(TOOLS)("%s gets the option file as its first argument and no secret", (name) => {
    const { args } = sampleEngine(name).backup({ ...REQUEST, galera: true, parallel: 2 });
    expect(args[0]).toBe("--defaults-file=/root/.my.cnf");
    expect(args.join(" ")).not.toMatch(/password|--user|slave/);
  });

  test.each(TOOLS)("%s only gets options that its help names", (name) => {
    const tool = sampleTool(name);
    const engine = sampleEngine(name);
    const steps = [STEP, { ...STEP, incremental: "/i" }, { ...STEP, incremental: "/i", isLast: true }];
    const commands = [
      engine.backup({ ...REQUEST, incrementalLsn: 1n, parallel: 2, galera: true }),
      ...steps.map((step) => engine.prepare(step)),
    ];
    const given = commands.flatMap((command) => command?.args ?? []).map((arg) => arg.slice(2).split("=")[0] ?? "");
    expect(given.filter((option) => option !== "defaults-file" && !tool.options.has(option))).toEqual([]);
  });
});

describe("capabilities", () => {
  const tool = sampleTool("xtrabackup-8.0");
  const without = (name: string) => new Map([...tool.options].filter(([option]) => option !== name));

  test("xtrabackup() leaves out what the tool does not know", () => {
    const engine = xtrabackup({ ...tool, options: without("parallel") });
    expect(line(engine.backup({ ...REQUEST, parallel: 8 }))).not.toContain("--parallel");
    expect(line(xtrabackup({ ...tool, options: without("no-version-check") }).backup(REQUEST))).not.toContain(
      "version",
    );
  });

  test("xtrabackup() takes no increments with a tool that cannot prepare them", () => {
    expect(xtrabackup({ ...tool, options: without("incremental-dir") }).canIncrement).toBe(false);
    expect(xtrabackup(tool).canIncrement).toBe(true);
  });

  test.each(["stream", "extra-lsndir", "apply-log-only"])("xtrabackup() refuses a tool without --%s", (name) => {
    expect(() => xtrabackup({ ...tool, options: without(name) })).toThrow(`it does not know --${name}`);
  });

  test("mariadbBackup() refuses a tool that cannot stream", () => {
    const maria = sampleTool("mariadb-backup-10.11");
    const options = new Map([...maria.options].filter(([option]) => option !== "stream"));
    expect(() => mariadbBackup({ ...maria, options })).toThrow(
      'Cannot use "mariadb-backup" 10.11.19: it does not know --stream',
    );
  });
});

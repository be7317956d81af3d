import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { toKey } from "../../../src/domain/key.ts";
import { type Binaries, openEngine, openRestorer } from "../../../src/engine/open.ts";
import { findProgram } from "../../../src/lib/programs.ts";
import { SAMPLES } from "./samples.ts";

const signal = new AbortController().signal;
const NONE: Binaries = { xtrabackup: undefined, xbstream: undefined };
const root = mkdtempSync(join(tmpdir(), "tools-"));
let bin = "";

/** Install programs that say what XtraBackup says of itself: it is in no registry that the tests may use. */
function install(directory: string, programs: Readonly<Record<string, string>>): void {
  mkdirSync(directory, { recursive: true });
  for (const [name, release] of Object.entries(programs)) {
    const say = `case "$*" in *--version) cat '${SAMPLES}${release}/version.txt' >&2;; *--help) cat '${SAMPLES}${release}/help.txt';; *) exit 9;; esac`;
    const script = name.startsWith("xbstream") ? "echo '  -p, --parallel=#    threads'" : say;
    writeFileSync(join(directory, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
}

function open(version: string, binaries = NONE) {
  return openEngine({ server: { vendor: "oracle", version }, wanted: "auto", binaries }, { signal });
}

function openFor(toolVersion: string | undefined, binaries = NONE) {
  const key = toKey("h/daily/mysql/mysql-2026-11-21_02_36_45.xbstream");
  const copy = {
    key,
    vendor: "oracle",
    tool: "xtrabackup",
    toolVersion,
    serverVersion: undefined,
    format: undefined,
  } as const;
  return openRestorer(copy, { binaries, signal });
}

beforeEach(() => {
  bin = mkdtempSync(join(root, "bin-"));
  vi.stubEnv("PATH", `${bin}:${process.env["PATH"]}`);
});

afterEach(() => {
  vi.unstubAllEnvs();
});

afterAll(() => {
  rmSync(root, { recursive: true });
});

describe("several versions of XtraBackup", () => {
  beforeEach(() => {
    install(bin, {
      xtrabackup: "xtrabackup-8.4",
      "xtrabackup-8.0": "xtrabackup-8.0",
      xbstream: "",
      "xbstream-8.0": "",
    });
  });

  test.each([
    ["8.4.6", "xtrabackup", "xbstream", "8.4.0-6"],
    ["8.0.46-37", "xtrabackup-8.0", "xbstream-8.0", "8.0.35-31"],
  ])("openEngine() takes the one that fits the server %s", async (...[server, file, extractor, version]) => {
    const engine = await open(server);
    if (engine === "clone") throw new Error("a tool is installed");
    expect(engine.version).toBe(version);
    const unpack = engine.unpack("/base");
    expect(unpack).toEqual({ file: extractor, args: ["-x", "-C", "/base", "--parallel=4"] });
    expect(engine.prepare({ directory: "/base", incremental: undefined, isLast: true, memoryBytes: 1 })?.file).toBe(
      file,
    );
  });

  test("openEngine() does not pass over tools that do not fit, and tells of CLONE", async () => {
    await expect(open("9.7.4")).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: 'Cannot copy the server with "xtrabackup": it is version 8.4.0-6, the server 9.7.4 needs XtraBackup 9.7',
      hint: "Install XtraBackup 9.7, or name it with xtrabackup_binary under [mysql], or set engine=clone.",
    });
  });

  test("openRestorer() takes the one that took the copy, and names what is missing", async () => {
    expect((await openFor("8.0.30-23")).version).toBe("8.0.35-31");
    expect((await openFor(undefined)).version).toBe("8.4.0-6");
    await expect(openFor("2.4.29")).rejects.toThrow("XtraBackup 2.4 is not installed, xtrabackup is 8.4.0-6");
  });

  test("the configured program counts for copying, and is the first of several for restoring", async () => {
    const opt = join(bin, "opt");
    install(opt, { xtrabackup: "xtrabackup-9.7", xbstream: "" });
    const binaries = { xtrabackup: join(opt, "xtrabackup"), xbstream: undefined };
    expect(await open("9.7.4", binaries)).toMatchObject({ name: "xtrabackup", version: "9.7.2-2" });
    await expect(open("8.4.6", binaries)).rejects.toThrow("it is version 9.7.2-2");
    expect((await openFor("9.7.2-2", binaries)).unpack("/base").file).toBe(join(opt, "xbstream"));
    expect((await openFor("8.0.35-31", binaries)).unpack("/base").file).toBe("xbstream-8.0");
  });

  test("the configured extractor goes with the configured tool only", async () => {
    const xbstream = join(bin, "my-xbstream");
    install(bin, { "xbstream-mine": "", "my-xtrabackup": "xtrabackup-2.4" });
    writeFileSync(xbstream, "#!/bin/sh\n", { mode: 0o755 });
    const binaries = { xtrabackup: "my-xtrabackup", xbstream };
    expect((await openFor("2.4.1", binaries)).unpack("/base").file).toBe(xbstream);
    expect((await openFor("8.4.0-1", binaries)).unpack("/base").file).toBe("xbstream");
    expect((await openFor("8.4.0-1", { xtrabackup: undefined, xbstream })).unpack("/base").file).toBe(xbstream);
    await expect(openFor("2.4.1", { ...binaries, xbstream: "/nowhere" })).rejects.toThrow("xbstream_binary names it");
  });
});

test.skipIf(findProgram("xbstream") !== undefined)("a host without xbstream copies, but does not restore", async () => {
  install(bin, { xtrabackup: "xtrabackup-8.4" });
  await expect(open("8.4.6")).resolves.toMatchObject({ version: "8.4.0-6" });
  await expect(openFor("8.4.0-6")).rejects.toThrow('Cannot run "xbstream": it is not installed');
});

test("a program that is no such tool is refused", async () => {
  writeFileSync(join(bin, "other"), "#!/bin/sh\necho 'other 8.4.0'\n", { mode: 0o755 });
  await expect(open("8.4.6", { xtrabackup: join(bin, "other"), xbstream: undefined })).rejects.toThrow(
    "it is neither XtraBackup nor mariadb-backup",
  );
});

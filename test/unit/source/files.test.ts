import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { BackupError } from "../../../src/domain/errors.ts";
import { type ByteStream, Measured } from "../../../src/lib/bytes.ts";
import { CommandError, into } from "../../../src/lib/command.ts";
import { type FilesFacts, type FilesOptions, filesSource } from "../../../src/source/files.ts";
import { explainCopying, extractCommand, isNotInArchive, listCommand, openTar } from "../../../src/source/tar.ts";
import { collect } from "../../contract/modifier.ts";
import { describeTree, makeNastyTree } from "../../support/tree.ts";

const signal = new AbortController().signal;

let scratch: string;
let source: string;
let target: string;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "tb-files-"));
  source = join(scratch, "source");
  target = join(scratch, "target");
  mkdirSync(source);
  mkdirSync(target, { mode: 0o700 });
});

afterEach(() => rmSync(scratch, { recursive: true, force: true }));

function options(more: Partial<FilesOptions> = {}): FilesOptions {
  return { directory: source, name: "x.tar", excludes: [], tarOptions: [], ...more };
}

/** Where the path that was copied ends up below the target. */
function restored(path = source): string {
  return join(target, path);
}

async function extract(content: ByteStream, paths: readonly string[] = []): Promise<void> {
  await into(content, extractCommand(await openTar({ signal }), { directory: target, paths }), { signal });
}

async function copy(files = options(), paths: readonly string[] = []): Promise<FilesFacts> {
  await using capture = await filesSource(files).open({ signal });
  await extract(capture.content, paths);
  return capture.facts();
}

async function members(files = options()): Promise<string[]> {
  await using capture = await filesSource(files).open({ signal });
  const list = await into(capture.content, listCommand(await openTar({ signal })), { signal });
  return list.trimEnd().split("\n").toSorted();
}

async function refusal(promise: Promise<unknown>): Promise<BackupError> {
  return promise.then(
    () => expect.fail("it was accepted"),
    (error: unknown) => error as BackupError,
  );
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}

/** An archive as GNU tar makes it of a directory, with options that make it hostile. */
function archive(directory: string, ...args: string[]): Buffer {
  return execFileSync("tar", ["-c", "-f", "-", "-C", directory, ...args], { maxBuffer: 2 ** 28 });
}

describe("filesSource()", () => {
  test("filesSource() brings back a nasty tree with everything in it", async () => {
    makeNastyTree(source);
    const before = describeTree(source);
    expect(before.length).toBeGreaterThan(50);
    const { warnings } = await copy();
    expect(describeTree(restored())).toEqual(before);
    expect(warnings).toEqual([]);
  });

  test("filesSource() keeps holes as holes", async () => {
    makeNastyTree(source);
    const { rawBytes } = await copy();
    expect(rawBytes).toBeLessThan(1_000_000);
    expect(statSync(join(restored(), "sparse")).blocks).toBeLessThan(1000);
  });

  test("facts() tells the size of the archive and the tool", async () => {
    writeFileSync(join(source, "f"), "x".repeat(100_000));
    await using capture = await filesSource(options()).open({ signal });
    expect(() => capture.facts()).toThrow("was not read to its end");
    const content = await collect(capture.content);
    expect(capture.facts()).toEqual({
      rawBytes: content.length,
      warnings: [],
      tool: "tar",
      toolVersion: expect.stringMatching(/^\d+\.\d+/),
    });
  });

  test("filesSource() stores names without their leading slash, and no noise", async () => {
    writeFileSync(join(source, "f"), "x");
    expect(await members(options({ directory: `${source}//` }))).toEqual([
      `${source.slice(1)}/`,
      `${source.slice(1)}/f`,
    ]);
  });

  test("filesSource() copies a single file", async () => {
    writeFileSync(join(source, "my.cnf"), "[mysqld]\n");
    await copy(options({ directory: join(source, "my.cnf") }));
    expect(readFileSync(join(restored(), "my.cnf"), "utf8")).toBe("[mysqld]\n");
  });

  test("filesSource() copies paths with a leading dash, a backslash or a quote in them", async () => {
    for (const name of ["-dash", "back\\nslash", "it's"]) {
      const directory = join(source, name);
      mkdirSync(directory);
      writeFileSync(join(directory, "f"), name);
      await copy(options({ directory }), [`${directory}/f`]);
      expect(readFileSync(join(restored(directory), "f"), "utf8")).toBe(name);
    }
  });

  test("filesSource() follows a configured link to a directory, and stores it under the configured name", async () => {
    makeNastyTree(source);
    const link = join(scratch, "l&n,k \\1");
    symlinkSync("source", link);
    const { warnings } = await copy(options({ directory: link }));
    expect(describeTree(restored(link))).toEqual(describeTree(source));
    expect(warnings).toEqual([]);
  });

  test("filesSource() follows a configured link to a file", async () => {
    writeFileSync(join(source, "real.cnf"), "[mysqld]\n");
    const link = join(scratch, "my.cnf");
    symlinkSync("source/real.cnf", link);
    await copy(options({ directory: link }));
    expect(readFileSync(restored(link), "utf8")).toBe("[mysqld]\n");
  });

  test.each(["plain", "link"])(
    "filesSource() leaves out exactly the excluded paths of a %s directory",
    async (kind) => {
      const directory = kind === "plain" ? source : join(scratch, "link");
      if (kind === "link") symlinkSync(source, directory);
      for (const name of ["a", "ab", "x/a", "*", "q\\n"]) {
        mkdirSync(join(source, name), { recursive: true });
        writeFileSync(join(source, name, "f"), "x");
      }
      const excludes = [`${directory}/a/`, `${directory}/*`, `${directory}/q\\n`, "/elsewhere"];
      const found = await members(options({ directory, excludes }));
      expect(found.map((name) => name.slice(directory.length))).toEqual(
        ["", "ab/", "ab/f", "x/", "x/a/", "x/a/f"].toSorted(),
      );
    },
  );

  test("filesSource() refuses to leave out everything", async () => {
    for (const excludes of [[source], [scratch], [`${source}/`], ["/"]]) {
      const error = await refusal(filesSource(options({ excludes })).open({ signal }));
      expect(error.code).toBe("CONFIG_INVALID");
      expect(error.message).toContain(`Cannot copy "${source}": exclude_dirs leaves it out with "`);
    }
  });

  test("filesSource() passes the user's options on, with their own way to match names", async () => {
    for (const name of ["keep.txt", "drop.log"]) writeFileSync(join(source, name), "x");
    const tarOptions = ["--exclude=*.log", ""];
    const excludes = [join(source, "nothing")];
    const found = await members(options({ tarOptions, excludes }));
    expect(found).toEqual([`${source.slice(1)}/`, `${source.slice(1)}/keep.txt`]);
  });

  test("filesSource() records that a file changed while it was read", async () => {
    const growing = join(source, "growing");
    writeFileSync(growing, Buffer.alloc(30_000_000, 1));
    await using capture = await filesSource(options()).open({ signal });
    let isFirst = true;
    for await (const chunk of capture.content) {
      if (isFirst) appendFileSync(growing, chunk.subarray(0, 10));
      isFirst = false;
    }
    expect(capture.facts().warnings).toEqual([`${growing}: file changed as we read it`]);
  });

  test("filesSource() records that a file vanished while it was read", async () => {
    for (let n = 0; n < 300; n++) writeFileSync(join(source, String(n)), Buffer.alloc(100_000, 1));
    await using capture = await filesSource(options()).open({ signal });
    let isFirst = true;
    for await (const _chunk of capture.content) {
      if (isFirst) for (let n = 0; n < 300; n++) unlinkSync(join(source, String(n)));
      isFirst = false;
    }
    const { warnings } = capture.facts();
    expect(warnings.length).toBe(100);
    expect(warnings[50]).toMatch(/: File removed before we read it$/);
    expect(warnings.at(-1)).toMatch(/^\d+ more warnings$/);
  });

  test("filesSource() records a socket that was left out", async () => {
    writeFileSync(join(source, "f"), "x");
    const socket = join(source, "mysqld.sock");
    execFileSync("python3", ["-c", "import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])", socket]);
    expect((await copy()).warnings).toEqual([`${socket}: socket ignored`]);
    expect(readdirSync(restored())).toEqual(["f"]);
  });

  test("filesSource() fails when tar cannot read something, in tar's words", async () => {
    writeFileSync(join(source, "f"), "x");
    await using capture = await filesSource(options({ tarOptions: [join(source, "gone")] })).open({ signal });
    const error = await refusal(collect(capture.content));
    expect(error).toMatchObject({ name: "CommandError", exitCode: 2 });
    expect(explainCopying(error, source)).toMatchObject({
      code: "PROGRAM_FAILED",
      message: `Cannot copy "${source}": ${join(source, "gone")}: Cannot stat: No such file or directory`,
      cause: error,
    });
    expect(explainCopying(signal, source)).toBe(signal);
    expect(() => capture.facts()).toThrow("was not read to its end");
  });

  test("filesSource() stops tar when the capture is given up", async () => {
    writeFileSync(join(source, "f"), Buffer.alloc(30_000_000, 1));
    const capture = await filesSource(options()).open({ signal });
    const reading = collect(
      (async function* () {
        for await (const chunk of capture.content) {
          yield chunk;
          await capture[Symbol.asyncDispose]();
        }
      })(),
    );
    await expect(reading).rejects.toThrow("the capture was given up");
  });

  test("open() names a directory that is missing, a link in a circle, and what is no file", async () => {
    symlinkSync("loop", join(source, "loop"));
    symlinkSync("nowhere", join(source, "dangling"));
    execFileSync("mkfifo", [join(source, "fifo")]);
    const cases = [
      ["gone", "CONFIG_INVALID", "there is no such file or directory"],
      ["dangling", "CONFIG_INVALID", "there is no such file or directory"],
      ["loop", "CONFIG_INVALID", "it is a link that leads to itself"],
      ["fifo", "CONFIG_INVALID", "it is neither a directory nor a file"],
    ] as const;
    for (const [name, code, what] of cases) {
      const directory = join(source, name);
      const error = await refusal(filesSource(options({ directory })).open({ signal }));
      expect([error.code, error.message]).toEqual([code, `Cannot copy "${directory}": ${what}`]);
      expect(error.hint).toBe("Correct backup_dirs under [source] in the config file.");
    }
  });

  test("open() throws the reason of an abort", async () => {
    const reason = new Error("enough");
    await expect(filesSource(options()).open({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

describe("extractCommand()", () => {
  test("extractCommand() restores one path with all below it, taken literally", async () => {
    for (const name of ["a", "ab", "*"]) {
      mkdirSync(join(source, name));
      writeFileSync(join(source, name, "f"), name);
    }
    await copy(options(), [`${source}/*/`]);
    expect(readdirSync(restored())).toEqual(["*"]);
    expect(readFileSync(join(restored(), "*", "f"), "utf8")).toBe("*");
    await copy(options(), [source.slice(1)]);
    expect(readdirSync(restored()).toSorted()).toEqual(["*", "a", "ab"]);
  });

  test("extractCommand() fails when a wanted path is not in the archive", async () => {
    writeFileSync(join(source, "f"), "x");
    const error = await refusal(copy(options(), [join(source, "gone")]));
    expect(isNotInArchive(error)).toBe(true);
    expect(isNotInArchive(new Error("x"))).toBe(false);
  });

  test("extractCommand() reads to the end of its input, also for one early path", async () => {
    writeFileSync(join(source, "a"), "x");
    writeFileSync(join(source, "z"), Buffer.alloc(20_000_000, 1));
    const whole = Buffer.concat([archive(source, "a", "z"), Buffer.alloc(5_000_000)]);
    for (const paths of [[], ["a"]]) {
      const measured = new Measured(once(whole), "archive", { bytes: whole.length });
      await extract(measured, paths);
      expect(measured.digest().bytes).toBe(whole.length);
    }
  });

  test("extractCommand() fails on garbage behind the archive", async () => {
    writeFileSync(join(source, "f"), "x");
    const garbage = Buffer.from("this does not belong here\n".repeat(1000));
    await expect(extract(once(Buffer.concat([archive(source, "f"), garbage])))).rejects.toThrow("exited with status 2");
  });

  test("extractCommand() fails on an archive that is cut within a member", async () => {
    writeFileSync(join(source, "f"), Buffer.alloc(100_000, 1));
    await expect(extract(once(archive(source, "f").subarray(0, 50_000)))).rejects.toThrow(CommandError);
  });

  test("extractCommand() writes nothing above its directory", async () => {
    writeFileSync(join(source, "f"), "evil");
    const up = archive(source, "--transform=s,^f$,../escaped,", "-P", "f");
    await expect(extract(once(up))).rejects.toThrow("Member name contains '..'");
    const absolute = archive(source, `--transform=s,^f$,${scratch}/escaped,`, "-P", "f");
    await extract(once(absolute));
    expect(existsSync(join(scratch, "escaped"))).toBe(false);
    expect(readFileSync(join(target, scratch, "escaped"), "utf8")).toBe("evil");
  });

  test("extractCommand() writes nothing through a link of the archive", async () => {
    const outside = join(scratch, "outside");
    mkdirSync(outside);
    symlinkSync(outside, join(source, "way"));
    writeFileSync(join(source, "f"), "evil");
    const hostile = archive(source, "way", "--transform=s,^f$,way/f,", "f");
    await extract(once(hostile)).catch(() => {
      // Refusing it is as good as writing elsewhere.
    });
    expect(readdirSync(outside)).toEqual([]);
  });

  test("extractCommand() makes no hard link to a file outside", async () => {
    writeFileSync(join(scratch, "secret"), "secret");
    writeFileSync(join(source, "a"), "x");
    execFileSync("ln", [join(source, "a"), join(source, "b")]);
    const hostile = archive(source, "-P", `--transform=flags=RSh;s,^a$,${scratch}/secret,`, "a", "b");
    await extract(once(hostile)).catch(() => {
      // Its target is looked for below the directory, where it is not.
    });
    expect(statSync(join(scratch, "secret")).nlink).toBe(1);
  });
});

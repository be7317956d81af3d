import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { type ByteStream, Measured } from "../../../src/lib/bytes.ts";
import { type Command, CommandError, type Finished, into, run, text, through } from "../../../src/lib/command.ts";

const signal = new AbortController().signal;

function sh(script: string, more: Partial<Command> = {}): Command {
  return { file: "sh", args: ["-c", script], ...more };
}

async function collect(content: ByteStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of content) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

async function* bytes(total: number, seed = randomBytes(65_536)): AsyncGenerator<Uint8Array, void> {
  for (let left = total; left > 0; left -= seed.length) yield seed.subarray(0, Math.min(left, seed.length));
}

async function failure(promise: Promise<unknown>): Promise<CommandError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(CommandError);
  return error as CommandError;
}

function childrenNamed(marker: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(marker);
      } catch {
        return false;
      }
    });
}

describe("run()", () => {
  test("run() yields the output of a program", async () => {
    expect((await collect(run(sh("printf hello"), { signal }))).toString()).toBe("hello");
  });

  test("run() yields every byte of a large output", async () => {
    const output = await collect(run({ file: "head", args: ["-c", "37000001", "/dev/zero"] }, { signal }));
    expect(output.length).toBe(37_000_001);
    expect(output.every((byte) => byte === 0)).toBe(true);
  });

  test("run() throws after the output when the status is not 0", async () => {
    const error = await failure(collect(run(sh("printf partial; echo 'disk on fire' >&2; exit 3"), { signal })));
    expect(error.message).toBe('Cannot run "sh": it exited with status 3: disk on fire');
    expect(error.exitCode).toBe(3);
  });

  test("run() hides the hashes of passwords that a tool prints with its grants", async () => {
    const grants = "1.GRANT USAGE ON *.* TO `poor`@`h` IDENTIFIED BY PASSWORD '*B69027D4'";
    const more = "2.GRANT ALL ON *.* TO `x`@`h` IDENTIFIED VIA mysql_native_password USING '*E56A114692FE0DE0'";
    const error = await failure(collect(run(sh(`cat >&2 <<'END'\n${grants}\n${more}\nEND\nexit 1`), { signal })));
    expect(error.message).toContain("TO `poor`@`h` IDENTIFIED BY PASSWORD '[hidden]'");
    expect(error.message).not.toMatch(/\*[BE]\d/);
  });

  test("run() throws when the program was killed", async () => {
    const error = await failure(collect(run(sh("printf partial; kill -9 $$"), { signal })));
    expect(error.signal).toBe("SIGKILL");
  });

  test("run() throws when the program wrote nothing", async () => {
    expect((await failure(collect(run(sh("exit 0"), { signal })))).message).toBe('Cannot run "sh": it wrote nothing');
  });

  test("run() names a program that is missing", async () => {
    const error = await failure(collect(run({ file: "no-such-program", args: [] }, { signal })));
    expect(error.message).toBe('Cannot run "no-such-program": it is not installed');
  });

  test("run() accepts a warning status and reports it", async () => {
    const seen: Finished[] = [];
    const command = sh("printf data; echo 'file changed' >&2; exit 1", { warningStatuses: [1] });
    await collect(run(command, { signal, onFinish: (finished) => seen.push(finished) }));
    expect(seen).toEqual([{ warning: true, exitCode: 1, stderr: "file changed\n" }]);
  });

  test("run() fails with what its end is found to be worth, after the last byte", async () => {
    const seen: string[] = [];
    const content = run(sh("printf whole"), {
      signal,
      onFinish: async () => {
        await sleep(10);
        throw new Error("not complete");
      },
    });
    const reading = (async () => {
      for await (const chunk of content) seen.push(Buffer.from(chunk).toString());
    })();
    await expect(reading).rejects.toThrow("not complete");
    expect(seen).toEqual(["whole"]);
  });

  test("run() drains a flood on stderr and keeps its end", async () => {
    const seen: Finished[] = [];
    const flood = sh("yes noise | head -c 30000000 >&2; printf ok; echo last >&2");
    await collect(run(flood, { signal, onFinish: (finished) => seen.push(finished) }));
    expect(seen[0]?.stderr.length).toBeLessThanOrEqual(16_384);
    expect(seen[0]?.stderr.endsWith("last\n")).toBe(true);
  });

  test("run() ends the program when the consumer leaves early", async () => {
    const marker = "1000.0017";
    for await (const _chunk of run(sh(`head -c 3000000 /dev/zero; exec sleep ${marker}`), { signal })) break;
    expect(childrenNamed(marker)).toEqual([]);
  });

  test("run() throws the reason of an abort and leaves nobody behind", async () => {
    const marker = "1000.0018";
    const controller = new AbortController();
    const reason = new Error("enough");
    setTimeout(() => controller.abort(reason), 200);
    const command = sh(`sleep ${marker} & sleep ${marker}`);
    await expect(collect(run(command, { signal: controller.signal }))).rejects.toBe(reason);
    expect(childrenNamed(marker)).toEqual([]);
  });

  test("run() kills a program that ignores SIGTERM", async () => {
    const marker = "1000.0019";
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error("enough")), 200);
    const command = sh(`trap '' TERM; while :; do sleep 0.1; : ${marker}; done`);
    await expect(collect(run(command, { signal: controller.signal }))).rejects.toThrow("enough");
    expect(childrenNamed(marker)).toEqual([]);
  });

  test("run() ends a program that moves no byte for the idle time", async () => {
    const started = Date.now();
    const promise = collect(run(sh("printf start; exec sleep 1000"), { signal, idleSeconds: 1 }));
    await expect(promise).rejects.toThrow('Cannot finish "sh": no byte moved for 1 seconds');
    expect(Date.now() - started).toBeLessThan(8000);
  });

  test("run() does not wait for a grandchild that keeps the output open", async () => {
    const error = await failure(collect(run(sh("sleep 1000.0020 & exit 0"), { signal })));
    expect(error.message).toContain("wrote nothing");
    expect(childrenNamed("1000.0020")).toEqual([]);
  });

  test("run() starts nothing before it is pulled", async () => {
    run(sh("sleep 1000.0021"), { signal });
    await sleep(50);
    expect(childrenNamed("1000.0021")).toEqual([]);
  });
});

describe("through()", () => {
  const cat: Command = { file: "cat", args: [] };

  test("through() passes a stream of this process through programs", async () => {
    const hash = createHash("sha256");
    const seed = randomBytes(65_536);
    for await (const chunk of bytes(9_000_001, seed)) hash.update(chunk);
    const passed = through(through(bytes(9_000_001, seed), cat, { signal }), cat, { signal });
    const measured = new Measured(passed, "it");
    for await (const _chunk of measured);
    expect(measured.digest()).toEqual({ bytes: 9_000_001, sha256: hash.digest("hex") });
  });

  const broken: readonly [string, Command[], string][] = [
    [
      "a killed producer",
      [sh("head -c 300000 /dev/zero; kill -9 $$"), cat, cat],
      'Cannot run "sh": it was killed by SIGKILL',
    ],
    [
      "a failing producer",
      [sh("head -c 300000 /dev/zero; exit 7"), cat, cat],
      'Cannot run "sh": it exited with status 7',
    ],
    ["a silent producer", [sh("exit 0"), cat, sh("cat; printf more")], 'Cannot run "sh": it wrote nothing'],
    [
      "a killed middle",
      [{ file: "yes", args: [] }, sh("head -c 300000; kill -9 $$"), cat],
      'Cannot run "sh": it was killed by SIGKILL',
    ],
    [
      "a middle that fails at once",
      [{ file: "yes", args: [] }, sh("echo 'no key' >&2; exit 2"), cat],
      'Cannot run "sh": it exited with status 2: no key',
    ],
    [
      "a middle that fails at its end",
      [sh("head -c 300000 /dev/zero"), sh("cat >/dev/null; exit 3"), cat],
      'Cannot run "sh": it exited with status 3',
    ],
    [
      "a middle that quits early",
      [{ file: "yes", args: [] }, { file: "head", args: ["-c", "10"] }, cat],
      'Cannot run "head": it exited with status 0 before it had read all its input',
    ],
    [
      "a middle that leaves a few bytes",
      [sh("printf 0123456789"), sh("sleep 0.2; printf done"), cat],
      'Cannot run "sh": it exited with status 0 before it had read all its input',
    ],
    [
      "a last one that fails at once",
      [{ file: "yes", args: [] }, cat, sh("exit 9")],
      'Cannot run "sh": it exited with status 9',
    ],
    [
      "a missing middle",
      [{ file: "yes", args: [] }, { file: "no-such-program", args: [] }, cat],
      'Cannot run "no-such-program": it is not installed',
    ],
    [
      "a writer that ignores SIGPIPE",
      [sh("trap '' PIPE; while echo y; do :; done; exit 1"), sh("exit 4"), cat],
      'Cannot run "sh": it exited with status 4',
    ],
  ];
  test.each(broken)("through() blames %s", async (_name, [first, ...others], message) => {
    const start = run(first as Command, { signal });
    const chain = others.reduce((content, command) => through(content, command, { signal }), start);
    expect((await failure(collect(chain))).message).toBe(message);
  });

  test("through() throws the error of its own source and not of the program", async () => {
    const reason = new Error("source broke");
    async function* failing(): AsyncGenerator<Uint8Array, void> {
      yield randomBytes(100_000);
      throw reason;
    }
    await expect(collect(through(failing(), cat, { signal }))).rejects.toBe(reason);
  });

  test("through() blames a program that quits while its source is stuck", async () => {
    async function* stuck(): AsyncGenerator<Uint8Array, void> {
      yield randomBytes(10);
      await new Promise(() => {});
    }
    const error = await failure(collect(through(stuck(), sh("head -c 1 >/dev/null; exit 5"), { signal })));
    expect(error.exitCode).toBe(5);
  });

  test("through() takes the failure of a tap for a warning", async () => {
    const seen: Finished[] = [];
    const tap: Command = { file: "tee", args: ["/dev/full"], tap: true };
    const chain = through(run(sh("head -c 300000 /dev/zero"), { signal }), tap, {
      signal,
      onFinish: (f) => seen.push(f),
    });
    expect((await collect(chain)).length).toBe(300_000);
    expect(seen[0]?.warning).toBe(true);
    expect(seen[0]?.stderr).toContain("No space left");
  });
});

describe("into()", () => {
  test("into() resolves with what the last program said", async () => {
    expect((await into(run(sh("printf 12345"), { signal }), { file: "wc", args: ["-c"] }, { signal })).trim()).toBe(
      "5",
    );
  });

  test("into() throws when the producer died although the sink was content", async () => {
    const error = await failure(
      into(run(sh("printf 12345; exit 1"), { signal }), { file: "wc", args: ["-c"] }, { signal }),
    );
    expect(error.exitCode).toBe(1);
  });

  test("into() throws when a measured source is not what was expected", async () => {
    const source = new Measured(bytes(10, Buffer.from("0123456789")), "copy", { bytes: 11 });
    await expect(into(source, { file: "wc", args: ["-c"] }, { signal })).rejects.toThrow(
      'Cannot trust "copy": it has 10 bytes, 11 were recorded',
    );
  });

  test("into() accepts an empty source", async () => {
    expect((await into(bytes(0), { file: "wc", args: ["-c"] }, { signal })).trim()).toBe("0");
  });
});

test("text() resolves with the output of a program", async () => {
  expect(await text(sh("printf version"), { signal })).toBe("version");
});

test("programs die with this process when it is killed", async () => {
  const marker = `1000.${process.pid}`;
  const library = new URL("../../../src/lib/command.ts", import.meta.url).pathname;
  const script = join(mkdtempSync(join(tmpdir(), "command-test-")), "victim.ts");
  const text = `import { run } from ${JSON.stringify(library)};
    const signal = new AbortController().signal;
    for await (const c of run({ file: "sh", args: ["-c", "printf x; sleep ${marker} & exec sleep ${marker}"] }, { signal }));`;
  writeFileSync(script, text);
  const victim = run({ file: process.execPath, args: [script] }, { signal });
  const pulled = collect(victim);
  await expect
    .poll(
      () =>
        childrenNamed(marker).filter((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("sleep")).length,
    )
    .toBe(2);
  const [parent] = childrenNamed(script);
  process.kill(Number(parent), "SIGKILL");
  await failure(pulled);
  await expect.poll(() => childrenNamed(marker)).toEqual([]);
  rmSync(dirname(script), { recursive: true });
});

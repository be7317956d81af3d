import { availableParallelism } from "node:os";
import { describe, expect, test } from "vitest";
import type { BackupError } from "../../../src/domain/errors.ts";
import { compress, decompressors } from "../../../src/modifier/compress.ts";
import { openDecoding } from "../../../src/modifier/decode.ts";
import { COMPRESSORS, type CompressionOptions } from "../../../src/modifier/options.ts";

const signal = new AbortController().signal;
const HEAD = new Uint8Array();

function options(more: Partial<CompressionOptions>): CompressionOptions {
  return { program: "gzip", threads: undefined, level: undefined, ...more };
}

function refusal(call: () => unknown): BackupError {
  try {
    call();
  } catch (error) {
    return error as BackupError;
  }
  return expect.fail("it was accepted");
}

describe("compress()", () => {
  test("compress() builds the command lines of the golden file", async () => {
    const lines = COMPRESSORS.flatMap((program) =>
      [undefined, 9].map((level) => {
        const modifier = compress({ program, level, threads: 4 });
        const line = modifier === undefined ? "-" : [modifier.apply.file, ...modifier.apply.args].join(" ");
        return `${program} level ${level ?? "default"}, 4 threads${modifier?.suffix ?? ""}: ${line}\n`;
      }),
    );
    await expect(lines.join("")).toMatchFileSnapshot("../../golden/argv/compress.txt");
  });

  test("compress() leaves a CPU to others with pigz and lbzip2, but never asks for no thread", () => {
    const spare = Math.max(1, availableParallelism() - 1);
    expect(compress(options({ program: "pigz" }))?.apply.args).toEqual(["-c", "-6", "-p", String(spare)]);
    expect(compress(options({ program: "lbzip2" }))?.apply.args).toEqual(["-c", "-9", "-n", String(spare)]);
    expect(compress(options({ program: "zstd" }))?.apply.args).toContain(`-T${availableParallelism()}`);
  });

  test.each([
    ["pigz", 0],
    ["gzip", 10],
    ["bzip2", 0],
    ["zstd", 20],
    ["xz", -1],
    ["lz4", 13],
    ["gzip", 1.5],
    ["gzip", Number.NaN],
  ] as const)("compress() refuses %s with level %d", (program, level) => {
    const { code, message, hint } = refusal(() => compress(options({ program, level })));
    expect(code).toBe("CONFIG_INVALID");
    expect(message).toMatch(new RegExp(`^Cannot use level "${level}" with ${program}: it must be \\d to \\d+$`));
    expect(hint).toBe("Correct level under [compression], or remove the line.");
  });

  test.each([0, -1, 2.5, 5000])("compress() refuses %d threads", (threads) => {
    const { code, message } = refusal(() => compress(options({ program: "pigz", threads })));
    expect([code, message]).toEqual(["CONFIG_INVALID", `Cannot use "${threads}" threads: it must be 1 to 1024`]);
  });
});

describe("decompressors()", () => {
  test("decompressors() puts the fastest first", () => {
    const names = [".gz", ".bz", ".zst", ".xz", ".lz4"].map((suffix) => decompressors(suffix).map(({ file }) => file));
    expect(names).toEqual([["pigz", "gzip"], ["lbzip2", "bzip2"], ["zstd"], ["xz"], ["lz4"]]);
  });
});

describe("openDecoding()", () => {
  test("openDecoding() of a copy without suffixes does nothing", async () => {
    await using decoding = await openDecoding(
      { name: "db7/x.gpg", suffixes: [], head: HEAD },
      { gpg: undefined, signal },
    );
    expect(decoding.decoders).toEqual([]);
  });

  test.each([[[".zip"]], [["constructor"]], [[".gpg", ".gz"]], [[""]]])(
    "openDecoding() refuses the suffixes %j",
    async (suffixes) => {
      const opened = openDecoding({ name: "db7/x.gpg", suffixes, head: HEAD }, { gpg: undefined, signal });
      await expect(opened).rejects.toMatchObject({ code: "DATA_DAMAGED" });
    },
  );
});

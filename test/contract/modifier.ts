import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { ByteStream } from "../../src/lib/bytes.ts";
import { CommandError } from "../../src/lib/command.ts";
import { applyAll, revertAll } from "../../src/modifier/chain.ts";
import type { Modifier } from "../../src/modifier/modifier.ts";

const signal = new AbortController().signal;
const TEXT = Buffer.from("INSERT INTO `orders` VALUES (17,'2026-11-21','shipped');\n".repeat(64));

/** What is particular to one implementation. */
export type ModifierFacts = {
  /** It passes over bytes behind its own end, after all data was delivered. */
  readonly ignoresGarbage?: boolean;
};

export async function collect(content: ByteStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of content) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

async function sha256(content: ByteStream): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of content) hash.update(chunk);
  return hash.digest("hex");
}

/** Half of it random, half of it text. */
async function* mixed(bytes: number, chunk = Buffer.concat([randomBytes(TEXT.length), TEXT])): ByteStream {
  for (let left = bytes; left > 0; left -= chunk.length) yield chunk.subarray(0, Math.min(left, chunk.length));
}

async function* pieces(...parts: Uint8Array[]): AsyncGenerator<Uint8Array, void> {
  for (const part of parts) if (part.length > 0) yield part;
}

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 0x10;
  return copy;
}

/** The suite every modifier passes. Adds tests to the file that calls it. */
export function modifierContract(name: string, open: () => Promise<Modifier>, facts: ModifierFacts = {}): void {
  describe(`the modifier contract: ${name}`, () => {
    async function applied(content: Buffer): Promise<Buffer> {
      return collect(applyAll(pieces(content), [await open()], { signal }));
    }

    async function reverted(content: Buffer): Promise<Buffer> {
      return collect(revertAll(pieces(content), [await open()], { signal }));
    }

    test(`check() of ${name} passes where it can work`, async () => {
      await (await open()).check({ signal });
    });

    test.each([1, 1024 * 1024 + 1, 30 * 1000 * 1000])(`revert of ${name} gives back %i bytes`, async (bytes) => {
      const chunk = Buffer.concat([randomBytes(TEXT.length), TEXT]);
      const modifier = await open();
      const stored = applyAll(mixed(bytes, chunk), [modifier], { signal });
      expect(await sha256(revertAll(stored, [modifier], { signal }))).toBe(await sha256(mixed(bytes, chunk)));
    });

    test(`revert of ${name} fails on what was made of an empty stream`, async () => {
      const stored = await applied(Buffer.alloc(0));
      await expect(reverted(stored)).rejects.toThrow("it wrote nothing");
    });

    test(`apply of ${name} fails when its input fails`, async () => {
      const reason = new Error("the source broke");
      async function* broken(): ByteStream {
        yield randomBytes(300_000);
        throw reason;
      }
      await expect(collect(applyAll(broken(), [await open()], { signal }))).rejects.toBe(reason);
    });

    test(`apply of ${name} fails when the program is killed`, async () => {
      const modifier = await open();
      const scratch = mkdtempSync(join(tmpdir(), "tb-modifier-"));
      onTestFinished(() => rmSync(scratch, { recursive: true, force: true }));
      const pidFile = join(scratch, "pid");
      const script = 'echo $$ >"$1"; shift; exec "$@"';
      const args = ["-c", script, "sh", pidFile, modifier.apply.file, ...modifier.apply.args];
      async function* killing(): ByteStream {
        yield randomBytes(100_000);
        while (!existsSync(pidFile) || readFileSync(pidFile, "utf8") === "") {
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        process.kill(Number(readFileSync(pidFile, "utf8")), "SIGKILL");
        yield randomBytes(100_000);
      }
      const killed = collect(applyAll(killing(), [{ ...modifier, apply: { file: "sh", args } }], { signal }));
      await expect(killed).rejects.toThrow("it was killed by SIGKILL");
    });

    test(`apply of ${name} throws the reason of an abort`, async () => {
      const controller = new AbortController();
      const reason = new Error("enough");
      async function* aborting(): ByteStream {
        yield randomBytes(100_000);
        controller.abort(reason);
        yield* mixed(1_000_000);
      }
      const options = { signal: controller.signal };
      await expect(collect(applyAll(aborting(), [await open()], options))).rejects.toBe(reason);
    });

    test(`revert of ${name} fails on what is cut anywhere`, async () => {
      const stored = await applied(Buffer.concat([randomBytes(150_000), TEXT]));
      const { length } = stored;
      for (const at of [0, 1, 3, 20, Math.floor(length / 2), 65_536, 131_072, length - 9, length - 4, length - 1]) {
        const error: unknown = await reverted(stored.subarray(0, at)).catch((reason: unknown) => reason);
        expect(error, `cut at ${at} of ${length}`).toBeInstanceOf(CommandError);
      }
    });

    test(`revert of ${name} fails when one bit of the data is flipped`, async () => {
      const stored = await applied(Buffer.concat([randomBytes(150_000), TEXT]));
      for (const at of [1000, Math.floor(stored.length / 2), stored.length - 3000]) {
        const error: unknown = await reverted(flipped(stored, at)).catch((reason: unknown) => reason);
        expect(error, `flipped at ${at} of ${stored.length}`).toBeInstanceOf(CommandError);
      }
    });

    test(`revert of ${name} never takes garbage behind the end for data`, async () => {
      const content = Buffer.concat([randomBytes(150_000), TEXT]);
      const garbage = Buffer.concat([await applied(content), Buffer.from("this does not belong here\n".repeat(40))]);
      if (facts.ignoresGarbage === true) expect((await reverted(garbage)).equals(content)).toBe(true);
      else await expect(reverted(garbage)).rejects.toThrow(CommandError);
    });
  });
}

import { createHash } from "node:crypto";
import { closeSync, existsSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";

const BLOCK_BYTES = 1024 * 1024;

/** The same pseudo-random bytes on every machine. */
class Noise {
  #counter = 0;
  readonly #seed: string;

  constructor(seed: string) {
    this.#seed = seed;
  }

  bytes(length: number): Buffer {
    const whole = Buffer.allocUnsafe(length);
    for (let at = 0; at < length; at += 64) {
      createHash("sha512")
        .update(`${this.#seed}${this.#counter++}`)
        .digest()
        .copy(whole, at);
    }
    return whole;
  }
}

/** A megabyte of text as a dump or a log holds it; compresses to about a third. */
function textBlock(noise: Noise): Buffer {
  const words = noise.bytes(BLOCK_BYTES / 4);
  const rows: string[] = [];
  for (let at = 0, length = 0; length < BLOCK_BYTES; at = (at + 8) % (words.length - 8)) {
    const [id, amount] = [words.readUInt32LE(at), words.readUInt16LE(at + 4)];
    const row = `(${id},'user${amount % 997}@example.org','2026-11-${(id % 28) + 1} 0${amount % 10}:15:00',${amount}.00,'pending'),\n`;
    rows.push(row);
    length += row.length;
  }
  return Buffer.from(rows.join("")).subarray(0, BLOCK_BYTES);
}

function writeFile(path: string, megabytes: number, isText: boolean): void {
  const noise = new Noise(path.slice(path.lastIndexOf("/")));
  const fd = openSync(path, "w");
  // A few blocks over and over would fit a compressor's window; 48 MiB of them does not.
  const blocks = Array.from({ length: Math.min(megabytes, 48) }, () =>
    isText ? textBlock(noise) : noise.bytes(BLOCK_BYTES),
  );
  for (let index = 0; index < megabytes; index++) {
    const block = blocks[index % blocks.length];
    if (block !== undefined) writeSync(fd, block);
  }
  closeSync(fd);
}

/** Files of 32 MiB, half of them text, `megabytes` in all. Made once. */
export function makeMixed(root: string, megabytes: number): string {
  const directory = join(root, `mixed-${megabytes}`);
  if (existsSync(join(directory, ".complete"))) return directory;
  mkdirSync(directory, { recursive: true });
  for (let index = 0; index * 32 < megabytes; index++) {
    writeFile(join(directory, `file-${index}`), Math.min(32, megabytes - index * 32), index % 2 === 0);
  }
  writeFileSync(join(directory, ".complete"), "");
  return directory;
}

/** `count` files of 1 to 8 KiB in directories of 500. Made once. */
export function makeSmall(root: string, count: number): string {
  const directory = join(root, `small-${count}`);
  if (existsSync(join(directory, ".complete"))) return directory;
  const block = new Noise("small").bytes(8192);
  for (let index = 0; index < count; index++) {
    const folder = join(directory, String(Math.floor(index / 500)));
    if (index % 500 === 0) mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `file-${index}`), block.subarray(0, 1024 + ((index * 37) % 7168)));
  }
  writeFileSync(join(directory, ".complete"), "");
  return directory;
}

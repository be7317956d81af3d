import type { Key } from "../../domain/key.ts";
import { toKey } from "../../domain/key.ts";
import type { ByteStream } from "../../lib/bytes.ts";

/** Chunks as a byte stream. */
export async function* chunks(...parts: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array, void> {
  for (const part of parts) yield typeof part === "string" ? Buffer.from(part) : part;
}

/** All bytes of a stream; copies each chunk, since it is valid until the next pull only. */
export async function collect(content: ByteStream): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of content) parts.push(Buffer.from(chunk));
  return Buffer.concat(parts);
}

/** Bytes that look random and are the same on every run. */
export function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 0x9e3779b9;
  for (let index = 0; index < length; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}

/** A slice of `bytes` at a time, of the given sizes in turn. */
export async function* sliced(bytes: Uint8Array, ...sizes: readonly number[]): AsyncGenerator<Uint8Array, void> {
  for (let start = 0, turn = 0; start < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? bytes.length;
    yield bytes.subarray(start, start + size);
    start += size;
  }
}

/** Keys of what a listing yields, in its order. */
export async function keysOf(entries: AsyncIterable<{ readonly key: Key }>): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of entries) keys.push(key);
  return keys;
}

export function keys(...texts: readonly string[]): Key[] {
  return texts.map((text) => toKey(text));
}

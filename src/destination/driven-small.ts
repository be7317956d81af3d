import { randomBytes } from "node:crypto";
import { BackupError } from "../domain/errors.ts";
import type { Key } from "../domain/key.ts";
import type { Gate } from "../lib/gate.ts";
import { isRetryable } from "./attempts.ts";
import { type CallOptions, ConflictError, SMALL_LIMIT_BYTES, type Small, type Version } from "./destination.ts";
import type { DriverCalls } from "./driven-calls.ts";
import { hasCode } from "./driven-error.ts";
import { drivenBytes } from "./driven-get.ts";

/** How often a small object that is replaced while it is read is read again. */
const READS = 25;

/** A small object as a whole, in one version. `undefined` when there is none. */
export async function readDriven(calls: DriverCalls, key: Key, { signal }: CallOptions): Promise<Small | undefined> {
  for (let read = 1; ; read++) {
    const found = await calls.once(signal, (driver) => driver.stat(key, { signal }));
    if (found === undefined) return undefined;
    if (found.bytes > SMALL_LIMIT_BYTES) throw tooLarge(key, found.bytes);
    try {
      const parts: Uint8Array[] = [];
      for await (const chunk of drivenBytes(calls, found, { signal })) parts.push(Buffer.from(chunk));
      return { content: Buffer.concat(parts), version: found.version };
    } catch (error) {
      const wasReplaced = hasCode(error instanceof Error ? error.cause : undefined, "CHANGED", "NOT_FOUND");
      if (!wasReplaced || read === READS) throw error;
    }
  }
}

type Replacement = CallOptions & {
  readonly content: Uint8Array;
  readonly expected: Version | undefined;
  /** Lets one in at a time, where the store does not compare. */
  readonly turn: Gate | undefined;
};

/** Replace a small object if it still has the expected version. @throws {ConflictError} when it has another. */
export async function replaceDriven(calls: DriverCalls, key: Key, replacement: Replacement): Promise<Version> {
  const { signal, turn, expected } = replacement;
  using _turn = await turn?.enter([signal]);
  if (turn !== undefined) {
    const found = await calls.once(signal, (driver) => driver.stat(key, { signal }));
    if (found?.version !== expected) throw new ConflictError(key, calls.driver.url);
  }
  const version = await write(calls, key, replacement);
  if (turn !== undefined) await confirm(calls, key, { ...replacement, version });
  return version;
}

async function write(calls: DriverCalls, key: Key, { signal, content, expected }: Replacement): Promise<Version> {
  const nonce = randomBytes(16).toString("hex");
  try {
    return await calls.once(signal, (driver) => driver.write(key, content, { signal, nonce, expected }));
  } catch (error) {
    signal.throwIfAborted();
    const isOther =
      hasCode(error, "CONFLICT", "ALREADY_EXISTS") || (expected !== undefined && hasCode(error, "NOT_FOUND"));
    throw isOther && !isRetryable(error) ? new ConflictError(key, calls.driver.url, error) : error;
  }
}

type Written = Replacement & { readonly version: Version };

/** Read back what was written, where another writer may have come in between unnoticed. */
async function confirm(calls: DriverCalls, key: Key, { signal, content, version }: Written): Promise<void> {
  const found = await readDriven(calls, key, { signal });
  if (found?.version === version && Buffer.from(found.content).equals(content)) return;
  throw new ConflictError(key, calls.driver.url);
}

function tooLarge(key: Key, bytes: number): BackupError {
  return new BackupError(
    "DATA_DAMAGED",
    `Cannot read "${key}": it has ${bytes} bytes, at most ${SMALL_LIMIT_BYTES} can be`,
    { hint: "Find out who wrote it; move it away to go on without it." },
  );
}

// A process of its own that uses a local destination, so that its system calls can be made to fail.
// usage: node use-local.ts put|race|replace DIRECTORY KEY BYTES; prints {"ok":…} or {"code":…,"message":…,"hint":…}
import { open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Destination } from "../../src/destination/destination.ts";
import { openLocal } from "../../src/destination/local.ts";
import { BackupError } from "../../src/domain/errors.ts";
import { toKey } from "../../src/domain/key.ts";
import { noise, sliced } from "./streams.ts";

const [, , verb = "", directory = "", name = "", length = "0"] = process.argv;
const key = toKey(name);
const { signal } = new AbortController();

async function* content(): AsyncGenerator<Uint8Array, void> {
  yield* sliced(noise(Number(length)), 1024 * 1024);
  await sleep(20); // So that puts that race all publish at about the same time.
}

const VERBS: Readonly<Record<string, (destination: Destination) => Promise<unknown>>> = {
  put: (destination) => destination.put(key, content(), { signal }),
  race: async (destination) => {
    const puts = [1, 2, 3].map(() => destination.put(key, content(), { signal }));
    return (await Promise.allSettled(puts)).map(({ status }) => status).sort();
  },
  replace: async (destination) => {
    const small = await destination.readSmall(key, { signal });
    return destination.replaceSmall(key, noise(Number(length)), { signal, expected: small?.version });
  },
};

/** strace counts calls per thread: lift the count of the one that does the file work above that of the main thread. */
async function warmUp(): Promise<void> {
  for (let count = 0; count < 100; count++) {
    const handle = await open("/dev/null", "w");
    await handle.write("x");
    await handle.close();
  }
}

try {
  await warmUp();
  const ok = await VERBS[verb]?.(await openLocal({ kind: "local", directory }));
  process.stdout.write(JSON.stringify({ ok }));
} catch (error) {
  if (!(error instanceof BackupError)) throw error;
  const { code, message, hint, retryable } = error;
  process.stdout.write(JSON.stringify({ code, message, hint, retryable }));
}

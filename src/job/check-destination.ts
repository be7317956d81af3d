import { createHash, randomBytes } from "node:crypto";
import { AlreadyExistsError, type CallOptions, ConflictError, type Destination } from "../destination/destination.ts";
import { BackupError, isNotPermitted } from "../domain/errors.ts";
import { humanBytes } from "../domain/human.ts";
import { type Key, toKey } from "../domain/key.ts";
import type { ByteStream } from "../lib/bytes.ts";
import { driftFinding, type Finding, look } from "./check.ts";

/** More than any store takes in one piece. */
const LARGE_BYTES = 20 * 1024 * 1024;
const PIECE_BYTES = 1024 * 1024;
const CLEANUP_MS = 30_000;

/** Where the objects of a trial lie: no listing takes them for copies, and no retention counts them. */
type Trial = CallOptions & {
  readonly destination: Destination;
  readonly host: string;
  readonly folder: string;
  readonly small: Key;
  readonly large: Key;
  readonly text: Key;
  readonly content: Buffer;
};

/**
 * Try all that copies need of a destination, each for itself, by objects below `HOST/check-…` that are removed again. Copies and status files are
 * not touched.
 * @returns one finding for each; a right to delete that is missing is a warning, for others may remove what expires.
 */
export async function tryDestination(
  destination: Destination,
  host: string,
  { signal }: CallOptions,
): Promise<readonly Finding[]> {
  const folder = `${host}/check-${randomBytes(8).toString("hex")}`;
  const [small, large, text] = ["small object, ö", "large", "status"].map((name) => toKey(`${folder}/${name}`)) as [
    Key,
    Key,
    Key,
  ];
  const trial: Trial = { destination, host, folder, small, large, text, content: randomBytes(1000), signal };
  const findings: Finding[] = [];
  try {
    for (const step of STEPS) {
      findings.push(...(await step(trial)));
      signal.throwIfAborted();
    }
    return findings;
  } finally {
    // What a step that failed or was cut off left; after a whole trial there is nothing any more.
    const late = { signal: AbortSignal.timeout(CLEANUP_MS) };
    for (const key of [small, large, text]) await destination.remove(key, late).catch(() => undefined);
  }
}

const STEPS: readonly ((trial: Trial) => Promise<Finding[]>)[] = [
  async (trial) => [await look("list", () => tryList(trial))],
  async (trial) => tryObject(trial),
  async (trial) => [await look("large object", () => tryLarge(trial))],
  async (trial) => tryReplace(trial),
  async (trial) => [await look("delete", () => tryDelete(trial))],
];

async function tryList({ destination, host, signal }: Trial): Promise<string> {
  let count = 0;
  for await (const _ of destination.list(`${host}/`, { signal })) count += 1;
  return `${count} objects of ${host}`;
}

/** A small object: stored, protected from being overwritten, listed and read. */
async function tryObject(trial: Trial): Promise<Finding[]> {
  const { destination, small, content, signal } = trial;
  const written = await look("write", async () => {
    await destination.put(small, pieces(content), { signal });
    await refused(AlreadyExistsError, "a second object under a name that is taken", () =>
      destination.put(small, pieces(content), { signal }),
    );
    return "an object was stored, and not overwritten";
  });
  if (written.result === "failed") return [written, await look("read", () => tryReadStatus(trial))];
  const read = await look("read", async () => {
    const found = await Array.fromAsync(destination.get(small, { signal }), (chunk) => Buffer.from(chunk));
    if (!Buffer.concat(found).equals(content)) throw unreliable(trial, "an object reads back as other bytes");
    return "it reads back as it was stored";
  });
  return [written, read, ...(await tryClock(trial))];
}

/** Without an object of our own: whether reading is permitted at all. */
async function tryReadStatus({ destination, host, signal }: Trial): Promise<string> {
  const status = await destination.readSmall(toKey(`${host}/status`), { signal });
  return status === undefined ? "permitted; there is nothing to read yet" : "the status of the server's copies";
}

/** That what was just stored is listed, and by which clock. */
async function tryClock(trial: Trial): Promise<Finding[]> {
  const { destination, folder, small, content, signal } = trial;
  let drift: Finding | undefined;
  const listed = await look("listing", async () => {
    const entries = await Array.fromAsync(destination.list(`${folder}/`, { signal }));
    const [entry] = entries;
    if (entries.length !== 1 || entry?.key !== small || entry.bytes !== content.length) {
      throw unreliable(trial, "an object that was just stored is not listed as it is");
    }
    drift = driftFinding((entry.modifiedAt.getTime() - Date.now()) / 1000);
    return "it is listed at once";
  });
  return drift === undefined ? [listed] : [listed, drift];
}

async function tryLarge(trial: Trial): Promise<string> {
  const { destination, large, signal } = trial;
  const piece = randomBytes(PIECE_BYTES);
  const expected = createHash("sha256");
  for (let sent = 0; sent < LARGE_BYTES; sent += PIECE_BYTES) expected.update(piece);
  const sha256 = expected.digest("hex");
  const startedAt = performance.now();
  const stored = await destination.put(large, pieces(piece, LARGE_BYTES / PIECE_BYTES), { signal });
  const storedAt = performance.now();
  const found = createHash("sha256");
  for await (const chunk of destination.get(large, { signal })) found.update(chunk);
  if (stored.sha256 !== sha256 || found.digest("hex") !== sha256) {
    throw unreliable(trial, "a large object reads back as other bytes");
  }
  const seconds = (from: number, to: number): string => `${((to - from) / 1000).toFixed(1)} s`;
  const taken = `stored in ${seconds(startedAt, storedAt)}, read in ${seconds(storedAt, performance.now())}`;
  return `${humanBytes(LARGE_BYTES)} ${taken}`;
}

/** A status file: replaced, but only by who knows what is there. */
async function tryReplace(trial: Trial): Promise<Finding[]> {
  const { destination, text, signal } = trial;
  const [first, second] = [Buffer.from("first\n"), Buffer.from("second\n")];
  let stale = "";
  const replaced = await look("replace", async () => {
    stale = await destination.replaceSmall(text, first, { expected: undefined, signal });
    await destination.replaceSmall(text, second, { expected: stale, signal });
    return "a status file can be written and replaced";
  });
  if (replaced.result === "failed") return [replaced];
  const conditions = await look("conditions", async () => {
    for (const expected of [stale, undefined]) {
      await refused(ConflictError, "a change by a writer that knows an older state", () =>
        destination.replaceSmall(text, first, { expected, signal }),
      );
    }
    const found = await destination.readSmall(text, { signal });
    if (found === undefined || !second.equals(found.content)) throw unreliable(trial, "a refused change was made");
    return conditionsFinding(trial);
  });
  return [replaced, conditions];
}

async function conditionsFinding({ destination, signal }: Trial): Promise<string | Finding> {
  const { conditionalReplace } = await destination.capabilities({ signal });
  switch (conditionalReplace) {
    case "native":
      return "the store itself refuses a change by a writer that knows an older state";
    case "locked":
      return "a lock keeps writers from changing a status at the same moment";
    case "checked": {
      const detail = "the store has no conditions: let no two machines write for one host at the same moment";
      return { name: "conditions", result: "warning", detail };
    }
    default:
      return conditionalReplace satisfies never;
  }
}

async function tryDelete(trial: Trial): Promise<string | Finding> {
  const { destination, folder, small, large, text, signal } = trial;
  try {
    for (const key of [small, large, text]) await destination.remove(key, { signal });
  } catch (error) {
    if (!isNotPermitted(error)) throw error;
    const detail =
      `not permitted, so "${folder}/" stays; that is fine where lifecycle rules or another host remove what expired: ` +
      `set remove_expired=no. ${error.message}`;
    return { name: "delete", result: "warning", detail };
  }
  for await (const { key } of destination.list(`${folder}/`, { signal })) {
    throw unreliable(trial, `"${key}" is still listed after it was removed`);
  }
  return "what was stored is removed again";
}

type ErrorClass = new (...args: never) => BackupError;

/** @throws {BackupError} when `call` is carried out all the same. */
async function refused(expected: ErrorClass, what: string, call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (error instanceof expected) return;
    throw error;
  }
  throw new BackupError("FAILED", `Cannot rely on the destination: it accepts ${what}`, {
    hint: "Do not use it for copies: two writers would destroy each other's work.",
  });
}

function unreliable({ destination }: Trial, what: string): BackupError {
  return new BackupError("FAILED", `Cannot rely on "${destination.url}": ${what}`, {
    hint: "Look at the storage itself before you trust copies to it.",
  });
}

async function* pieces(piece: Uint8Array, count = 1): ByteStream & AsyncGenerator<Uint8Array, void> {
  for (let sent = 0; sent < count; sent += 1) yield piece;
}

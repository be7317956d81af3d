import { createHash } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { BackupError } from "../domain/errors.ts";
import { makeDirectories } from "../lib/directories.ts";
import { type Holder, isGone, ourselves } from "../lib/holder.ts";
import { replaceFile } from "../lib/replace-file.ts";
import { meaningOf } from "../lib/system-error.ts";
import type { Client } from "./client.ts";

const DIRECTORY = "/var/lib/twindb-backup";

/** Where it is written down that a node was taken out of flow control. */
export type DesyncRecord = { readonly path: string; readonly target: string };

/** The record of the server behind `client`; each server has its own, so that two on a host keep apart. */
export async function recordOf(client: Client, directory: string = DIRECTORY): Promise<DesyncRecord> {
  const [row = {}] = await client.rows("SELECT @@hostname, @@port, @@datadir");
  const server = createHash("sha256")
    .update(JSON.stringify(Object.values(row)))
    .digest("hex")
    .slice(0, 12);
  return { path: join(directory, `desync-${server}.json`), target: client.target };
}

/** Write it down, so that it outlives a crash of the machine. */
export async function writeRecord({ path, target }: DesyncRecord): Promise<void> {
  const text = `${JSON.stringify({ ...ourselves(), target, since: new Date().toISOString() })}\n`;
  try {
    await makeDirectories(dirname(path), 0o700);
    await replaceFile(path, text, 0o600);
  } catch (cause) {
    throw unusable("write", path, cause);
  }
}

/** Whose record is there, and whether he is still at work; `undefined` without one. */
export async function readRecord({ path }: DesyncRecord): Promise<{ pid: number; isAtWork: boolean } | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw unusable("read", path, cause);
  }
  const holder = holderIn(text);
  return { pid: holder?.pid ?? 0, isAtWork: holder !== undefined && !isGone(holder) };
}

/** Forget it. */
export async function removeRecord({ path }: DesyncRecord): Promise<void> {
  try {
    await rm(path, { force: true });
  } catch (cause) {
    throw unusable("remove", path, cause);
  }
}

/** A record that cannot be read is that of nobody at work: we write them whole. */
function holderIn(text: string): Holder | undefined {
  try {
    const { pid, startTime, bootId } = JSON.parse(text) as Partial<Holder>;
    if (typeof pid !== "number" || typeof startTime !== "string" || typeof bootId !== "string") return undefined;
    return { pid, startTime, bootId };
  } catch {
    return undefined;
  }
}

function unusable(verb: string, path: string, cause: unknown): BackupError {
  const { code, what } = meaningOf(cause);
  return new BackupError(code, `Cannot ${verb} "${path}": ${what}`, {
    hint: "Run as root; the file remembers that a node of a cluster was taken out of its flow control.",
    cause,
  });
}

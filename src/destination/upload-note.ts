import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Key } from "../domain/key.ts";
import { makeTemporaryDirectory, temporaryDirectories } from "../lib/temporary-directory.ts";

/** How the directories of notes are called in the system's place for temporary files. */
export const NOTE_PREFIX = "twindb-backup-upload-";

/** The file in such a directory. */
export const NOTE_FILE = "upload.json";

/** What is uploaded, and to where. */
export type NotedUpload = { readonly url: string; readonly key: string };

/** A note that is there. `isLeft` when the process that made it has ended without removing it. */
type FoundNote = NotedUpload & { readonly isLeft: boolean; readonly remove: () => Promise<void> };

/** Note on this host that an upload is about to begin, so that a later run knows whose it is. @returns what removes the note. */
export async function noteUpload(url: string, key: Key): Promise<() => Promise<void>> {
  const path = await makeTemporaryDirectory(NOTE_PREFIX);
  await writeFile(join(path, NOTE_FILE), JSON.stringify({ url, key } satisfies NotedUpload), { mode: 0o600 });
  return () => rm(path, { recursive: true, force: true });
}

/** The notes of this host about uploads to a place. */
export async function notedUploads(url: string): Promise<FoundNote[]> {
  const notes: FoundNote[] = [];
  for (const { path, isLeft } of await temporaryDirectories(NOTE_PREFIX)) {
    const noted = await readNote(join(path, NOTE_FILE));
    const remove = () => rm(path, { recursive: true, force: true });
    if (noted !== undefined && noted.url === url) notes.push({ ...noted, isLeft, remove });
    // Killed while noting: its upload never began.
    if (noted === undefined && isLeft) await remove();
  }
  return notes;
}

async function readNote(path: string): Promise<NotedUpload | undefined> {
  try {
    const { url, key } = JSON.parse(await readFile(path, "utf8")) as Partial<NotedUpload>;
    return typeof url === "string" && typeof key === "string" ? { url, key } : undefined;
  } catch {
    // It is being written, or was removed by who made it.
    return undefined;
  }
}

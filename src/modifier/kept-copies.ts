import type { Stats } from "node:fs";
import { lstat, readdir, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import type { Interval } from "../domain/interval.ts";
import { asKey, type Key, toKey } from "../domain/key.ts";

/** One file kept on this host. */
export type KeptFile = { readonly name: string; readonly bytes: number };

/** `.NAME.PID-RANDOM.partial`, as `keepLocal()` names what is not complete yet. */
const PARTIAL = /^\..+\.(\d+)-[0-9a-f]{12}\.partial$/;
const DAY_MS = 24 * 60 * 60 * 1000;

async function unlessMissing<Value>(promise: Promise<Value>): Promise<Value | undefined> {
  try {
    return await promise;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Which of the kept copies. */
type Shelf = { readonly host: string; readonly interval: Interval; readonly media: "files" | "mysql" };

/** Complete copies of one media kept for one host and run type, by name. A directory that is not there has none. */
export async function listLocal(root: string, { host, interval, media }: Shelf): Promise<KeptFile[]> {
  const directory = join(root, toKey(`${host}/${interval}/${media}`));
  const kept: KeptFile[] = [];
  for (const name of (await unlessMissing(readdir(directory))) ?? []) {
    const stats = PARTIAL.test(name) ? undefined : await unlessMissing(lstat(join(directory, name)));
    if (stats?.isFile() === true) kept.push({ name, bytes: stats.size });
  }
  return kept.sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** One binlog kept on this host: under which key, and how old the file is. */
type KeptBinlog = { readonly key: Key; readonly modifiedAt: Date };

/** Complete binlogs kept for one host, of every incarnation of its server. */
export async function listKeptBinlogs(root: string, host: string): Promise<KeptBinlog[]> {
  const directory = join(root, toKey(`${host}/binlog`));
  const kept: KeptBinlog[] = [];
  for (const entry of (await unlessMissing(readdir(directory, { recursive: true, withFileTypes: true }))) ?? []) {
    const path = join(entry.parentPath, entry.name);
    const key = PARTIAL.test(entry.name) ? undefined : asKey(relative(root, path));
    const stats = key === undefined ? undefined : await unlessMissing(lstat(path));
    if (key !== undefined && stats?.isFile() === true) kept.push({ key, modifiedAt: stats.mtime });
  }
  return kept;
}

/** Remove one kept copy; one that is not there is no error. */
export async function removeLocal(root: string, key: Key): Promise<void> {
  await rm(join(root, key), { force: true });
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function isLeftover(name: string, stats: Stats): boolean {
  const pid = PARTIAL.exec(name)?.[1];
  if (pid === undefined || !stats.isFile()) return false;
  // A number in use may be another program's by now; nobody writes to a file that has not changed for a day.
  return !isRunning(Number(pid)) || Date.now() - stats.mtimeMs > DAY_MS;
}

/** Remove incomplete copies that interrupted runs left below `host`. @returns how many were removed. */
export async function sweepKeepLocal(root: string, host: string): Promise<number> {
  const directory = join(root, toKey(host));
  let removed = 0;
  for (const entry of (await unlessMissing(readdir(directory, { recursive: true, withFileTypes: true }))) ?? []) {
    const path = join(entry.parentPath, entry.name);
    const stats = PARTIAL.test(entry.name) ? await unlessMissing(lstat(path)) : undefined;
    if (stats === undefined || !isLeftover(entry.name, stats)) continue;
    await rm(path, { force: true });
    removed++;
  }
  return removed;
}

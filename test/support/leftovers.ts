import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** Command lines of running programs that mention `text`; this process and its tests do not count. */
export function processesMentioning(text: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
        return line.includes(text) && !line.includes("sshd") ? [`${pid} ${line}`] : [];
      } catch {
        return [];
      }
    });
}

/** Every regular file below a directory, relative. */
export function filesBelow(root: string): string[] {
  if (!existsSync(root)) return [];
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((path) => statSync(join(root, path), { throwIfNoEntry: false })?.isFile() === true)
    .sort();
}

/** What a clean destination never holds: temporary and lock objects, marks of unfinished copies. */
export function leftoversIn(copies: string): string[] {
  return filesBelow(copies).filter(
    (path) => path.includes("/.partial/") || path.endsWith(".unfinished") || path.endsWith(".partial"),
  );
}

/** Temporary directories of ours in `place`. */
export function temporaryDirectories(place: string): string[] {
  return readdirSync(place).filter((name) => name.startsWith("twindb-backup-"));
}

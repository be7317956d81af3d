import { readdir, readFile, readlink, stat } from "node:fs/promises";
import { join } from "node:path";
import { serverDirectories } from "../domain/config-files.ts";
import type { MysqlCopy } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import { text } from "../lib/command.ts";

type Owner = { readonly uid: number; readonly gid: number };

const SERVER_USER = "mysql";

/**
 * Where a copy's server kept its data: what the user says, else what the config files in the copy say.
 * @throws {BackupError} USAGE when neither does, or when a part of the data has to go elsewhere.
 */
export function datadirOf({ key, config }: MysqlCopy, given: string | undefined): string {
  const { datadir, elsewhere } = serverDirectories(config);
  const [outside] = elsewhere;
  if (outside !== undefined) {
    throw new BackupError(
      "USAGE",
      `Cannot put "${key}" in place: its server keeps a part of the data elsewhere, ${outside[0]} is ${outside[1]}`,
      { hint: "Restore it with --dst, and let the backup tool put it in place with its --copy-back." },
    );
  }
  const found = given ?? datadir;
  if (found !== undefined) return found;
  throw new BackupError("USAGE", `Cannot put "${key}" in place: it does not say where its server kept the data`, {
    hint: "Name the data directory with --datadir.",
  });
}

/** The pid of a server that works in a directory; it changes into it when it starts, and stays there. */
async function serverIn(directory: string): Promise<number | undefined> {
  const wanted = new Set([directory, `${directory} (deleted)`]);
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    // Processes end while we look, and those of others may be closed to us.
    const cwd = await readlink(join("/proc", pid, "cwd")).catch(() => undefined);
    if (cwd === undefined || !wanted.has(cwd)) continue;
    const name = await readFile(join("/proc", pid, "comm"), "utf8").catch(() => "");
    if (/^(?:mysqld|mariadbd)/.test(name)) return Number(pid);
  }
  return undefined;
}

async function idOf(option: "-u" | "-g", signal: AbortSignal): Promise<number> {
  return Number(await text({ file: "id", args: [option, SERVER_USER] }, { signal }));
}

async function ownerOf(datadir: string, signal: AbortSignal): Promise<Owner> {
  const stats = await stat(datadir).catch(() => undefined);
  if (stats !== undefined && (stats.uid !== 0 || process.geteuid?.() !== 0)) return { uid: stats.uid, gid: stats.gid };
  try {
    return { uid: await idOf("-u", signal), gid: await idOf("-g", signal) };
  } catch (cause) {
    throw new BackupError("USAGE", `Cannot put a copy into "${datadir}": there is no user "${SERVER_USER}" to own it`, {
      hint: "Install the server first, or make the directory and give it to the server's user.",
      cause,
    });
  }
}

/**
 * Look whether a copy can be put in place of a server's data.
 * @returns what gives a complete data directory to the server's user, before it is put there.
 * @throws {BackupError} USAGE when a server runs there, NOT_PERMITTED when we may not give files away.
 */
export async function openCopyBack(
  datadir: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<(directory: string) => Promise<void>> {
  const pid = await serverIn(datadir);
  if (pid !== undefined) {
    throw new BackupError("USAGE", `Cannot restore into "${datadir}": a server runs there, with pid ${pid}`, {
      hint: "Stop it first, and move its data out of the way.",
    });
  }
  const { uid, gid } = await ownerOf(datadir, signal);
  const us = process.geteuid?.();
  if (us !== 0 && us !== uid) {
    throw new BackupError("NOT_PERMITTED", `Cannot restore into "${datadir}": its owner is another user`, {
      hint: "Run as root, or as the user that the server runs as.",
    });
  }
  return async (directory) => {
    await text({ file: "chmod", args: ["-R", "u=rwX,g=rX,o=", "--", directory] }, { signal });
    if (us === 0)
      await text({ file: "chown", args: ["-R", "--no-dereference", `${uid}:${gid}`, "--", directory] }, { signal });
  };
}

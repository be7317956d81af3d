import { open, readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { sampleConfig } from "../../config/sample.ts";
import { BackupError } from "../../domain/errors.ts";
import { makeDirectories } from "../../lib/directories.ts";
import { replaceFile } from "../../lib/replace-file.ts";
import { meaningOf } from "../../lib/system-error.ts";
import type { Invocation } from "../invocation.ts";

type InitOptions = { readonly dst: string; readonly source?: readonly string[] };

/** The config that the package puts in place when there is none. */
const PACKAGED = join(dirname(process.argv[1] ?? ""), "../etc/twindb-backup.cfg");

/** Write a config file for a local destination; never over an existing one, but for the package's that nobody changed. */
export async function init(
  { dst, source = ["/etc"] }: InitOptions,
  { terminal, configPath }: Invocation,
): Promise<number> {
  const path = resolve(configPath);
  const text = sampleConfig({ directory: resolve(dst), sources: source.map((directory) => resolve(directory)) });
  try {
    await makeDirectories(dirname(path), 0o755);
    if (await isPackaged(path)) await replaceFile(path, text, 0o600);
    else await writeNew(path, text);
  } catch (cause) {
    throw refusal(path, cause);
  }
  terminal.print(`Wrote ${path}. Read it, then run: twindb-backup --config ${path} backup daily`);
  return 0;
}

async function isPackaged(path: string): Promise<boolean> {
  const [found, packaged] = await Promise.all(
    [path, PACKAGED].map((each) => readFile(each, "utf8").catch(() => undefined)),
  );
  return found !== undefined && found === packaged;
}

async function writeNew(path: string, text: string): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  await file.writeFile(text);
  await file.sync();
}

function refusal(path: string, cause: unknown): BackupError {
  if (cause instanceof Error && "code" in cause && cause.code === "EEXIST") {
    return new BackupError("CONFIG_INVALID", `Cannot write "${path}": the file exists`, {
      hint: "Edit that file, or name another one: twindb-backup --config PATH init.",
    });
  }
  const { code, what } = meaningOf(cause);
  return new BackupError(code, `Cannot write "${path}": ${what}`, {
    hint: "Run as root, or name another file: twindb-backup --config PATH init.",
    cause,
  });
}

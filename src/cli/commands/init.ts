import { open } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { sampleConfig } from "../../config/sample.ts";
import { BackupError } from "../../domain/errors.ts";
import { makeDirectories } from "../../lib/directories.ts";
import type { Invocation } from "../invocation.ts";

type InitOptions = { readonly dst: string; readonly source?: readonly string[] };

/** Write a config file for a local destination; never over an existing one. */
export async function init(
  { dst, source = ["/etc"] }: InitOptions,
  { terminal, configPath }: Invocation,
): Promise<number> {
  const path = resolve(configPath);
  const text = sampleConfig({ directory: resolve(dst), sources: source.map((directory) => resolve(directory)) });
  try {
    await makeDirectories(dirname(path), 0o755);
    await using file = await open(path, "wx", 0o600);
    await file.writeFile(text);
    await file.sync();
  } catch (cause) {
    throw refusal(path, cause as NodeJS.ErrnoException);
  }
  terminal.print(`Wrote ${path}. Read it, then run: twindb-backup --config ${path} backup daily`);
  return 0;
}

function refusal(path: string, cause: NodeJS.ErrnoException): BackupError {
  if (cause.code === "EEXIST") {
    return new BackupError("CONFIG_INVALID", `Cannot write "${path}": the file exists`, {
      hint: "Edit that file, or name another one: twindb-backup --config PATH init.",
    });
  }
  const denied = cause.code === "EACCES" || cause.code === "EPERM" || cause.code === "EROFS";
  return new BackupError(denied ? "NOT_PERMITTED" : "FAILED", `Cannot write "${path}": ${cause.message}`, { cause });
}

import { open } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { sampleConfig } from "../../config/sample.ts";
import { BackupError } from "../../domain/errors.ts";
import { makeDirectories } from "../../lib/directories.ts";
import { meaningOf } from "../../lib/system-error.ts";
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
    throw refusal(path, cause);
  }
  terminal.print(`Wrote ${path}. Read it, then run: twindb-backup --config ${path} backup daily`);
  return 0;
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

import { readFile } from "node:fs/promises";
import { BackupError } from "../domain/errors.ts";

/** A private key as text; `missing` when there is no such file. */
export type KeyText = Buffer | "missing";

/**
 * Read a private key file.
 * @throws {BackupError} NOT_PERMITTED when it is there but cannot be read.
 */
export async function readKeyFile(file: string): Promise<KeyText> {
  try {
    return await readFile(file);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return "missing";
    throw new BackupError("NOT_PERMITTED", `Cannot read the key "${file}": ${(cause as Error).message}`, {
      hint: "Run as a user who may read it, or set ssh_key to another file.",
      cause,
    });
  }
}

/** No key is left to log in with. */
export function noKeyError(file: string, what: "missing" | "encrypted"): BackupError {
  const why = what === "missing" ? "there is no such file" : "it is encrypted";
  return new BackupError("NOT_PERMITTED", `Cannot use the key "${file}": ${why}, and no SSH agent is running`, {
    hint:
      what === "missing"
        ? "Make a key with ssh-keygen, or set ssh_key to the one to use."
        : "Set SSH_AUTH_SOCK to an agent that holds the key, or use a key without a passphrase.",
  });
}

/** The file is no private key. */
export function badKeyError(file: string, cause: Error): BackupError {
  return new BackupError(
    "CONFIG_INVALID",
    `Cannot use the key "${file}": it is not a private key in OpenSSH or PEM form`,
    {
      hint: "Set ssh_key to the private key, not to the .pub file.",
      cause,
    },
  );
}

import { access, constants } from "node:fs/promises";
import { BackupError } from "../domain/errors.ts";
import { CommandError, into, text } from "../lib/command.ts";
import { requireProgram } from "../lib/programs.ts";
import { type Choice, chooseKey, parseKeys } from "./gpg-keys.ts";
import type { Modifier } from "./modifier.ts";
import type { GpgOptions } from "./options.ts";

type CallOptions = { readonly signal: AbortSignal };

/** Arguments every call of gpg has: it asks nobody anything. */
export const GPG_ARGS = ["--batch", "--yes", "--no-tty"] as const;

/** Arguments that name the GnuPG home directory, when it is not the user's own. */
export function homedirArgs(options: Pick<GpgOptions, "homedir"> | undefined): string[] {
  return options?.homedir === undefined ? [] : ["--homedir", options.homedir];
}

function invalid(recipient: string, what: string, hint: string): BackupError {
  return new BackupError("CONFIG_INVALID", `Cannot encrypt to "${recipient}": ${what}`, { hint });
}

async function requireReadable(file: string, key: string): Promise<void> {
  try {
    await access(file, constants.R_OK);
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    const what = missing ? "there is no such file" : "it cannot be read";
    throw new BackupError("CONFIG_INVALID", `Cannot use the keys in "${file}": ${what}`, {
      hint: `Correct ${key} under [gpg], or put the public key there.`,
      cause,
    });
  }
}

/** Where public keys for encryption are looked for. */
function keyringArgs({ keyring }: GpgOptions): string[] {
  return keyring === undefined ? [] : ["--no-default-keyring", "--keyring", keyring];
}

/** `D3F8 8425 …` as people print fingerprints, without its spaces. */
function withoutSpaces(recipient: string): string {
  const joined = recipient.replaceAll(" ", "");
  return /^(0x)?[0-9A-Fa-f]{40}$/.test(joined) ? joined : recipient;
}

function isKeyFile(recipient: string): boolean {
  return recipient.startsWith("/");
}

function listArgs(recipient: string): string[] {
  if (isKeyFile(recipient)) return ["--show-keys", "--", recipient];
  return ["--list-keys", "--", withoutSpaces(recipient)];
}

async function choose(options: GpgOptions, recipient: string, { signal }: CallOptions): Promise<Choice> {
  const args = [...GPG_ARGS, ...homedirArgs(options), ...keyringArgs(options), "--with-colons", ...listArgs(recipient)];
  // Status 2 is how it says that it knows no such key.
  const colons = await text({ file: "gpg", args, warningStatuses: [2] }, { signal });
  return chooseKey(parseKeys(colons), recipient);
}

function encryptArgs(options: GpgOptions, to: readonly string[]): string[] {
  // Compressed data is not compressed again: gpg would take ten times as long for nothing.
  const how = ["--compress-algo", "none", "--no-armor", "--trust-model", "always"];
  return [...GPG_ARGS, ...homedirArgs(options), ...how, ...keyringArgs(options), ...to, "--encrypt"];
}

async function* fewBytes(): AsyncGenerator<Uint8Array, void> {
  yield Buffer.from("twindb-backup\n");
}

async function tryOut(modifier: Modifier, recipient: string, options: CallOptions): Promise<void> {
  requireProgram("gpg", "the encryption of copies");
  try {
    if ((await into(fewBytes(), modifier.apply, options)) !== "") return;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new BackupError("CONFIG_INVALID", `Cannot encrypt to "${recipient}": ${error.message}`, {
      hint: `Try "gpg ${modifier.apply.args.join(" ")}" by hand.`,
      cause: error,
    });
  }
  throw invalid(recipient, "gpg wrote nothing", 'Run "twindb-backup check" again, and look at the gpg of this host.');
}

/**
 * Encryption with the public key of one recipient. Which key that is, is settled here, once: a full fingerprint or a key file is
 * what gpg is told. The modifier's `revert` uses the secret keys of the same GnuPG home; see `openDecoding()` for the rest.
 * @throws {BackupError} CONFIG_INVALID when the recipient is not exactly one key that can encrypt now.
 */
export async function openGpg(options: GpgOptions, { signal }: CallOptions): Promise<Modifier> {
  const { recipient, keyring } = options;
  if (recipient === undefined) {
    throw new BackupError("CONFIG_INVALID", 'Cannot encrypt "copies": [gpg] names no recipient', {
      hint: "Set recipient under [gpg] to the fingerprint of the key to encrypt to.",
    });
  }
  requireProgram("gpg", "the encryption of copies");
  if (keyring !== undefined) await requireReadable(keyring, "keyring");
  if (isKeyFile(recipient)) await requireReadable(recipient, "recipient");
  const choice = await choose(options, recipient, { signal });
  if ("problem" in choice) {
    const where = keyring === undefined ? "the keyring of the user who runs this" : keyring;
    throw invalid(
      recipient,
      choice.problem,
      `Set recipient under [gpg] to the fingerprint of a usable key in ${where}.`,
    );
  }
  const to = isKeyFile(recipient) ? ["--recipient-file", recipient] : ["--recipient", choice.fingerprint];
  const modifier: Modifier = {
    name: "gpg",
    suffix: ".gpg",
    apply: { file: "gpg", args: encryptArgs(options, to) },
    revert: { file: "gpg", args: [...GPG_ARGS, ...homedirArgs(options), "--decrypt"] },
    check: (callOptions) => tryOut(modifier, recipient, callOptions),
  };
  return modifier;
}

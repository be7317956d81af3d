import { existsSync } from "node:fs";
import { open } from "node:fs/promises";
import { BackupError } from "../domain/errors.ts";
import { type Command, CommandError, into } from "../lib/command.ts";
import { requireProgram } from "../lib/programs.ts";
import { GPG_ARGS, homedirArgs } from "./gpg.ts";
import { PrivateHome } from "./gpg-private-home.ts";
import type { GpgOptions } from "./options.ts";

type CallOptions = { readonly signal: AbortSignal };

/** A gpg command that was proved to open a certain copy. Disposing it removes keys that were imported for it. */
export interface Decryption extends AsyncDisposable {
  readonly command: Command;
}

/** The copy to open. `head` is its first bytes; 64 KiB are enough. */
type Request = { readonly gpg: GpgOptions | undefined; readonly name: string; readonly head: Uint8Array };

/**
 * What gpg made of the start of a copy. Its last lines are for people.
 * `foreign`: it is not encrypted to a public key at all.
 */
type Trial = { readonly result: "opened" | "no key" | "foreign"; readonly said: string };

async function* once(head: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield head;
}

function decryptCommand(...where: readonly string[]): Command {
  return { file: "gpg", args: [...GPG_ARGS, ...where, "--decrypt"] };
}

/** Let gpg open the head of a copy. It ends with status 2 in any case, as the rest is missing. */
async function tryOut(command: Command, head: Uint8Array, { signal }: CallOptions): Promise<Trial> {
  const trial = { ...command, args: ["--status-fd", "2", "--output", "/dev/null", ...command.args] };
  let stderr = "";
  try {
    const onFinish = (finished: { readonly stderr: string }) => {
      stderr = finished.stderr;
    };
    await into(once(head), { ...trial, warningStatuses: [2] }, { signal, onFinish });
  } catch (error) {
    // It may also stop before it has read everything.
    if (!(error instanceof CommandError) || error.exitCode === null) throw error;
    stderr = error.stderrTail;
  }
  return readTrial(stderr);
}

/** Read the status lines of a trial, as GnuPG's doc/DETAILS names them. */
function readTrial(stderr: string): Trial {
  const lines = stderr.split("\n");
  const statuses = lines.filter((line) => line.startsWith("[GNUPG:] "));
  const said = lines.filter((line) => line.startsWith("gpg: ") && !/block_filter|unknown version/.test(line)).at(-1);
  const has = (name: string) => statuses.some((line) => line.split(" ")[1]?.startsWith(name));
  if (has("DECRYPTION_KEY") || has("DECRYPTION_INFO")) return { result: "opened", said: "" };
  return { result: has("ENC_TO") ? "no key" : "foreign", said: said?.slice("gpg: ".length) ?? "it has no secret key" };
}

/** Whether a file holds OpenPGP secret keys as such: the keyrings of GnuPG before 2.1, and exported keys. */
async function holdsSecretKeys(file: string): Promise<boolean> {
  await using handle = await open(file, "r");
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(64), 0, 64, 0);
  const start = buffer.subarray(0, bytesRead);
  // RFC 4880, 4.2: the first byte of a packet holds its tag; that of a secret key is 5.
  const tag = start[0] ?? 0;
  return (tag >= 0x94 && tag <= 0x97) || tag === 0xc5 || start.toString("latin1").includes("PGP PRIVATE KEY");
}

/** Keyrings to look into besides those of the home. gpg aborts on one with secret keys in it. */
async function keyringArgs(options: GpgOptions | undefined): Promise<string[]> {
  const args: string[] = [];
  for (const file of [options?.keyring, options?.secretKeyring]) {
    if (file !== undefined && existsSync(file) && !(await holdsSecretKeys(file))) args.push("--keyring", file);
  }
  return args;
}

function refused({ result, said }: Trial, { name, gpg: options }: Request): BackupError {
  if (result === "foreign") {
    return new BackupError("DATA_DAMAGED", `Cannot decrypt "${name}": it does not start as something gpg encrypted`, {
      hint: "Verify the copies of this host, and restore another one.",
    });
  }
  const home = options?.homedir ?? "the GnuPG home of the user who runs this";
  return new BackupError("NOT_PERMITTED", `Cannot decrypt "${name}": ${said}`, {
    hint: `Import the secret key into ${home}, or name a file that holds it with secret_keyring under [gpg].`,
  });
}

/**
 * Find the secret key that opens a copy: in the GnuPG home, else in the file that secret_keyring names.
 * @throws {BackupError} NOT_PERMITTED when no key here opens it, DATA_DAMAGED when it is not encrypted at all.
 */
export async function openDecryption(request: Request, { signal }: CallOptions): Promise<Decryption> {
  requireProgram("gpg", "reading an encrypted copy");
  const { gpg, head } = request;
  const secretFile = gpg?.secretKeyring;
  const own = decryptCommand(...homedirArgs(gpg), ...(await keyringArgs(gpg)));
  const trial = await tryOut(own, head, { signal });
  if (trial.result === "opened") return { command: own, async [Symbol.asyncDispose]() {} };
  const importable = secretFile !== undefined && existsSync(secretFile) && (await holdsSecretKeys(secretFile));
  if (trial.result === "foreign" || !importable) throw refused(trial, request);
  await using stack = new AsyncDisposableStack();
  const home = stack.use(await PrivateHome.importing(secretFile, { signal }));
  const command = decryptCommand("--homedir", home.directory);
  const second = await tryOut(command, head, { signal });
  if (second.result !== "opened") throw refused(second, request);
  const owned = stack.move();
  return { command, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

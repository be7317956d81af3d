import { rm } from "node:fs/promises";
import { text } from "../lib/command.ts";
import { leftTemporaryDirectories, makeTemporaryDirectory } from "../lib/temporary-directory.ts";
import { GPG_ARGS } from "./gpg.ts";

const PREFIX = "twindb-backup-gnupg-";

type CallOptions = { readonly signal: AbortSignal };

/** A GnuPG home of its own, with the keys of a file in it. GnuPG since 2.1 reads secret keys from a home only. */
export class PrivateHome implements AsyncDisposable {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async importing(file: string, { signal }: CallOptions): Promise<PrivateHome> {
    await sweepPrivateHomes();
    const home = new PrivateHome(await makeTemporaryDirectory(PREFIX));
    try {
      await text({ file: "gpg", args: [...GPG_ARGS, "--homedir", home.directory, "--import", "--", file] }, { signal });
      return home;
    } catch (error) {
      await home[Symbol.asyncDispose]();
      throw error;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return remove(this.directory);
  }
}

/** End the agent of a home, and remove its keys. */
async function remove(directory: string): Promise<void> {
  try {
    const args = ["--homedir", directory, "--kill", "all"];
    await text({ file: "gpgconf", args }, { signal: AbortSignal.timeout(10_000) });
  } catch {
    // An agent ends of itself once its home is gone; removing the keys is what counts.
  }
  await rm(directory, { recursive: true, force: true });
}

/** Remove the homes that killed runs left, with their secret keys and agents. */
export async function sweepPrivateHomes(): Promise<void> {
  for (const directory of await leftTemporaryDirectories(PREFIX)) await remove(directory);
}

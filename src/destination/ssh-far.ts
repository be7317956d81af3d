import { BackupError } from "../domain/errors.ts";
import { isMissing } from "../lib/far-error.ts";
import { Sftp } from "../lib/sftp.ts";
import { SshSession } from "../lib/ssh.ts";
import { checkTarget, describeTarget, type SshTarget } from "../lib/ssh-target.ts";
import type { CallOptions } from "./destination.ts";
import { type FarShell, probeShell } from "./ssh-shell.ts";

/** Where a destination is: a host, and the absolute path of the root there, without a slash at its end. */
export type FarPlace = { readonly target: SshTarget; readonly root: string; readonly url: string };

/**
 * The place of a destination.
 * @throws {BackupError} CONFIG_INVALID when host, user, port or directory cannot be used.
 */
export function farPlace(target: SshTarget, directory: string): FarPlace {
  checkTarget(target);
  if (!directory.startsWith("/") || /\p{Cc}/u.test(directory)) {
    throw new BackupError(
      "CONFIG_INVALID",
      `Cannot use ${JSON.stringify(directory)} as backup_dir: it is no absolute path`,
      {
        hint: "Set backup_dir in [ssh] to a path that starts with a slash.",
      },
    );
  }
  const root = directory.replaceAll(/\/+/g, "/").replace(/\/$/, "");
  return { target, root, url: `ssh://${describeTarget(target)}${root === "" ? "/" : root}` };
}

/** An open connection to the place of a destination. Disposing it closes it. */
export class Far implements AsyncDisposable {
  readonly place: FarPlace;
  readonly session: SshSession;
  readonly sftp: Sftp;
  #shell: Promise<FarShell | undefined> | undefined;

  private constructor(place: FarPlace, session: SshSession, sftp: Sftp) {
    this.place = place;
    this.session = session;
    this.sftp = sftp;
  }

  static async open(place: FarPlace, options: CallOptions): Promise<Far> {
    const session = await SshSession.connect(place.target, options);
    try {
      return new Far(place, session, await Sftp.open(session, options));
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Aborted when the connection is gone. */
  get lost(): AbortSignal {
    return this.session.lost;
  }

  /** The absolute path of a key or directory below the root; `""` is the root. */
  path(relative: string): string {
    if (relative === "") return this.place.root === "" ? "/" : this.place.root;
    return `${this.place.root}/${relative}`;
  }

  /** The far shell and its tools; `undefined` for an account that has none. */
  shell(): Promise<FarShell | undefined> {
    this.#shell ??= probeShell(this.session);
    return this.#shell;
  }

  /** Room left for this user on the disk of the root; `undefined` when the server does not tell. */
  async freeBytes(options: CallOptions): Promise<number | undefined> {
    if (!this.sftp.offers("statvfs")) return undefined;
    for (let path = this.path(""); ; path = path.replace(/\/[^/]*$/, "") || "/") {
      try {
        return await this.sftp.freeBytes(path, options);
      } catch (error) {
        // The root, and directories above it, may not exist yet.
        if (!isMissing(error) || path === "/") throw error;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.session[Symbol.asyncDispose]();
  }
}

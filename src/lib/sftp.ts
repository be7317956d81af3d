import { BackupError } from "../domain/errors.ts";
import { abortable } from "./abortable.ts";
import { FarError, type FarReason, isMissing } from "./far-error.ts";
import type { SftpChannel, SshSession } from "./ssh.ts";
import { describeTarget } from "./ssh-target.ts";

type CallOptions = { readonly signal: AbortSignal };

/** What a far path is. */
export type FarStat = {
  readonly kind: "file" | "directory" | "other";
  readonly bytes: number;
  readonly modifiedAt: Date;
};

/** One name in a far directory. */
export type FarName = FarStat & { readonly name: string };

const FILE_TYPE_BITS = 0o170000;

const KINDS: Readonly<Record<number, FarStat["kind"]>> = { 0o100000: "file", 0o040000: "directory" };

type Attributes = { readonly mode: number; readonly size: number; readonly mtime: number };

type FileEntry = { readonly filename: string; readonly attrs: Attributes };

/** An open far file. */
export type Handle = Buffer;

/** What SFTP servers may offer beyond version 3 of the protocol. */
export type Extension = "posix-rename" | "hardlink" | "fsync" | "statvfs";

/** Status codes of SFTP version 3 that say why. */
const REASONS: Readonly<Record<number, FarReason>> = { 2: "missing", 3: "denied", 8: "unsupported" };

/**
 * Files of a far host. Paths are absolute there. Every call throws `FarError` when the server refuses,
 * UNREACHABLE when the connection ends, and the signal's reason when it is aborted.
 */
export class Sftp {
  /** Largest block that every server takes in one request. */
  readonly blockBytes: number;
  readonly #channel: SftpChannel;
  readonly #session: SshSession;

  private constructor(channel: SftpChannel, session: SshSession) {
    this.#channel = channel;
    this.#session = session;
    // Blocks a server cannot take whole are split by ssh2, one after the other.
    this.blockBytes = 254 * 1024;
  }

  static async open(session: SshSession, options: CallOptions): Promise<Sftp> {
    try {
      return new Sftp(await session.openSftp(options), session);
    } catch (cause) {
      options.signal.throwIfAborted();
      const target = describeTarget(session.target);
      const said = cause instanceof Error ? cause.message : String(cause);
      throw new BackupError("UNREACHABLE", `Cannot use SFTP on "${target}": ${said}`, {
        hint: "Enable the sftp subsystem in sshd_config there, and let no login file of that user print anything.",
        cause,
      });
    }
  }

  /** Aborted when the connection is gone. */
  get lost(): AbortSignal {
    return this.#session.lost;
  }

  /** Whether the server offers an extension. */
  offers(extension: Extension): boolean {
    const offered = (this.#channel as unknown as { readonly _extensions: Readonly<Record<string, string>> })
      ._extensions;
    const version = extension === "statvfs" ? "2" : "1";
    return offered[`${extension}@openssh.com`] === version;
  }

  /** Without following a link. `undefined` when there is nothing. */
  async lstat(path: string, options: CallOptions): Promise<FarStat | undefined> {
    try {
      return farStat(await this.#call(`look at "${path}"`, options, (done) => this.#channel.lstat(path, done)));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** Following links. */
  async stat(path: string, options: CallOptions): Promise<FarStat> {
    return farStat(await this.#call(`look at "${path}"`, options, (done) => this.#channel.stat(path, done)));
  }

  realpath(path: string, options: CallOptions): Promise<string> {
    return this.#call(`resolve "${path}"`, options, (done) => this.#channel.realpath(path, done));
  }

  async readdir(path: string, options: CallOptions): Promise<FarName[]> {
    const list = await this.#call<FileEntry[]>(`list "${path}"`, options, (done) => this.#channel.readdir(path, done));
    return list.map(({ filename, attrs }) => ({ name: filename, ...farStat(attrs) }));
  }

  async mkdir(path: string, options: CallOptions): Promise<void> {
    await this.#call(`create "${path}"`, options, (done) => this.#channel.mkdir(path, { mode: 0o700 }, asVoid(done)));
  }

  async unlink(path: string, options: CallOptions): Promise<void> {
    await this.#call(`remove "${path}"`, options, (done) => this.#channel.unlink(path, asVoid(done)));
  }

  /** Plain rename; version 3 of SFTP demands that it fails when the new name is taken. */
  async rename(from: string, to: string, options: CallOptions): Promise<void> {
    await this.#call(`rename "${from}" to "${to}"`, options, (done) => this.#channel.rename(from, to, asVoid(done)));
  }

  /** Rename over what is there. Needs `posix-rename`. */
  async replace(from: string, to: string, options: CallOptions): Promise<void> {
    await this.#call(`rename "${from}" to "${to}"`, options, (done) =>
      this.#channel.ext_openssh_rename(from, to, asVoid(done)),
    );
  }

  /** Needs `hardlink`. */
  async link(from: string, to: string, options: CallOptions): Promise<void> {
    await this.#call(`link "${from}" to "${to}"`, options, (done) =>
      this.#channel.ext_openssh_hardlink(from, to, asVoid(done)),
    );
  }

  open(path: string, flags: "r" | "wx", options: CallOptions): Promise<Handle> {
    return this.#call(`open "${path}"`, options, (done) => this.#channel.open(path, flags, { mode: 0o600 }, done));
  }

  async close(handle: Handle, options: CallOptions): Promise<void> {
    await this.#call("close a file", options, (done) => this.#channel.close(handle, asVoid(done)));
  }

  async write(handle: Handle, block: Buffer, options: CallOptions & { readonly at: number }): Promise<void> {
    await this.#call("write a file", options, (done) =>
      this.#channel.write(handle, block, 0, block.length, options.at, asVoid(done)),
    );
  }

  /** Up to `length` bytes; fewer only at the end of the file. */
  async read(handle: Handle, length: number, options: CallOptions & { readonly at: number }): Promise<Buffer> {
    const block = Buffer.allocUnsafeSlow(length);
    let filled = 0;
    while (filled < length) {
      const offset = filled;
      const bytes = await this.#call<number>("read a file", options, (done) =>
        this.#channel.read(handle, block, offset, length - offset, options.at + offset, done),
      );
      if (bytes === 0) break;
      filled += bytes;
    }
    return block.subarray(0, filled);
  }

  /** Needs `fsync`. */
  async fsync(handle: Handle, options: CallOptions): Promise<void> {
    await this.#call("write a file to disk", options, (done) => this.#channel.ext_openssh_fsync(handle, done));
  }

  /** Bytes that this user may still write there. Needs `statvfs`. */
  async freeBytes(path: string, options: CallOptions): Promise<number> {
    const info = await this.#call<{ readonly f_bavail: number; readonly f_frsize: number }>(
      `look at the disk of "${path}"`,
      options,
      (done) => this.#channel.ext_openssh_statvfs(path, done),
    );
    return info.f_bavail * info.f_frsize;
  }

  async #call<T>(
    what: string,
    { signal }: CallOptions,
    start: (done: (error: Error | null | undefined, value: T) => void) => void,
  ): Promise<T> {
    try {
      return await abortable([signal, this.lost], start);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof BackupError) throw error;
      if (!(error instanceof Error && "code" in error)) this.#session.end();
      this.lost.throwIfAborted();
      throw refused(what, error as Error & { readonly code?: number });
    }
  }
}

function refused(what: string, error: Error & { readonly code?: number }): FarError {
  const reason = REASONS[error.code ?? -1] ?? "failure";
  return new FarError(reason, what, { said: error.message, error });
}

function farStat(attrs: Attributes): FarStat {
  const kind = KINDS[attrs.mode & FILE_TYPE_BITS] ?? "other";
  return { kind, bytes: attrs.size, modifiedAt: new Date(attrs.mtime * 1000) };
}

function asVoid(done: (error: Error | null | undefined, value: undefined) => void) {
  return (error?: Error | null) => done(error, undefined);
}

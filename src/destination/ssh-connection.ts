import { untilAborted } from "../lib/abortable.ts";
import { chooseTransport } from "./ssh-choose-transport.ts";
import { Far, type FarPlace } from "./ssh-far.ts";
import { programTransport } from "./ssh-program-transport.ts";
import { sftpTransport } from "./ssh-sftp-transport.ts";
import type { FileTransport } from "./ssh-transport.ts";

/** Fits into what SFTP keeps in flight. */
const SMALL_FILE_BYTES = 1024 * 1024;

/** One open connection, and how content travels beside it; chosen when content first does. */
type Opened = { readonly far: Far; transport: Promise<FileTransport> | undefined };

/** What tests set to reach one way of working. */
export type SshTuning = { readonly transport?: FileTransport["name"]; readonly keepAliveSeconds?: number };

/** The connection of a destination: opened by the first call, and again by the next call after it was lost. */
export class FarConnection implements AsyncDisposable {
  readonly place: FarPlace;
  readonly #tuning: SshTuning;
  readonly #closing = new AbortController();
  #opened: Promise<Opened> | undefined;

  constructor(place: FarPlace, tuning: SshTuning) {
    this.place = place;
    this.#tuning = tuning;
  }

  async far(signal: AbortSignal): Promise<Far> {
    return (await this.#open(signal)).far;
  }

  async transport(signal: AbortSignal): Promise<FileTransport> {
    const opened = await this.#open(signal);
    opened.transport ??= this.#choose(opened.far);
    return untilAborted([signal], opened.transport);
  }

  /** The same for a file of so many bytes that is read: a small one has come before another connection is open. */
  async transportFor(bytes: number, signal: AbortSignal): Promise<FileTransport> {
    if (this.#tuning.transport !== undefined || bytes > SMALL_FILE_BYTES) return this.transport(signal);
    return sftpTransport(await this.far(signal), undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error("the destination is closed"));
    const opened = await this.#opened?.catch(() => undefined);
    await opened?.far[Symbol.asyncDispose]();
  }

  async #open(signal: AbortSignal): Promise<Opened> {
    for (;;) {
      signal.throwIfAborted();
      this.#opened ??= this.#connect();
      const opening = this.#opened;
      const opened = await untilAborted([signal], opening);
      if (!opened.far.lost.aborted) return opened;
      if (this.#opened === opening) this.#opened = undefined;
    }
  }

  /** Callers share it, so no single caller's signal may end it. */
  async #connect(): Promise<Opened> {
    try {
      return { far: await Far.open(this.place, { signal: this.#closing.signal }), transport: undefined };
    } catch (error) {
      this.#opened = undefined;
      throw error;
    }
  }

  async #choose(far: Far): Promise<FileTransport> {
    const shell = await far.shell();
    if (this.#tuning.transport === "sftp") return sftpTransport(far, shell);
    if (this.#tuning.transport === "ssh program" && shell !== undefined) return programTransport(far, shell);
    return chooseTransport(far, { signal: this.#closing.signal });
  }
}

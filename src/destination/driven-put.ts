import { randomBytes } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { BackupError } from "../domain/errors.ts";
import type { Key } from "../domain/key.ts";
import { untilAborted } from "../lib/abortable.ts";
import { type ByteStream, type Digest, Measured } from "../lib/bytes.ts";
import type { Gate } from "../lib/gate.ts";
import { abortable } from "./abortable.ts";
import { isRetryable } from "./attempts.ts";
import { AlreadyExistsError, type PutOptions } from "./destination.ts";
import type { DriverCalls } from "./driven-calls.ts";
import { hasCode } from "./driven-error.ts";
import { isSameContent } from "./driven-get.ts";
import { DrivenUpload } from "./driven-upload.ts";
import type { Upload } from "./driver.ts";
import { cutParts, type Part } from "./part-cut.ts";
import { partPlan } from "./part-plan.ts";
import { PartPool } from "./part-pool.ts";
import { PartSender } from "./part-sender.ts";

/** How long cleaning up after a failure may take, in milliseconds: it goes on after the caller was told to end. */
const CLEANUP_MS = 10_000;

export type NewObject = {
  readonly key: Key;
  readonly content: ByteStream;
  /** Lets one in to publish at a time, where the store does not see to it that a taken name stays. */
  readonly turn: Gate | undefined;
};

/** Store one object: all or nothing, whatever happens on the way. */
export class DrivenPut {
  readonly #calls: DriverCalls;
  readonly #object: NewObject;
  readonly #nonce = randomBytes(16).toString("hex");
  /** Aborted with the first failure, whosever it is; its reason is what the caller gets. */
  readonly #stop = new AbortController();
  readonly #pool: PartPool;
  readonly #sender: PartSender;
  readonly #upload: DrivenUpload;
  /** Whether a call was made that may have published the object. */
  #mayBeThere = false;

  constructor(calls: DriverCalls, object: NewObject) {
    this.#calls = calls;
    this.#object = object;
    const width = calls.driver.limits.parallelParts;
    this.#pool = new PartPool(width + 1);
    this.#sender = new PartSender({ calls, pool: this.#pool, width, stop: this.#stop });
    this.#upload = new DrivenUpload(calls, { key: object.key, nonce: this.#nonce });
  }

  async run({ signal, expectedBytes }: PutOptions): Promise<Digest> {
    await this.#refuseTaken(signal);
    const onAbort = () => this.#stop.abort(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      if (signal.aborted) onAbort();
      const digest = await this.#store(expectedBytes);
      await this.#confirm(digest);
      return digest;
    } catch (error) {
      this.#stop.abort(error);
      await this.#cleanUp();
      throw this.#stop.signal.reason;
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#pool[Symbol.dispose]();
    }
  }

  async #refuseTaken(signal: AbortSignal): Promise<void> {
    const { key } = this.#object;
    const { driver } = this.#calls;
    if ((await this.#calls.often(signal, () => driver.stat(key, { signal }))) === undefined) return;
    throw new AlreadyExistsError(key, driver.url);
  }

  async #store(expectedBytes: number | undefined): Promise<Digest> {
    const { signal } = this.#stop;
    const { limits } = this.#calls.driver;
    const measured = new Measured(abortable(this.#object.content, signal), this.#object.key);
    const plan = partPlan(limits, expectedBytes);
    for await (const part of cutParts(measured, { plan, pool: this.#pool, limits, signal })) {
      if (part.isLast && part.number === 1) {
        await this.#publish(measured.digest(), () => this.#write(part));
        break;
      }
      const upload = await this.#upload.started(signal, expectedBytes);
      this.#sender.send(upload, part);
      // What is under way gets its turn, however fast the content comes.
      await nextTurn();
      if (part.isLast) await this.#commit(upload, part.number, measured.digest());
    }
    return measured.digest();
  }

  async #write({ bytes }: Part): Promise<void> {
    const { signal } = this.#stop;
    const nonce = this.#nonce;
    await this.#calls.driver.write(this.#object.key, bytes, { signal, nonce, expected: undefined });
  }

  async #commit(upload: Upload, parts: number, digest: Digest): Promise<void> {
    const { signal } = this.#stop;
    await this.#sender.settled();
    signal.throwIfAborted();
    await this.#publish(digest, () => upload.commit({ parts, ...digest }, { signal }));
    await this.#upload.committed();
  }

  /** Make the object visible. An attempt whose answer was lost may have done so: then what is there is ours. */
  async #publish(digest: Digest, call: () => Promise<unknown>): Promise<void> {
    const { signal } = this.#stop;
    using _turn = await this.#object.turn?.enter([signal]);
    if (this.#object.turn !== undefined) await this.#refuseTaken(signal);
    this.#mayBeThere = true;
    const attempts = this.#calls.attempts(signal);
    for (;;) {
      try {
        await this.#calls.once(signal, call);
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (await this.#isOurs(digest, isRetryable(error))) return;
        await attempts.after(this.#refusal(error));
      }
    }
  }

  #refusal(error: unknown): unknown {
    const isTaken = hasCode(error, "ALREADY_EXISTS", "CONFLICT") && !isRetryable(error);
    return isTaken ? new AlreadyExistsError(this.#object.key, this.#calls.driver.url, error) : error;
  }

  /** Whether what is under the key was stored by this very call. In doubt it is not. */
  async #isOurs(digest: Digest, isAskedAgain: boolean): Promise<boolean> {
    const { signal } = this.#stop;
    const { driver } = this.#calls;
    const stat = () => driver.stat(this.#object.key, { signal });
    try {
      const found = isAskedAgain ? await this.#calls.once(signal, stat) : await this.#calls.often(signal, stat);
      if (found === undefined || found.bytes !== digest.bytes) return false;
      if (found.nonce !== undefined) return found.nonce === this.#nonce;
      return await isSameContent(this.#calls, { found, digest, signal });
    } catch {
      // The failure that made us look is the one to tell.
      signal.throwIfAborted();
      return false;
    }
  }

  /** Look at what was stored. @throws {BackupError} DATA_DAMAGED when it is not what was sent; it is left where it is. */
  async #confirm({ bytes }: Digest): Promise<void> {
    const { signal } = this.#stop;
    const { key } = this.#object;
    const { driver } = this.#calls;
    const found = await this.#calls.often(signal, () => driver.stat(key, { signal }));
    if (found?.nonce !== undefined && found.nonce !== this.#nonce) throw new AlreadyExistsError(key, driver.url);
    if (found?.bytes === bytes) return;
    this.#mayBeThere = false;
    const what = found === undefined ? "it is not there" : `it has ${found.bytes} bytes there, ${bytes} were sent`;
    throw new BackupError("DATA_DAMAGED", `Cannot trust "${key}" on ${driver.url}: ${what}`, {
      hint: "Find out what is between this host and the store, remove the object by hand, and take another copy.",
    });
  }

  /** Leave nothing, as far as that is possible within a while; what is left then, the next run sweeps. */
  async #cleanUp(): Promise<void> {
    const signal = AbortSignal.timeout(CLEANUP_MS);
    try {
      await untilAborted([signal], this.#sender.settled());
      await this.#upload.abort(signal);
      if (this.#mayBeThere) await this.#removeOurs(signal);
    } catch {
      // The failure that brought us here is the one to tell.
    }
  }

  async #removeOurs(signal: AbortSignal): Promise<void> {
    const { driver } = this.#calls;
    const { key } = this.#object;
    const found = await this.#calls.often(signal, () => driver.stat(key, { signal }));
    if (found?.nonce === this.#nonce) await this.#calls.often(signal, () => driver.remove(key, { signal }));
  }
}

import { closeSync, constants, openSync, writeSync } from "node:fs";
import { Worker } from "node:worker_threads";

/** Size of a chunk: large enough that hashing and writing it costs more than handing it over. */
export const SLOT_BYTES = 1024 * 1024;

/** Chunks that may lie between the pipe and its consumer. 8 MiB ride out a slow write or a busy hash. */
export const SLOTS = 8;

/** Places in the shared counters. */
export const CONTROL = { released: 0, stop: 1 } as const;

/** What the reading thread is given. */
export type Shared = { readonly fd: number; readonly control: SharedArrayBuffer; readonly slots: SharedArrayBuffer };

const THREAD = new URL(import.meta.url.endsWith(".ts") ? "./reader-thread.ts" : "./reader-thread.js", import.meta.url);

/** The read end of a pipe. */
type ReadEnd = { end(name: "read"): number; close(name: "read"): void };

/** Wake a thread that blocks in a read of the pipe, by giving it a byte to read. */
function wake(pipe: ReadEnd): void {
  const fd = openSync(`/proc/self/fd/${pipe.end("read")}`, constants.O_WRONLY | constants.O_NONBLOCK);
  try {
    writeSync(fd, "\0");
  } catch (error) {
    // A full pipe means that the thread has something to read already.
    if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
  } finally {
    closeSync(fd);
  }
}

/** Thread that reads one pipe; its messages are the sizes of filled slots, in order. */
class Reader {
  readonly #counters: Int32Array<SharedArrayBuffer>;
  readonly #slots = new SharedArrayBuffer(SLOTS * SLOT_BYTES);
  readonly #thread: Worker;
  readonly #filled: number[] = [];
  readonly #exited: Promise<void>;
  #failure: Error | undefined;
  #ended = false;
  /** It has seen the end of the pipe and returns by itself. */
  #leaving = false;
  #notify: () => void = () => {};

  constructor(pipe: ReadEnd) {
    const control = new SharedArrayBuffer(8);
    this.#counters = new Int32Array(control);
    const workerData: Shared = { fd: pipe.end("read"), control, slots: this.#slots };
    this.#thread = new Worker(THREAD, { workerData, trackUnmanagedFds: false, env: {} });
    this.#thread.on("message", (bytes: number) => {
      this.#leaving ||= bytes < SLOT_BYTES;
      this.#filled.push(bytes);
      this.#notify();
    });
    this.#thread.on("error", (error) => {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      this.#notify();
    });
    this.#exited = new Promise((resolve) => {
      this.#thread.on("exit", () => {
        this.#ended = true;
        this.#notify();
        resolve();
      });
    });
  }

  /** Bytes in the next slot; 0 once the pipe has ended. */
  async next(): Promise<number> {
    for (;;) {
      const bytes = this.#filled.shift();
      if (bytes !== undefined) return bytes;
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#ended) throw new Error("the thread that reads a pipe ended early");
      await new Promise<void>((resolve) => {
        this.#notify = resolve;
      });
    }
  }

  slot(index: number, bytes: number): Uint8Array {
    return new Uint8Array(this.#slots, (index % SLOTS) * SLOT_BYTES, bytes);
  }

  release(): void {
    Atomics.add(this.#counters, CONTROL.released, 1);
    Atomics.notify(this.#counters, CONTROL.released);
  }

  /** End the thread, wherever it is. */
  async stop(pipe: ReadEnd): Promise<void> {
    Atomics.store(this.#counters, CONTROL.stop, 1);
    Atomics.notify(this.#counters, CONTROL.released);
    if (!this.#ended && !this.#leaving) wake(pipe);
    await this.#exited;
  }

  /** Stop waiting, with the reason of an abort. */
  fail(reason: unknown): void {
    this.#failure = reason instanceof Error ? reason : new Error("aborted", { cause: reason });
    this.#notify();
  }
}

/**
 * The bytes of a pipe in chunks of 1 MiB, read ahead by a thread. Each chunk is valid until the next pull.
 * Ends when the last writer has closed the pipe, which says nothing about the writer's success.
 */
export async function* readPipe(pipe: ReadEnd, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
  const reader = new Reader(pipe);
  const onAbort = () => reader.fail(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    for (let index = 0; ; index++) {
      const bytes = await reader.next();
      if (bytes > 0) yield reader.slot(index, bytes);
      reader.release();
      if (bytes < SLOT_BYTES) return;
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    await reader.stop(pipe);
    pipe.close("read");
  }
}

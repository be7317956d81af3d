import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Command } from "./command.ts";
import { childEnvironment } from "./environment.ts";
import { readyGuard, releaseGroup, watchGroup } from "./guard.ts";

const STDERR_TAIL = 16 * 1024;
const TEXT_LIMIT = 64 * 1024;

let endings = 0;

/** A bounded text that keeps its end. */
class Tail {
  #text = "";

  add(more: Buffer): void {
    this.#text = (this.#text + more.toString("utf8")).slice(-STDERR_TAIL);
  }

  toString(): string {
    return this.#text;
  }
}

/** Told what a program writes, as it comes. */
type Listener = (chunk: Buffer) => void;

/** Where a program's stdin and stdout go: a file descriptor, nothing, text kept here, or somebody who listens. */
export type Ends = { readonly input: number | "ignore"; readonly output: number | "text" | Listener };

/** One started program, leader of a process group of its own. */
export class Program {
  readonly command: Command;
  /** Resolves when it has ended and its stderr is closed or was given up. */
  readonly ended: Promise<void>;
  exitCode: number | null = null;
  signal: string | null = null;
  startError: NodeJS.ErrnoException | undefined;
  hasEnded = false;
  /** Counts up over all programs as they end. */
  order = 0;
  /** We ended it. */
  killed = false;

  readonly #child: ChildProcess;
  readonly #stderr = new Tail();
  readonly #text: Buffer[] = [];
  #textBytes = 0;

  constructor(command: Command, { input, output }: Ends) {
    this.command = command;
    readyGuard();
    this.#child = spawn(command.file, [...command.args], {
      stdio: [input, typeof output === "number" ? output : "pipe", "pipe"],
      detached: true,
      env: childEnvironment(command.env),
    });
    this.#child.stderr?.on("data", (chunk: Buffer) => this.#stderr.add(chunk));
    const listener: Listener = typeof output === "function" ? output : (chunk) => this.#keep(chunk);
    this.#child.stdout?.on("data", listener);
    if (this.#child.pid !== undefined) watchGroup(this.#child.pid);
    this.ended = this.#wait();
  }

  get stderr(): string {
    return this.#stderr.toString();
  }

  get stdout(): string {
    return Buffer.concat(this.#text).toString("utf8");
  }

  /** Bytes it has written so far anywhere, as the kernel counts them; `undefined` once it has ended. */
  written(): number | undefined {
    return this.#counted(/^wchar: (\d+)$/m);
  }

  /** Bytes it has read so far from anywhere, its own code included; `undefined` once it has ended. */
  bytesRead(): number | undefined {
    return this.#counted(/^rchar: (\d+)$/m);
  }

  #counted(pattern: RegExp): number | undefined {
    try {
      const match = pattern.exec(readFileSync(`/proc/${this.#child.pid}/io`, "utf8"));
      return match === null ? undefined : Number(match[1]);
    } catch {
      // It ended between two looks; progress only misses one step.
      return undefined;
    }
  }

  /** Signal the whole group, also after its leader has ended. */
  kill(signal: "SIGTERM" | "SIGKILL"): void {
    if (this.#child.pid === undefined) return;
    if (!this.hasEnded) this.killed = true;
    try {
      process.kill(-this.#child.pid, signal);
    } catch {
      // ESRCH: nobody of the group is left, which is what was wanted.
    }
  }

  #keep(chunk: Buffer): void {
    if (this.#textBytes >= TEXT_LIMIT) return;
    this.#textBytes += chunk.length;
    this.#text.push(chunk);
  }

  async #wait(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#child.once("error", (error: NodeJS.ErrnoException) => {
        if (this.#child.pid === undefined) this.startError = error;
        resolve();
      });
      this.#child.once("exit", (exitCode, signal) => {
        this.exitCode = exitCode;
        this.signal = signal;
        resolve();
      });
    });
    this.hasEnded = true;
    this.order = ++endings;
    await this.#drain();
    if (this.#child.pid !== undefined) releaseGroup(this.#child.pid);
  }

  /** Wait for the rest of its output; a grandchild that keeps it open is ended. */
  async #drain(): Promise<void> {
    const open = [this.#child.stderr, this.#child.stdout].filter((stream) => stream !== null && !stream.closed);
    const closed = Promise.all(open.map((stream) => new Promise((resolve) => stream?.once("close", resolve))));
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.kill("SIGKILL");
        resolve();
      }, 500);
    });
    await Promise.race([closed, limit]);
    clearTimeout(timer);
    for (const stream of open) stream?.destroy();
  }
}

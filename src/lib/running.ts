import { BackupError } from "../domain/errors.ts";
import type { Chain, Stage } from "./chain.ts";
import { type Fed, feed } from "./feed.ts";
import { openPipes, type Pipe } from "./pipe.ts";
import { Program } from "./program.ts";
import { isWarning, judge, type Outcome } from "./verdict.ts";

/** How long programs have after a failure elsewhere, and after SIGTERM, before they are killed. */
const GRACE_MS = { afterFailure: 1000, afterTerm: 3000, afterExit: 5000 } as const;

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}

/** A chain of programs at work. Disposing it ends whatever still runs. */
export class Running implements AsyncDisposable {
  readonly #stages: readonly Stage[];
  readonly #controller = new AbortController();
  readonly #cleanups: (() => void)[] = [];
  readonly #programs: Program[] = [];
  /** Pipe `i` ends in program `i`; `undefined` where program 0 reads nothing. The last one is the output. */
  #pipes: readonly (Pipe | undefined)[] = [];
  readonly #leftInput = new Set<number>();
  readonly #wrote = new Map<number, boolean>();
  #fed: Promise<Fed> = Promise.resolve({ end: "complete" });
  #lastMove = Date.now();
  #outputEnded = false;
  #settled = false;

  private constructor(stages: readonly Stage[]) {
    this.#stages = stages;
  }

  /** Start every program. `pipe` lets `output` be read, `text` keeps the last one's stdout. */
  static async start(chain: Chain, tail: "pipe" | "text"): Promise<Running> {
    const running = new Running(chain.stages);
    for (const { options } of chain.stages) options.signal.throwIfAborted();
    const inputs = chain.source === undefined ? 0 : 1;
    const outputs = tail === "pipe" ? 1 : 0;
    const pipes = await openPipes(inputs + chain.stages.length - 1 + outputs);
    running.#pipes = chain.source === undefined ? [undefined, ...pipes] : pipes;
    try {
      running.#spawn(tail);
    } catch (error) {
      await running[Symbol.asyncDispose]();
      throw error;
    }
    running.#watch();
    if (chain.source !== undefined) running.#feed(chain.source);
    return running;
  }

  /** Aborted with the reason why the chain is being ended. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get output(): Pipe {
    return this.#pipe(this.#programs.length);
  }

  /** The last program's stdout, when it was started for its text. */
  text(): string {
    return this.#programs.at(-1)?.stdout ?? "";
  }

  /** Note that bytes moved at our end. */
  moved(): void {
    this.#lastMove = Date.now();
  }

  /** Wait for every program, and throw unless all succeeded. */
  async finish(): Promise<void> {
    this.#outputEnded = true;
    await Promise.all(this.#programs.map((program) => program.ended));
    const fed = await this.#fed;
    this.#settled = true;
    this.#noteOutput();
    this.signal.throwIfAborted();
    const outcomes = this.#outcomes();
    if (fed.end === "failed") throw fed.error;
    const culprit = judge(outcomes);
    if (culprit !== undefined) throw culprit;
    for (const [index, { options }] of this.#stages.entries()) {
      const outcome = outcomes[index];
      if (outcome === undefined) continue;
      const { exitCode, stderrTail: stderr } = outcome;
      await options.onFinish?.({ warning: isWarning(outcome), exitCode: exitCode ?? 0, stderr });
    }
    this.signal.throwIfAborted();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#settled) await this.#end();
    this.#settled = true;
    await this.#fed;
    for (const cleanup of this.#cleanups) cleanup();
    for (const pipe of this.#pipes) pipe?.closeAll();
  }

  #spawn(tail: "pipe" | "text"): void {
    for (const [index, { command }] of this.#stages.entries()) {
      const input = this.#pipes[index]?.end("read") ?? "ignore";
      const isText = tail === "text" && index === this.#stages.length - 1;
      const output = isText ? "text" : this.#pipe(index + 1).end("write");
      this.#programs.push(new Program(command, { input, output }));
    }
    this.#keepOurEnds();
  }

  /** Only programs may hold their ends: a copy of ours would keep a pipe alive whose program has gone. */
  #keepOurEnds(): void {
    for (const [index, pipe] of this.#pipes.entries()) {
      if (index < this.#programs.length) pipe?.close("read");
      if (index > 0) pipe?.close("write");
    }
  }

  #pipe(index: number): Pipe {
    const pipe = this.#pipes[index];
    if (pipe === undefined) throw new TypeError(`this chain has no pipe ${index}`);
    return pipe;
  }

  #watch(): void {
    for (const [index, program] of this.#programs.entries()) void this.#await(program, index);
    for (const { options } of this.#stages) {
      const onAbort = () => this.#cancel(options.signal.reason);
      options.signal.addEventListener("abort", onAbort, { once: true });
      this.#cleanups.push(() => options.signal.removeEventListener("abort", onAbort));
      if (options.signal.aborted) onAbort();
    }
    const timer = setInterval(() => this.#tick(), 500);
    timer.unref();
    this.#cleanups.push(() => clearInterval(timer));
  }

  async #await(program: Program, index: number): Promise<void> {
    await program.ended;
    const input = this.#pipes[index];
    if (input?.lastWrite() !== undefined) {
      this.#wrote.set(index - 1, input.lastWrite() !== 0);
      if (input.hasLeftover() && !program.killed) this.#leftInput.add(index);
      input.close("witness");
    }
    const early = this.#leftInput.has(index);
    const failed = program.exitCode !== 0 && !isWarning(this.#outcome(program, index));
    if (!failed && !early) return this.#expectEnd();
    await pause(GRACE_MS.afterFailure);
    if (!this.#settled) await this.#end();
  }

  /** When every program has ended but its output stays open, something they started holds it. */
  async #expectEnd(): Promise<void> {
    if (!this.#programs.every((program) => program.hasEnded)) return;
    await pause(GRACE_MS.afterExit);
    if (this.#outputEnded || this.#settled) return;
    for (const program of this.#programs) program.kill("SIGKILL");
  }

  #feed(source: AsyncIterable<Uint8Array>): void {
    const pipe = this.#pipes[0];
    if (pipe === undefined) return;
    const reader = this.#programs[0]?.ended ?? Promise.resolve();
    this.#fed = feed(source, pipe, { reader, onMove: () => this.moved() }).then(async (fed) => {
      // The reader must not take the end of a failed stream for the end of the data.
      if (fed.end === "failed") await this.#end();
      pipe.close("write");
      return fed;
    });
  }

  #cancel(reason: unknown): void {
    if (this.signal.aborted) return;
    this.#controller.abort(reason);
    if (!this.#settled) void this.#end();
  }

  async #end(): Promise<void> {
    const ended = Promise.all(this.#programs.map((program) => program.ended));
    for (const program of this.#programs) program.kill("SIGTERM");
    await Promise.race([ended, pause(GRACE_MS.afterTerm)]);
    // Also when all leaders are gone: a grandchild may be left in a group.
    for (const program of this.#programs) program.kill("SIGKILL");
    await ended;
  }

  #tick(): void {
    if (this.#settled) return;
    const stamps = this.#pipes.map((pipe) => pipe?.lastWrite() ?? 0);
    this.#lastMove = Math.max(this.#lastMove, ...stamps);
    for (const [index, { options }] of this.#stages.entries()) {
      const bytes = options.onProgress === undefined ? undefined : this.#programs[index]?.written();
      if (bytes !== undefined) options.onProgress?.(bytes);
    }
    const limits = this.#stages.map(({ options }) => options.idleSeconds ?? 0).filter((seconds) => seconds > 0);
    const seconds = Math.min(...limits);
    if (Date.now() - this.#lastMove > seconds * 1000) this.#cancel(this.#idle(seconds));
  }

  #idle(seconds: number): BackupError {
    const names = this.#stages.map(({ command }) => command.file).join(" | ");
    return new BackupError("PROGRAM_FAILED", `Cannot finish "${names}": no byte moved for ${seconds} seconds`, {
      hint: "Look for a program that waits for a lock or a dead disk or host; idle_timeout in [run] sets the limit.",
    });
  }

  /** The last pipe's reader is this process, so its witness is read at the end. */
  #noteOutput(): void {
    const output = this.#pipes[this.#programs.length];
    const stamp = output?.lastWrite();
    if (stamp !== undefined) this.#wrote.set(this.#programs.length - 1, stamp !== 0);
  }

  #outcome(program: Program, index: number): Outcome {
    return {
      command: program.command,
      exitCode: program.exitCode,
      signal: program.signal,
      startError: program.startError,
      stderrTail: program.stderr,
      leftInput: this.#leftInput.has(index),
      wrote: this.#wrote.get(index),
      order: program.order,
      ended: program.killed,
    };
  }

  #outcomes(): Outcome[] {
    return this.#programs.map((program, index) => this.#outcome(program, index));
  }
}

import type { Command } from "./command.ts";
import { openPipes, type Pipe } from "./pipe.ts";
import { Program } from "./program.ts";
import { judge, type Outcome } from "./verdict.ts";

/** How long a program has after SIGTERM before it is killed. */
const GRACE_MS = 3000;
const LOOK_MS = 500;

type FunnelOptions = {
  readonly signal: AbortSignal;
  /** Told each line the reader writes on stdout. */
  readonly onLine: (line: string) => void;
};

/** How one writer is run. */
export type PassOptions = {
  /** Called about twice a second with the bytes the writer has read so far. */
  readonly onRead?: (bytes: number) => void;
};

/**
 * One program that reads what others write one after the other: a single input, joined by a pipe of the kernel. Disposing it ends the
 * reader, unless it has finished.
 */
export class Funnel implements AsyncDisposable {
  readonly #reader: Program;
  readonly #pipe: Pipe;
  readonly #signal: AbortSignal;
  readonly #onAbort = () => this.#reader.kill("SIGTERM");

  private constructor(reader: Program, pipe: Pipe, signal: AbortSignal) {
    this.#reader = reader;
    this.#pipe = pipe;
    this.#signal = signal;
    pipe.close("read");
    signal.addEventListener("abort", this.#onAbort);
  }

  /** Start the reader. */
  static async open(command: Command, { signal, onLine }: FunnelOptions): Promise<Funnel> {
    signal.throwIfAborted();
    const [pipe] = await openPipes(1);
    if (pipe === undefined) throw new TypeError("a pipe was asked for, and none was opened");
    return new Funnel(new Program(command, { input: pipe.end("read"), output: lines(onLine) }), pipe, signal);
  }

  /** Resolves when the reader has ended, however. */
  get ended(): Promise<void> {
    return this.#reader.ended;
  }

  /**
   * Run a program whose output goes to the reader. It has written all when this resolves; the reader may be behind by what a pipe holds.
   * @throws {CommandError} naming the program that is to blame; the reader is ended then.
   */
  async pass(command: Command, { onRead }: PassOptions = {}): Promise<void> {
    this.#signal.throwIfAborted();
    const writer = new Program(command, { input: "ignore", output: this.#pipe.end("write") });
    const onAbort = () => writer.kill("SIGTERM");
    this.#signal.addEventListener("abort", onAbort);
    const timer = setInterval(() => onRead?.(writer.bytesRead() ?? 0), LOOK_MS);
    try {
      await Promise.race([writer.ended, this.#reader.ended]);
      if (writer.hasEnded && writer.exitCode === 0 && !this.#reader.hasEnded) return;
      await this.#fail(writer);
    } finally {
      clearInterval(timer);
      this.#signal.removeEventListener("abort", onAbort);
    }
  }

  /** Tell the reader that its input is complete, and wait until it has read all. @throws {CommandError} when it failed. */
  async finish(): Promise<void> {
    this.#signal.throwIfAborted();
    this.#pipe.close("write");
    await this.#reader.ended;
    this.#signal.throwIfAborted();
    const culprit = judge([outcomeOf(this.#reader, this.#pipe.hasLeftover())]);
    if (culprit !== undefined) throw culprit;
  }

  /** The reader has ended, or is about to. @throws why. */
  async broken(): Promise<never> {
    await this.#reader.ended;
    this.#signal.throwIfAborted();
    throw judge([outcomeOf(this.#reader, true)]) ?? new TypeError("a reader that quit early was not judged");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal.removeEventListener("abort", this.#onAbort);
    await end(this.#reader);
    this.#pipe.closeAll();
  }

  async #fail(writer: Program): Promise<never> {
    const readerQuit = this.#reader.hasEnded;
    // The reader must not take the end of a writer that failed for the end of the data.
    await Promise.all([end(writer), end(this.#reader)]);
    this.#signal.throwIfAborted();
    const culprit = judge([outcomeOf(writer, false), outcomeOf(this.#reader, readerQuit)]);
    throw culprit ?? new TypeError(`"${writer.command.file}" failed, and nobody was to blame`);
  }
}

/** Cut what comes into lines; an unfinished last one is not told. */
function lines(onLine: (line: string) => void): (chunk: Buffer) => void {
  let rest = "";
  return (chunk) => {
    const parts = (rest + chunk.toString("utf8")).split("\n");
    rest = parts.pop() ?? "";
    for (const line of parts) onLine(line);
  };
}

async function end(program: Program): Promise<void> {
  if (program.hasEnded) return program.ended;
  program.kill("SIGTERM");
  const timer = setTimeout(() => program.kill("SIGKILL"), GRACE_MS);
  await program.ended;
  clearTimeout(timer);
}

function outcomeOf(program: Program, leftInput: boolean): Outcome {
  return {
    command: program.command,
    exitCode: program.exitCode,
    signal: program.signal,
    startError: program.startError,
    stderrTail: program.stderr,
    leftInput,
    wrote: undefined,
    order: program.order,
    ended: program.killed,
  };
}

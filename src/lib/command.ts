import type { ByteStream } from "./bytes.ts";
import { type Chain, collectText, isChain, newChain } from "./chain.ts";

export { CommandError } from "./verdict.ts";

/** A program and its arguments, as data. No shell is involved. */
export type Command = {
  /** Name looked up in PATH, or an absolute path. */
  readonly file: string;
  readonly args: readonly string[];
  /** Added to the small environment that programs get. */
  readonly env?: Readonly<Record<string, string>>;
  /** Exit statuses besides 0 that mean success with a warning, such as 1 for tar. */
  readonly warningStatuses?: readonly number[];
  /** A side door such as `tee`: its own failure is a warning, as long as it passed all bytes on. */
  readonly tap?: boolean;
};

/** How a program of a pipeline that succeeded as a whole ended. */
export type Finished = {
  /** It ended with one of its `warningStatuses`, or it is a tap that failed. */
  readonly warning: boolean;
  readonly exitCode: number;
  /** The last 16 KiB of what it said. */
  readonly stderr: string;
};

export type RunOptions = {
  readonly signal: AbortSignal;
  /** Seconds without a byte moving anywhere in the pipeline before it is ended; 0 or absent waits for ever. */
  readonly idleSeconds?: number;
  /**
   * Called once, after every program of the pipeline succeeded; a promise is awaited. When it throws, the stream fails with that instead of
   * ending.
   */
  readonly onFinish?: (finished: Finished) => unknown;
  /** Called about twice a second with the bytes the program has written so far. */
  readonly onProgress?: (bytes: number) => void;
};

/**
 * The output of a program that reads nothing. Nothing starts before the first pull.
 * @throws {CommandError} on a pull, naming the program that failed.
 */
export function run(command: Command, options: RunOptions): ByteStream {
  return newChain(undefined, { command, options });
}

/**
 * `content` passed through a program. Programs that follow each other are joined by pipes of the kernel,
 * so their bytes do not pass through this process.
 */
export function through(content: ByteStream, command: Command, options: RunOptions): ByteStream {
  const stage = { command, options };
  return isChain(content) ? content.with(stage) : newChain(content, stage);
}

/**
 * Pass all of `content` into a program, and wait until every program of the chain has succeeded.
 * @returns what the last one wrote on stdout, at most 64 KiB.
 */
export function into(content: ByteStream, command: Command, options: RunOptions): Promise<string> {
  return collectText(through(content, command, options) as Chain);
}

/** Run a program that reads nothing. @returns what it wrote on stdout, at most 64 KiB. */
export function text(command: Command, options: RunOptions): Promise<string> {
  return collectText(run(command, options) as Chain);
}

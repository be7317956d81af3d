import type { ByteStream } from "./bytes.ts";
import type { Command, RunOptions } from "./command.ts";
import { readPipe } from "./reader.ts";
import { Running } from "./running.ts";

/** One program of a chain, and how it was asked to run. */
export type Stage = { readonly command: Command; readonly options: RunOptions };

/** Programs joined by kernel pipes; a byte stream that can still be lengthened until it is pulled. */
export interface Chain extends ByteStream {
  readonly source: ByteStream | undefined;
  readonly stages: readonly Stage[];
  with(stage: Stage): Chain;
}

const chains = new WeakSet<object>();

export function isChain(content: ByteStream): content is Chain {
  return chains.has(content);
}

export function newChain(source: ByteStream | undefined, ...stages: readonly Stage[]): Chain {
  const chain: Chain = {
    source,
    stages,
    with: (stage) => newChain(source, ...stages, stage),
    [Symbol.asyncIterator]: () => stream(chain),
  };
  chains.add(chain);
  return chain;
}

async function* stream(chain: Chain): AsyncGenerator<Uint8Array, void> {
  await using running = await Running.start(chain, "pipe");
  for await (const chunk of readPipe(running.output, running.signal)) {
    running.moved();
    yield chunk;
    running.moved();
  }
  await running.finish();
}

/** Run a chain whose last program ends it, such as `tar x`. @returns its stdout. */
export async function collectText(chain: Chain): Promise<string> {
  await using running = await Running.start(chain, "text");
  await running.finish();
  return running.text();
}

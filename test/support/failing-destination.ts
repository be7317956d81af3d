import type { CallOptions, Capabilities, Entry, Small, Version } from "../../src/destination/destination.ts";
import { BackupError } from "../../src/domain/errors.ts";
import type { Key } from "../../src/domain/key.ts";
import type { ByteStream, Digest } from "../../src/lib/bytes.ts";
import { MemoryDestination } from "./memory-destination.ts";

type Call = "capabilities" | "put" | "get" | "list" | "remove" | "readSmall" | "replaceSmall" | "sweep";

/** A fault of one call. */
export type Fault = {
  readonly on: Call;
  readonly error: unknown;
  /** Entries or chunks delivered first. Default 0. */
  readonly after?: number;
  /** The call is carried out; only its answer is lost. */
  readonly answerLost?: boolean;
};

export function unreachable(): BackupError {
  return new BackupError("UNREACHABLE", 'Cannot read "x": the connection was reset', { retryable: true });
}

/** Keeps objects in memory; calls meet the given faults, in their order, each fault once. */
export class FailingDestination extends MemoryDestination {
  readonly faults: Fault[] = [];
  /** Names of the calls made, with the failing ones. */
  readonly calls: Call[] = [];

  override async capabilities(options: CallOptions): Promise<Capabilities> {
    return this.#meet("capabilities", () => super.capabilities(options));
  }

  override async put(key: Key, content: ByteStream, options: CallOptions): Promise<Digest> {
    return this.#meet("put", () => super.put(key, content, options));
  }

  override async *get(key: Key, options: CallOptions): AsyncGenerator<Uint8Array, void> {
    yield* this.#interrupt("get", super.get(key, options));
  }

  override async *list(prefix: string, options: CallOptions): AsyncGenerator<Entry, void> {
    yield* this.#interrupt("list", super.list(prefix, options));
  }

  override async remove(key: Key, options: CallOptions): Promise<void> {
    return this.#meet("remove", () => super.remove(key, options));
  }

  override async readSmall(key: Key, options: CallOptions): Promise<Small | undefined> {
    return this.#meet("readSmall", () => super.readSmall(key, options));
  }

  override async replaceSmall(
    key: Key,
    content: Uint8Array,
    options: CallOptions & { readonly expected: Version | undefined },
  ): Promise<Version> {
    return this.#meet("replaceSmall", () => super.replaceSmall(key, content, options));
  }

  override async sweep(host: string, options: CallOptions): Promise<number> {
    return this.#meet("sweep", () => super.sweep(host, options));
  }

  #fault(call: Call): Fault | undefined {
    this.calls.push(call);
    const index = this.faults.findIndex(({ on }) => on === call);
    return index < 0 ? undefined : this.faults.splice(index, 1)[0];
  }

  async #meet<T>(call: Call, work: () => Promise<T>): Promise<T> {
    const fault = this.#fault(call);
    if (fault === undefined) return work();
    if (fault.answerLost === true) await work();
    throw fault.error;
  }

  async *#interrupt<T>(call: Call, items: AsyncIterable<T>): AsyncGenerator<T, void> {
    const fault = this.#fault(call);
    let count = 0;
    for await (const item of items) {
      if (fault !== undefined && count === (fault.after ?? 0)) throw fault.error;
      yield item;
      count += 1;
    }
    if (fault !== undefined) throw fault.error;
  }
}

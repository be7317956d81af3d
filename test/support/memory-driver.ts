import { setTimeout as sleep, setImmediate as tick } from "node:timers/promises";
import type {
  Driver,
  DriverCall,
  DriverErrorCode,
  DriverLimits,
  DriverRange,
  StoredObject,
  UnfinishedUpload,
  Upload,
  WholeObject,
} from "../../src/destination/driver.ts";

type CallName = "list" | "stat" | "read" | "start" | "part" | "commit" | "abort" | "write" | "remove" | "unfinished";

/** One call, as a fault is asked about it. */
export type DriverEvent = {
  readonly call: CallName;
  readonly key: string;
  /** Of a part: its number. */
  readonly part?: number;
  /** Counts the calls of this name for this key and part, from 1. */
  readonly time: number;
};

/** What goes wrong with a call; nothing when `undefined`. */
export type DriverFault =
  /** It fails; with `answerLost` after it was carried out. */
  | { readonly error: unknown; readonly answerLost?: boolean }
  /** It never ends, unless it is aborted. */
  | { readonly stalls: true }
  /** A read ends, or with `error` breaks off, after so many bytes. */
  | { readonly afterBytes: number; readonly error?: unknown };

export function driverError(code: DriverErrorCode, facts: { readonly retryable?: boolean } = {}): Error {
  return Object.assign(new Error(`the store says ${code}`), { code, ...facts });
}

/** A connection that broke. */
export function reset(): Error {
  return Object.assign(new Error("the connection was reset"), { code: "UNREACHABLE", retryable: true });
}

type Stored = StoredObject & { readonly content: Buffer };

type Open = UnfinishedUpload & {
  readonly parts: Map<number, Buffer>;
  readonly nonce: string;
};

/** What every driver of one store shares. */
export class MemoryStore {
  readonly objects = new Map<string, Stored>();
  readonly uploads = new Map<string, Open>();
  generations = 0;
  /** Asked about every call. */
  fault: (event: DriverEvent) => DriverFault | undefined = () => undefined;
  /** Calls made, such as `part h/x 2`. */
  readonly calls: string[] = [];
  /** Parts under way now, and the most there were at once. */
  underWay = 0;
  mostUnderWay = 0;
  /** Memory behind the parts that were sent. */
  readonly buffers = new Set<ArrayBufferLike>();
  /** How long a part takes. */
  partMilliseconds = 0;
  readonly #times = new Map<string, number>();

  meet(call: CallName, key: string, part?: number): DriverFault | undefined {
    const name = part === undefined ? `${call} ${key}` : `${call} ${key} ${part}`;
    const time = (this.#times.get(name) ?? 0) + 1;
    this.#times.set(name, time);
    this.calls.push(name);
    return this.fault({ call, key, time, ...(part !== undefined && { part }) });
  }
}

export const MEMORY_LIMITS: DriverLimits = {
  leastPartBytes: 64 * 1024,
  mostPartBytes: 512 * 1024,
  mostParts: 1000,
  mostObjectBytes: 100 * 1024 * 1024,
  parallelParts: 4,
  isConditional: true,
};

const CHUNK_BYTES = 64 * 1024;

type MemoryOptions = { readonly limits?: Partial<DriverLimits>; readonly keepsNonces?: boolean };

/** A store in memory that can be told to fail. */
export class MemoryDriver implements Driver {
  readonly kind = "memory";
  readonly url = "memory:";
  readonly limits: DriverLimits;
  readonly store: MemoryStore;
  readonly #keepsNonces: boolean;
  closed = 0;

  constructor(store: MemoryStore, { limits, keepsNonces = true }: MemoryOptions = {}) {
    this.store = store;
    this.limits = { ...MEMORY_LIMITS, ...limits };
    this.#keepsNonces = keepsNonces;
  }

  async *list(prefix: string, { signal }: DriverCall): AsyncGenerator<StoredObject, void> {
    const fault = this.store.meet("list", prefix);
    const found = [...this.store.objects.values()].filter(({ key }) => key.startsWith(prefix));
    for (const [index, object] of found.toReversed().entries()) {
      signal.throwIfAborted();
      if (fault !== undefined && index > 0) await suffer(fault, signal);
      yield facts(object);
    }
    if (fault !== undefined) await suffer(fault, signal);
  }

  async stat(key: string, { signal }: DriverCall): Promise<StoredObject | undefined> {
    return this.#meet({ call: "stat", key, signal }, () => {
      const object = this.store.objects.get(key);
      return object && { ...facts(object), ...(this.#keepsNonces && { nonce: object.nonce }) };
    });
  }

  async *read(key: string, range: DriverRange, { signal }: DriverCall): AsyncGenerator<Uint8Array, void> {
    signal.throwIfAborted();
    const fault = this.store.meet("read", key);
    if (fault !== undefined && !("afterBytes" in fault)) await suffer(fault, signal);
    const object = this.store.objects.get(key);
    if (object === undefined) throw driverError("NOT_FOUND");
    if (object.version !== range.version) throw driverError("CHANGED");
    const most = fault !== undefined && "afterBytes" in fault ? fault.afterBytes : range.bytes;
    const end = Math.min(range.offset + Math.min(range.bytes, most), object.bytes);
    for await (const chunk of inChunks(object.content.subarray(range.offset, end))) {
      signal.throwIfAborted();
      yield chunk;
    }
    if (fault !== undefined && "afterBytes" in fault) await suffer(fault, signal);
  }

  async start(
    key: string,
    { signal, nonce }: DriverCall & { readonly nonce: string; readonly expectedBytes: number | undefined },
  ): Promise<Upload> {
    return this.#meet({ call: "start", key, signal }, () => {
      const id = String(++this.store.generations);
      const open = { key, id, nonce, startedAt: new Date(), parts: new Map<number, Buffer>() };
      this.store.uploads.set(id, open);
      return new MemoryUpload(this, open);
    });
  }

  async write(
    key: string,
    bytes: Uint8Array,
    { signal, nonce, expected }: DriverCall & { readonly nonce: string; readonly expected: string | undefined },
  ): Promise<string> {
    return this.#meet({ call: "write", key, signal }, () => {
      const found = this.store.objects.get(key)?.version;
      if (this.limits.isConditional && found !== expected) throw driverError("CONFLICT");
      return this.publish(key, Buffer.from(bytes), nonce);
    });
  }

  async remove(key: string, { signal }: DriverCall): Promise<void> {
    await this.#meet({ call: "remove", key, signal }, () => this.store.objects.delete(key));
  }

  async *unfinished(prefix: string, { signal }: DriverCall): AsyncGenerator<UnfinishedUpload, void> {
    signal.throwIfAborted();
    this.store.meet("unfinished", prefix);
    for (const { key, id, startedAt } of this.store.uploads.values()) {
      if (key.startsWith(prefix)) yield { key, id, startedAt };
    }
  }

  async discard({ id }: UnfinishedUpload, { signal }: DriverCall): Promise<void> {
    signal.throwIfAborted();
    this.store.uploads.delete(id);
  }

  async share(key: string, { expiresSeconds }: DriverCall & { readonly expiresSeconds: number }): Promise<string> {
    return `memory:${key}?expires=${expiresSeconds}`;
  }

  async close(): Promise<void> {
    this.closed += 1;
  }

  publish(key: string, content: Buffer, nonce: string): string {
    const version = String(++this.store.generations);
    this.store.objects.set(key, { key, version, nonce, content, bytes: content.length, modifiedAt: new Date() });
    return version;
  }

  /** Carry out a call of an upload. */
  call<T>(name: { call: CallName; key: string; part?: number; signal: AbortSignal }, work: () => T): Promise<T> {
    return this.#meet(name, work);
  }

  async #meet<T>(
    { call, key, part, signal }: { call: CallName; key: string; part?: number; signal: AbortSignal },
    work: () => T,
  ): Promise<T> {
    signal.throwIfAborted();
    const fault = this.store.meet(call, key, part);
    if (fault !== undefined && "answerLost" in fault && fault.answerLost) work();
    if (fault !== undefined) await suffer(fault, signal);
    await tick();
    signal.throwIfAborted();
    return work();
  }
}

class MemoryUpload implements Upload {
  readonly #driver: MemoryDriver;
  readonly #open: Open;

  constructor(driver: MemoryDriver, open: Open) {
    this.#driver = driver;
    this.#open = open;
  }

  async part(number: number, bytes: Uint8Array, { signal }: DriverCall): Promise<void> {
    const { store } = this.#driver;
    const { key, parts } = this.#open;
    store.buffers.add(bytes.buffer);
    store.underWay += 1;
    store.mostUnderWay = Math.max(store.mostUnderWay, store.underWay);
    try {
      if (store.partMilliseconds > 0) await sleep(store.partMilliseconds, undefined, { signal });
      await this.#driver.call({ call: "part", key, part: number, signal }, () => parts.set(number, Buffer.from(bytes)));
    } finally {
      store.underWay -= 1;
    }
  }

  async commit({ parts: count, bytes }: WholeObject, { signal }: DriverCall): Promise<void> {
    const { key, id, parts, nonce } = this.#open;
    const { store, limits } = this.#driver;
    await this.#driver.call({ call: "commit", key, signal }, () => {
      if (!store.uploads.has(id)) throw driverError("NOT_FOUND");
      if (store.underWay > 0) throw new TypeError("a part is under way");
      const content = Buffer.concat(Array.from({ length: count }, (_, index) => this.#part(index + 1, count)));
      if (content.length !== bytes || parts.size !== count) throw new TypeError("parts and whole differ");
      if (limits.isConditional && store.objects.has(key)) throw driverError("ALREADY_EXISTS");
      this.#driver.publish(key, content, nonce);
      store.uploads.delete(id);
    });
  }

  async abort({ signal }: DriverCall): Promise<void> {
    const { key, id } = this.#open;
    const { store } = this.#driver;
    await this.#driver.call({ call: "abort", key, signal }, () => {
      if (store.underWay > 0) throw new TypeError("a part is under way");
      store.uploads.delete(id);
    });
  }

  #part(number: number, count: number): Buffer {
    const { leastPartBytes, mostPartBytes } = this.#driver.limits;
    const bytes = this.#open.parts.get(number);
    if (bytes === undefined) throw new TypeError(`part ${number} is missing`);
    if (bytes.length > mostPartBytes || (number < count && bytes.length < leastPartBytes)) {
      throw new TypeError(`part ${number} has ${bytes.length} bytes`);
    }
    return bytes;
  }
}

/** Each is valid until the next is pulled, and not longer. */
async function* inChunks(content: Buffer): AsyncGenerator<Uint8Array, void> {
  const scratch = Buffer.alloc(CHUNK_BYTES);
  for (let start = 0; start < content.length; start += CHUNK_BYTES) {
    await tick();
    const length = content.copy(scratch, 0, start, start + CHUNK_BYTES);
    yield scratch.subarray(0, length);
    scratch.fill(0);
  }
}

function facts({ key, bytes, modifiedAt, version }: Stored): StoredObject {
  return { key, bytes, modifiedAt, version };
}

async function suffer(fault: DriverFault, signal: AbortSignal): Promise<void> {
  if ("stalls" in fault)
    await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  if ("error" in fault && fault.error !== undefined) throw fault.error;
}

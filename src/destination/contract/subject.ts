import assert from "node:assert/strict";
import { type Key, toKey } from "../../domain/key.ts";
import type { Digest } from "../../lib/bytes.ts";
import { type Destination, ObjectNotFoundError, type Version } from "../destination.ts";
import { chunks, collect, keysOf } from "./streams.ts";

export const KEY = toKey("h/daily/files/_etc-2026-11-21_02_36_45.tar.gz");
export const STATUS = toKey("h/status");

/** What an interrupted run left behind. */
export type Leftover = {
  readonly host: string;
  readonly kind: "temporary" | "lock";
  /** `dead` and `alive` are processes of this machine. */
  readonly owner: "dead" | "alive" | "another machine";
  readonly ageHours: number;
};

/** An empty store and ways to look behind it. Cases that need what is missing are skipped. */
export type Opened = {
  readonly destination: Destination;
  readonly cleanup: () => Promise<void>;
  /** A second destination on the same store, as another process has it. */
  readonly another?: () => Promise<Destination>;
  /** Make a leftover; a lock belongs to the key `HOST/status`. */
  readonly plant?: (leftover: Leftover) => Promise<void>;
  /** What can be left here. Default both. */
  readonly leaves?: readonly Leftover["kind"][];
  /** Texts that `url` may not hold. */
  readonly secrets?: readonly string[];
};

/** What may differ between stores. */
export type Extras = {
  /** Objects in the big listing; more than one page of the store. Default 1,100. */
  readonly manyObjects?: number;
  /** Characters in names that the store takes for others. */
  readonly mixesUp?: string;
};

/** One promise that every destination keeps. */
export type ContractCase = {
  /** What it is about, such as `put()`. */
  readonly group: string;
  /** A sentence. */
  readonly name: string;
  /** Try it on an empty store. @returns why it was skipped, if it was. @throws {AssertionError} when the promise is not kept. */
  readonly run: (open: () => Promise<Opened>) => Promise<string | undefined>;
};

type Work = (subject: Subject) => Promise<string | undefined> | Promise<void>;

/** A case that opens a store of its own and cleans up behind it. */
export function contractCase(group: string, name: string, work: Work): ContractCase {
  const run = async (open: () => Promise<Opened>) => {
    const opened = await open();
    try {
      return (await work(new Subject(opened))) ?? undefined;
    } finally {
      await opened.destination[Symbol.asyncDispose]();
      await opened.cleanup();
    }
  };
  return { group, name, run };
}

/** A destination under test, with short names for what cases do all the time. */
export class Subject {
  readonly opened: Opened;
  readonly destination: Destination;
  readonly signal = new AbortController().signal;

  constructor(opened: Opened) {
    this.opened = opened;
    this.destination = opened.destination;
  }

  put(key: Key, ...parts: readonly (string | Uint8Array)[]): Promise<Digest> {
    return this.destination.put(key, chunks(...parts), { signal: this.signal });
  }

  read(key: Key): Promise<Buffer> {
    return collect(this.destination.get(key, { signal: this.signal }));
  }

  async text(key: Key): Promise<string> {
    return (await this.read(key)).toString();
  }

  listed(prefix = ""): Promise<string[]> {
    return keysOf(this.destination.list(prefix, { signal: this.signal }));
  }

  sweep(host = "h"): Promise<number> {
    return this.destination.sweep(host, { signal: this.signal });
  }

  replace(key: Key, text: string, expected: Version | undefined): Promise<Version> {
    return this.destination.replaceSmall(key, Buffer.from(text), { signal: this.signal, expected });
  }

  async smallText(key: Key): Promise<string | undefined> {
    const small = await this.destination.readSmall(key, { signal: this.signal });
    return small && Buffer.from(small.content).toString();
  }

  async expectNothingLeft(): Promise<void> {
    assert.deepEqual(await this.listed(), []);
    assert.equal(await this.sweep(), 0);
    await assert.rejects(this.read(KEY), ObjectNotFoundError);
  }
}

/** @throws {AssertionError} unless the promise is rejected with this very value. */
export async function rejectsWith(promise: Promise<unknown>, reason: unknown): Promise<void> {
  await assert.rejects(promise, (error) => error === reason);
}

/** Run at most eight at a time. */
export async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (const item of queue) await work(item);
    }),
  );
}

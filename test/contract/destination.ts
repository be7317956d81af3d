import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  AlreadyExistsError,
  ConflictError,
  type Destination,
  ObjectNotFoundError,
} from "../../src/destination/destination.ts";
import { type Key, toKey } from "../../src/domain/key.ts";
import { chunks, collect, keys, keysOf, noise, sliced } from "../support/streams.ts";
import { KEY, leftoverCases, type Opened, STATUS } from "./leftovers.ts";

/** What may differ between stores. */
export type Extras = {
  /** Objects in the big listing; more than one page of the store. Default 1,100. */
  readonly manyObjects?: number;
  /** Characters that the store takes for others in names. */
  readonly mixesUp?: string;
};

const AWKWARD_NAMES = [
  "with space",
  "two  spaces ",
  "single'quote",
  'double"quote',
  "$(touch pwned)`id`",
  "back\\slash\\n",
  "-rf",
  "--",
  "*?[a]{b,c}~",
  "semi;colon&pipe|<>",
  "#hash%20=+:@!",
  "Übergröße-日本語-🐬",
  "cafe\u0301",
  ".hidden",
  "x".repeat(200),
];

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Content that yields `length` bytes in small chunks, then throws `error`. */
async function* failing(error: unknown, length: number): AsyncGenerator<Uint8Array, void> {
  yield* sliced(noise(length), 70_000);
  throw error;
}

/** Run at most eight at a time. */
async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (const item of queue) await work(item);
    }),
  );
}

/** The promises every destination keeps. Call it at the top of a test file; each case gets an empty store of its own. */
export function destinationContract(name: string, open: () => Promise<Opened>, extras: Extras = {}): void {
  describe(name, () => {
    let opened: Opened;
    let destination: Destination;
    const { signal } = new AbortController();

    beforeEach(async () => {
      opened = await open();
      destination = opened.destination;
    });

    afterEach(async () => {
      await destination[Symbol.asyncDispose]();
      await opened.cleanup();
    });

    function put(key: Key, ...parts: readonly (string | Uint8Array)[]) {
      return destination.put(key, chunks(...parts), { signal });
    }

    function read(key: Key): Promise<Buffer> {
      return collect(destination.get(key, { signal }));
    }

    function listed(prefix = ""): Promise<string[]> {
      return keysOf(destination.list(prefix, { signal }));
    }

    function replace(key: Key, text: string, expected: string | undefined) {
      return destination.replaceSmall(key, Buffer.from(text), { signal, expected });
    }

    async function smallText(key: Key): Promise<string | undefined> {
      const small = await destination.readSmall(key, { signal });
      return small && Buffer.from(small.content).toString();
    }

    async function expectNothingLeft(): Promise<void> {
      expect(await listed()).toEqual([]);
      expect(await destination.sweep("h", { signal })).toBe(0);
      await expect(read(KEY)).rejects.toBeInstanceOf(ObjectNotFoundError);
    }

    describe("put()", () => {
      test("put() stores what get() returns", async () => {
        await put(KEY, "hello ", "world");
        expect((await read(KEY)).toString()).toBe("hello world");
      });

      test.each([
        ["no chunk at all", []],
        ["one empty chunk", [""]],
        ["one byte", ["x"]],
        ["empty chunks in between", ["", "ab", "", "c", ""]],
      ])("put() stores %s and returns its digest", async (_, parts) => {
        const bytes = Buffer.from(parts.join(""));
        expect(await put(KEY, ...parts)).toEqual({ bytes: bytes.length, sha256: sha256(bytes) });
        expect(await read(KEY)).toEqual(bytes);
      });

      test("put() stores several MiB that come in odd chunks", async () => {
        const bytes = noise(5 * 1024 * 1024 + 17);
        const content = sliced(bytes, 1, 65_537, 7, 1_048_579, 4096);
        expect(await destination.put(KEY, content, { signal })).toEqual({ bytes: bytes.length, sha256: sha256(bytes) });
        expect(bytes.equals(await read(KEY))).toBe(true);
      });

      test("put() has taken a chunk when it pulls the next one", async () => {
        const bytes = noise(3_000_000);
        async function* reusing() {
          const buffer = new Uint8Array(new SharedArrayBuffer(1_000_000));
          for (let start = 0; start < bytes.length; start += buffer.length) {
            buffer.set(bytes.subarray(start, start + buffer.length));
            yield buffer;
            buffer.fill(0);
          }
        }
        expect((await destination.put(KEY, reusing(), { signal })).sha256).toBe(sha256(bytes));
        expect(bytes.equals(await read(KEY))).toBe(true);
      });

      test("put() refuses a taken key and leaves the old object", async () => {
        await put(KEY, "old");
        await expect(put(KEY, "new")).rejects.toBeInstanceOf(AlreadyExistsError);
        expect((await read(KEY)).toString()).toBe("old");
        expect(await destination.sweep("h", { signal })).toBe(0);
      });

      test.each([0, 1, 200_000, 2_500_000])(
        "put() throws the error of content that fails after %i bytes and leaves nothing",
        async (length) => {
          const error = new Error("the program was killed");
          await expect(destination.put(KEY, failing(error, length), { signal })).rejects.toBe(error);
          await expectNothingLeft();
        },
      );

      test("put() throws a system error of content as it is", async () => {
        const error = Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
        await expect(destination.put(KEY, failing(error, 10), { signal })).rejects.toBe(error);
      });

      test("put() keeps the old object when the content fails", async () => {
        await put(KEY, "old");
        const error = new Error("the program was killed");
        await expect(destination.put(KEY, failing(error, 0), { signal })).rejects.toBeInstanceOf(Error);
        expect((await read(KEY)).toString()).toBe("old");
        expect(await listed()).toEqual([KEY]);
      });

      test("put() accepts a key again after content failed there", async () => {
        await expect(destination.put(KEY, failing(new Error("no"), 9), { signal })).rejects.toThrow("no");
        await put(KEY, "second");
        expect((await read(KEY)).toString()).toBe("second");
      });

      test("put() hides an object until it is complete", async () => {
        const seen: string[][] = [];
        async function* watching() {
          for (const part of [noise(100_000), noise(1_500_000), noise(1)]) {
            yield part;
            seen.push(await listed());
            await expect(read(KEY)).rejects.toBeInstanceOf(ObjectNotFoundError);
          }
        }
        await destination.put(KEY, watching(), { signal });
        expect(seen).toEqual([[], [], []]);
        expect(await listed()).toEqual([KEY]);
      });

      test("put() stores to different keys at once", async () => {
        const [a, b] = keys("h/daily/files/a", "h/daily/mysql/b") as [Key, Key];
        const [first, second] = [noise(1_200_000), Buffer.from("other")];
        await Promise.all([
          destination.put(a, sliced(first, 100_000), { signal }),
          destination.put(b, chunks(second), { signal }),
        ]);
        expect(first.equals(await read(a))).toBe(true);
        expect(await read(b)).toEqual(second);
      });

      test("put() lets exactly one of several at once win a key", async () => {
        const texts = ["first", "second", "third", "fourth"];
        const results = await Promise.allSettled(texts.map((text) => put(KEY, text, text)));
        const winners = texts.filter((_, index) => results[index]?.status === "fulfilled");
        expect(winners).toHaveLength(1);
        for (const result of results) {
          if (result.status === "rejected") expect(result.reason).toBeInstanceOf(AlreadyExistsError);
        }
        expect((await read(KEY)).toString()).toBe(`${winners[0]}${winners[0]}`);
        expect(await destination.sweep("h", { signal })).toBe(0);
      });

      const { mixesUp = "" } = extras;
      test.each(AWKWARD_NAMES.filter((name) => ![...mixesUp].some((one) => name.includes(one))))(
        "put() takes the name %j as it is",
        async (name) => {
          const key = toKey(`h/daily/files/${name}`);
          await put(key, name);
          expect((await read(key)).toString()).toBe(name);
          expect(await listed()).toEqual([key]);
          expect(await listed(key)).toEqual([key]);
          await destination.remove(key, { signal });
          expect(await listed()).toEqual([]);
        },
      );
    });

    describe("get()", () => {
      test("get() throws ObjectNotFoundError on the first pull when there is none", async () => {
        const content = destination.get(KEY, { signal });
        await expect(content[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "NOT_FOUND", key: KEY });
      });

      test("get() finds no object where there is only a prefix of one", async () => {
        await put(KEY, "x");
        await expect(read(toKey("h/daily/files"))).rejects.toBeInstanceOf(ObjectNotFoundError);
        await expect(read(toKey(`${KEY}/below`))).rejects.toBeInstanceOf(ObjectNotFoundError);
      });

      test("get() can be left early, many times", async () => {
        const bytes = noise(4 * 1024 * 1024);
        await put(KEY, bytes);
        for (let round = 0; round < 20; round++) {
          for await (const chunk of destination.get(KEY, { signal })) {
            expect(bytes.subarray(0, chunk.length).equals(chunk)).toBe(true);
            break;
          }
        }
        expect(bytes.equals(await read(KEY))).toBe(true);
      });

      test("get() serves two readers at once", async () => {
        const bytes = noise(2_500_000);
        await put(KEY, bytes);
        const both = await Promise.all([read(KEY), read(KEY)]);
        expect(both.map((one) => bytes.equals(one))).toEqual([true, true]);
      });
    });

    describe("list()", () => {
      test("list() yields nothing from an empty store or below an unknown prefix", async () => {
        expect(await listed()).toEqual([]);
        await put(KEY, "x");
        expect(await listed("nobody/")).toEqual([]);
        expect(await listed(`${KEY}/`)).toEqual([]);
        expect(await listed("h/daily/files/_etc-2026-11-21_02_36_45.tar.gz.gpg")).toEqual([]);
      });

      test("list() yields size and time of each object", async () => {
        const before = Date.now();
        await put(KEY, noise(12_345));
        const entries = await Array.fromAsync(destination.list("h/", { signal }));
        expect(entries).toMatchObject([{ key: KEY, bytes: 12_345 }]);
        expect(Math.abs((entries[0]?.modifiedAt.getTime() ?? 0) - before)).toBeLessThan(60_000);
      });

      test("list() sorts by the whole key, in UTF-16 code units", async () => {
        const sorted = ["h/a", "h/a b", "h/a-1", "h/a.b", "h/a0/x", "h/aB", "h/b/c", "h/b/c.d/e", "h/b/c/d2", "h/b0"];
        const clean = sorted.filter((key) => key !== "h/b/c").concat("h/b0x/y", "h/z", "h/é", "h/🐬/x", "h/\uFFFD");
        await inParallel([...clean].toReversed(), (key) => put(toKey(key), "x"));
        expect(await listed()).toEqual([...clean].sort());
      });

      test("list() takes the prefix as a string, also inside a component", async () => {
        const names = ["_etc-1", "_etc-2", "_etc_mysql-1", "_home-1", "_etc/deep/x"];
        for (const name of names) await put(toKey(`h/daily/files/${name}`), name);
        await put(toKey("h2/daily/files/_etc-1"), "other host");
        const below = (...found: string[]) => found.map((name) => `h/daily/files/${name}`);
        expect(await listed("h/daily/files/_etc")).toEqual(below("_etc-1", "_etc-2", "_etc/deep/x", "_etc_mysql-1"));
        expect(await listed("h/daily/files/_etc_mysql-1")).toEqual(below("_etc_mysql-1"));
        expect(await listed("h/daily/files/_etc/")).toEqual(below("_etc/deep/x"));
        expect(await listed("h/")).toHaveLength(5);
        expect(await listed("h")).toHaveLength(6);
        expect(await listed("h/daily/fi")).toHaveLength(5);
      });

      test("list() yields more objects than fit on a page", async () => {
        const many = Array.from(
          { length: extras.manyObjects ?? 1100 },
          (_, index) => `h/binlog/mysql-bin.${String(index).padStart(6, "0")}`,
        );
        await inParallel(many, (key) => put(toKey(key), "x"));
        expect(await listed("h/binlog/")).toEqual(many);
        expect(await listed("h/binlog/mysql-bin.00000")).toEqual(many.slice(0, 10));
      });

      test("list() leaves out nothing but what is in skipped folders", async () => {
        for (const key of keys("h/a/x", "h/b/x", "h/b/y/z", "h/bb", "i/b/x")) await put(key, "x");
        const found = await keysOf(destination.list("", { signal, skip: (folder) => folder === "h/b/" }));
        expect(found.filter((key) => !key.startsWith("h/b/"))).toEqual(["h/a/x", "h/bb", "i/b/x"]);
      });

      test("list() can be left early", async () => {
        for (const key of keys("h/a", "h/b", "h/c")) await put(key, "x");
        for await (const { key } of destination.list("", { signal })) {
          expect(key).toBe("h/a");
          break;
        }
        expect(await listed()).toHaveLength(3);
      });
    });

    describe("remove()", () => {
      test("remove() removes one object, and removing it twice is no error", async () => {
        const [a, b] = keys("h/a", "h/a.gz") as [Key, Key];
        await put(a, "x");
        await put(b, "y");
        await destination.remove(a, { signal });
        await destination.remove(a, { signal });
        expect(await listed()).toEqual([b]);
        await put(a, "again");
        expect((await read(a)).toString()).toBe("again");
      });

      test("remove() of what never was is no error", async () => {
        await destination.remove(toKey("nobody/daily/x"), { signal });
        expect(await listed()).toEqual([]);
      });
    });

    describe("readSmall() and replaceSmall()", () => {
      test("readSmall() returns undefined when there is none", async () => {
        expect(await destination.readSmall(STATUS, { signal })).toBeUndefined();
      });

      test("replaceSmall() creates, then replaces what has the expected version", async () => {
        const first = await replace(STATUS, "one", undefined);
        expect(await destination.readSmall(STATUS, { signal })).toEqual({
          content: expect.toSatisfy((bytes: Uint8Array) => Buffer.from(bytes).toString() === "one"),
          version: first,
        });
        const second = await replace(STATUS, "", first);
        expect(second).not.toBe(first);
        expect(await smallText(STATUS)).toBe("");
        expect(await listed()).toEqual([STATUS]);
      });

      test("replaceSmall() throws ConflictError and changes nothing when the version is another", async () => {
        const first = await replace(STATUS, "one", undefined);
        const second = await replace(STATUS, "two", first);
        await expect(replace(STATUS, "three", first)).rejects.toBeInstanceOf(ConflictError);
        await expect(replace(STATUS, "three", undefined)).rejects.toBeInstanceOf(ConflictError);
        expect(await smallText(STATUS)).toBe("two");
        await destination.remove(STATUS, { signal });
        await expect(replace(STATUS, "three", second)).rejects.toBeInstanceOf(ConflictError);
        expect(await smallText(STATUS)).toBeUndefined();
        expect(await destination.sweep("h", { signal })).toBe(0);
      });

      test("replaceSmall() loses none of 20 increments at once", async () => {
        const others = opened.another === undefined ? [destination] : [destination, await opened.another()];
        const increment = async (store: Destination): Promise<void> => {
          for (;;) {
            const small = await store.readSmall(STATUS, { signal });
            const next = 1 + Number(small === undefined ? 0 : Buffer.from(small.content).toString());
            try {
              await store.replaceSmall(STATUS, Buffer.from(String(next)), { signal, expected: small?.version });
              return;
            } catch (error) {
              if (!(error instanceof ConflictError)) throw error;
            }
          }
        };
        const stores = Array.from({ length: 20 }, (_, index) => others[index % others.length] ?? destination);
        await Promise.all(stores.map((store) => increment(store)));
        expect(await smallText(STATUS)).toBe("20");
        expect(await listed()).toEqual([STATUS]);
        await Promise.all(others.map((store) => store[Symbol.asyncDispose]()));
      });

      test("readSmall() reads what put() stored, get() what replaceSmall() stored", async () => {
        await put(KEY, "by put");
        await replace(STATUS, "by replace", undefined);
        expect(await smallText(KEY)).toBe("by put");
        expect((await read(STATUS)).toString()).toBe("by replace");
      });
    });

    describe("abort", () => {
      const reason = new Error("the time limit passed");
      const aborted = AbortSignal.abort(reason);

      test("every call throws signal.reason when it is aborted already", async () => {
        await put(KEY, "x");
        const other = toKey("h/other");
        const options = { signal: aborted };
        await expect(destination.put(other, chunks("y"), options)).rejects.toBe(reason);
        await expect(collect(destination.get(KEY, options))).rejects.toBe(reason);
        await expect(keysOf(destination.list("", options))).rejects.toBe(reason);
        await expect(destination.remove(KEY, options)).rejects.toBe(reason);
        await expect(destination.readSmall(KEY, options)).rejects.toBe(reason);
        const replacing = destination.replaceSmall(STATUS, Buffer.from("z"), { ...options, expected: undefined });
        await expect(replacing).rejects.toBe(reason);
        await expect(destination.sweep("h", options)).rejects.toBe(reason);
        expect(await listed()).toEqual([KEY]);
        expect(await destination.sweep("h", { signal })).toBe(0);
      });

      test("put() throws signal.reason and leaves nothing when aborted while content has more to give", async () => {
        const controller = new AbortController();
        async function* content() {
          yield* sliced(noise(1_500_000), 500_000);
          controller.abort(reason);
          yield noise(10);
        }
        await expect(destination.put(KEY, content(), { signal: controller.signal })).rejects.toBe(reason);
        await expectNothingLeft();
      });

      test("put() throws signal.reason and leaves nothing when aborted at the end of content", async () => {
        const controller = new AbortController();
        async function* content() {
          yield noise(10);
          controller.abort(reason);
        }
        await expect(destination.put(KEY, content(), { signal: controller.signal })).rejects.toBe(reason);
        await expectNothingLeft();
      });

      test("put() throws signal.reason and leaves nothing when aborted while content is stuck", async () => {
        const controller = new AbortController();
        async function* content() {
          yield noise(300_000);
          setTimeout(() => controller.abort(reason), 20);
          await new Promise(() => {});
        }
        await expect(destination.put(KEY, content(), { signal: controller.signal })).rejects.toBe(reason);
        await expectNothingLeft();
      });

      test("get() throws signal.reason when aborted on the way", async () => {
        const controller = new AbortController();
        await put(KEY, noise(6_000_000));
        const reading = async () => {
          for await (const _ of destination.get(KEY, { signal: controller.signal })) controller.abort(reason);
        };
        await expect(reading()).rejects.toBe(reason);
        expect(await read(KEY)).toHaveLength(6_000_000);
      });

      test("list() throws signal.reason when aborted on the way", async () => {
        const controller = new AbortController();
        for (const key of keys("h/a", "h/b/c", "i/d")) await put(key, "x");
        const listing = async () => {
          for await (const _ of destination.list("", { signal: controller.signal })) controller.abort(reason);
        };
        await expect(listing()).rejects.toBe(reason);
        expect(await listed()).toHaveLength(3);
      });
    });

    leftoverCases(() => opened);

    test("capabilities() names the transport", async () => {
      const { conditionalReplace, transport } = await destination.capabilities({ signal });
      expect(["native", "locked", "checked"]).toContain(conditionalReplace);
      expect(transport).not.toBe("");
    });

    test("url shows where it is and no secret", () => {
      expect(destination.url).not.toBe("");
      for (const secret of opened.secrets ?? []) expect(destination.url).not.toContain(secret);
    });

    test("dispose can be called twice", async () => {
      await put(KEY, "x");
      await destination[Symbol.asyncDispose]();
      await destination[Symbol.asyncDispose]();
    });
  });
}

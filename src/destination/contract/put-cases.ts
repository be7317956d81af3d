import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type Key, toKey } from "../../domain/key.ts";
import { AlreadyExistsError, ObjectNotFoundError } from "../destination.ts";
import { chunks, keys, noise, sliced } from "./streams.ts";
import { type ContractCase, contractCase, type Extras, KEY, rejectsWith, type Subject } from "./subject.ts";

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

function digestOf(bytes: Uint8Array) {
  return { bytes: bytes.length, sha256: sha256(bytes) };
}

/** Content that yields `length` bytes in small chunks, then throws `error`. */
async function* failing(error: unknown, length: number): AsyncGenerator<Uint8Array, void> {
  yield* sliced(noise(length), 70_000, 900_000);
  throw error;
}

const on = (name: string, work: (subject: Subject) => Promise<void>): ContractCase => contractCase("put()", name, work);

/** What `put()` promises. */
export function putCases({ mixesUp = "" }: Extras): ContractCase[] {
  const names = AWKWARD_NAMES.filter((name) => !mixesUp.split("").some((one) => name.includes(one)));
  return [...contentCases(), ...failureCases(), ...visibilityCases(), ...names.map(nameCase)];
}

function contentCases(): ContractCase[] {
  const few: [string, string[]][] = [
    ["no chunk at all", []],
    ["one empty chunk", [""]],
    ["one byte", ["x"]],
    ["empty chunks in between", ["", "ab", "", "c", ""]],
  ];
  return [
    on("put() stores what get() returns", async (subject) => {
      await subject.put(KEY, "hello ", "world");
      assert.equal(await subject.text(KEY), "hello world");
    }),
    ...few.map(([what, parts]) =>
      on(`put() stores ${what} and returns its digest`, async (subject) => {
        const bytes = Buffer.from(parts.join(""));
        assert.deepEqual(await subject.put(KEY, ...parts), digestOf(bytes));
        assert.deepEqual(await subject.read(KEY), bytes);
      }),
    ),
    on("put() stores several MiB that come in odd chunks", async (subject) => {
      const bytes = noise(5 * 1024 * 1024 + 17);
      const content = sliced(bytes, 1, 65_537, 7, 1_048_579, 4096);
      assert.deepEqual(await subject.destination.put(KEY, content, subject), digestOf(bytes));
      assert(bytes.equals(await subject.read(KEY)));
    }),
    on("put() stores what takes several parts and several reads", async (subject) => {
      const bytes = noise(18 * 1024 * 1024 + 1);
      assert.deepEqual(await subject.destination.put(KEY, sliced(bytes, 300_007), subject), digestOf(bytes));
      assert(bytes.equals(await subject.read(KEY)));
    }),
    on("put() has taken a chunk when it pulls the next one", async (subject) => {
      const bytes = noise(3_000_000);
      const { sha256: found } = await subject.destination.put(KEY, reusing(bytes), subject);
      assert.equal(found, sha256(bytes));
      assert(bytes.equals(await subject.read(KEY)));
    }),
  ];
}

/** All chunks in one buffer, which is shared with others and is overwritten after each. */
async function* reusing(bytes: Buffer): AsyncGenerator<Uint8Array, void> {
  const buffer = new Uint8Array(new SharedArrayBuffer(1_000_000));
  for (let start = 0; start < bytes.length; start += buffer.length) {
    buffer.set(bytes.subarray(start, start + buffer.length));
    yield buffer;
    buffer.fill(0);
  }
}

function failureCases(): ContractCase[] {
  return [
    on("put() refuses a taken key and leaves the old object", async (subject) => {
      await subject.put(KEY, "old");
      await assert.rejects(subject.put(KEY, "new"), AlreadyExistsError);
      assert.equal(await subject.text(KEY), "old");
      assert.equal(await subject.sweep(), 0);
    }),
    ...[0, 1, 200_000, 2_500_000, 18_000_000].map((length) =>
      on(`put() throws the error of content that fails after ${length} bytes and leaves nothing`, async (subject) => {
        const error = new Error("the program was killed");
        await rejectsWith(subject.destination.put(KEY, failing(error, length), subject), error);
        await subject.expectNothingLeft();
      }),
    ),
    on("put() throws a system error of content as it is", async (subject) => {
      const error = Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
      await rejectsWith(subject.destination.put(KEY, failing(error, 10), subject), error);
    }),
    on("put() keeps the old object when the content fails", async (subject) => {
      await subject.put(KEY, "old");
      const error = new Error("the program was killed");
      await assert.rejects(subject.destination.put(KEY, failing(error, 0), subject), Error);
      assert.equal(await subject.text(KEY), "old");
      assert.deepEqual(await subject.listed(), [KEY]);
    }),
    on("put() accepts a key again after content failed there", async (subject) => {
      const error = new Error("no");
      await rejectsWith(subject.destination.put(KEY, failing(error, 9), subject), error);
      await subject.put(KEY, "second");
      assert.equal(await subject.text(KEY), "second");
    }),
  ];
}

function visibilityCases(): ContractCase[] {
  return [
    on("put() hides an object until it is complete", async (subject) => {
      const seen: string[][] = [];
      async function* watching() {
        for (const part of [noise(100_000), noise(1_500_000), noise(1)]) {
          yield part;
          seen.push(await subject.listed());
          await assert.rejects(subject.read(KEY), ObjectNotFoundError);
        }
      }
      await subject.destination.put(KEY, watching(), subject);
      assert.deepEqual(seen, [[], [], []]);
      assert.deepEqual(await subject.listed(), [KEY]);
    }),
    on("put() stores to different keys at once", async (subject) => {
      const [a, b] = keys("h/daily/files/a", "h/daily/mysql/b") as [Key, Key];
      const [first, second] = [noise(1_200_000), Buffer.from("other")];
      await Promise.all([
        subject.destination.put(a, sliced(first, 100_000), subject),
        subject.destination.put(b, chunks(second), subject),
      ]);
      assert(first.equals(await subject.read(a)));
      assert.deepEqual(await subject.read(b), second);
    }),
    on("put() lets exactly one of several at once win a key", async (subject) => {
      const texts = ["first", "second", "third", "fourth"];
      const results = await Promise.allSettled(texts.map((text) => subject.put(KEY, text, text)));
      const winners = texts.filter((_, index) => results[index]?.status === "fulfilled");
      assert.equal(winners.length, 1);
      for (const result of results) {
        if (result.status === "rejected") assert(result.reason instanceof AlreadyExistsError, String(result.reason));
      }
      assert.equal(await subject.text(KEY), `${winners[0]}${winners[0]}`);
      assert.equal(await subject.sweep(), 0);
    }),
  ];
}

function nameCase(name: string): ContractCase {
  return on(`put() takes the name ${JSON.stringify(name)} as it is`, async (subject) => {
    const key = toKey(`h/daily/files/${name}`);
    await subject.put(key, name);
    assert.equal(await subject.text(key), name);
    assert.deepEqual(await subject.listed(), [key]);
    assert.deepEqual(await subject.listed(key), [key]);
    await subject.destination.remove(key, subject);
    assert.deepEqual(await subject.listed(), []);
  });
}

import assert from "node:assert/strict";
import { type Key, toKey } from "../../domain/key.ts";
import { ObjectNotFoundError } from "../destination.ts";
import { keys, keysOf, noise } from "./streams.ts";
import { type ContractCase, contractCase, type Extras, inParallel, KEY, type Subject } from "./subject.ts";

type Work = (subject: Subject) => Promise<void>;

const onGet = (name: string, work: Work): ContractCase => contractCase("get()", name, work);
const onList = (name: string, work: Work): ContractCase => contractCase("list()", name, work);
const onRemove = (name: string, work: Work): ContractCase => contractCase("remove()", name, work);

/** What `get()` promises. */
export function getCases(): ContractCase[] {
  return [
    onGet("get() throws ObjectNotFoundError on the first pull when there is none", async ({ destination, signal }) => {
      const content = destination.get(KEY, { signal });
      await assert.rejects(content[Symbol.asyncIterator]().next(), { code: "NOT_FOUND", key: KEY });
    }),
    onGet("get() finds no object where there is only a prefix of one", async (subject) => {
      await subject.put(KEY, "x");
      await assert.rejects(subject.read(toKey("h/daily/files")), ObjectNotFoundError);
      await assert.rejects(subject.read(toKey(`${KEY}/below`)), ObjectNotFoundError);
    }),
    onGet("get() can be left early, many times", async (subject) => {
      const bytes = noise(4 * 1024 * 1024);
      await subject.put(KEY, bytes);
      for (let round = 0; round < 20; round++) {
        for await (const chunk of subject.destination.get(KEY, subject)) {
          assert(bytes.subarray(0, chunk.length).equals(chunk));
          break;
        }
      }
      assert(bytes.equals(await subject.read(KEY)));
    }),
    onGet("get() serves two readers at once", async (subject) => {
      const bytes = noise(2_500_000);
      await subject.put(KEY, bytes);
      const both = await Promise.all([subject.read(KEY), subject.read(KEY)]);
      assert.deepEqual(
        both.map((one) => bytes.equals(one)),
        [true, true],
      );
    }),
  ];
}

/** What `list()` promises. */
export function listCases({ manyObjects = 1100 }: Extras): ContractCase[] {
  return [...prefixCases(), orderCase(), ...amountCases(manyObjects)];
}

function prefixCases(): ContractCase[] {
  return [
    onList("list() yields nothing from an empty store or below an unknown prefix", async (subject) => {
      assert.deepEqual(await subject.listed(), []);
      await subject.put(KEY, "x");
      for (const prefix of ["nobody/", `${KEY}/`, `${KEY}.gpg`]) assert.deepEqual(await subject.listed(prefix), []);
    }),
    onList("list() takes the prefix as a string, also inside a component", async (subject) => {
      const names = ["_etc-1", "_etc-2", "_etc_mysql-1", "_home-1", "_etc/deep/x"];
      for (const name of names) await subject.put(toKey(`h/daily/files/${name}`), name);
      await subject.put(toKey("h2/daily/files/_etc-1"), "other host");
      const below = (...found: string[]) => found.map((name) => `h/daily/files/${name}`);
      const etc = below("_etc-1", "_etc-2", "_etc/deep/x", "_etc_mysql-1");
      assert.deepEqual(await subject.listed("h/daily/files/_etc"), etc);
      assert.deepEqual(await subject.listed("h/daily/files/_etc_mysql-1"), below("_etc_mysql-1"));
      assert.deepEqual(await subject.listed("h/daily/files/_etc/"), below("_etc/deep/x"));
      assert.equal((await subject.listed("h/")).length, 5);
      assert.equal((await subject.listed("h")).length, 6);
      assert.equal((await subject.listed("h/daily/fi")).length, 5);
    }),
    onList("list() leaves out nothing but what is in skipped folders", async (subject) => {
      const { destination, signal } = subject;
      for (const key of keys("h/a/x", "h/b/x", "h/b/y/z", "h/bb", "i/b/x")) await subject.put(key, "x");
      const found = await keysOf(destination.list("", { signal, skip: (folder) => folder === "h/b/" }));
      const others = found.filter((key) => !key.startsWith("h/b/"));
      assert.deepEqual(others, ["h/a/x", "h/bb", "i/b/x"]);
    }),
  ];
}

function orderCase(): ContractCase {
  return onList("list() sorts by the whole key, in UTF-16 code units", async (subject) => {
    const sorted = ["h/a", "h/a b", "h/a-1", "h/a.b", "h/a0/x", "h/aB", "h/b/c.d/e", "h/b/c/d2", "h/b0"];
    const all = sorted.concat("h/b0x/y", "h/z", "h/é", "h/🐬/x", "h/\uFFFD");
    await inParallel([...all].toReversed(), (key) => subject.put(toKey(key), "x"));
    assert.deepEqual(await subject.listed(), [...all].sort());
  });
}

function amountCases(manyObjects: number): ContractCase[] {
  return [
    onList("list() yields size and time of each object", async (subject) => {
      const before = Date.now();
      await subject.put(KEY, noise(12_345));
      const [entry, ...others] = await Array.fromAsync(subject.destination.list("h/", subject));
      assert.deepEqual([entry?.key, entry?.bytes, others], [KEY, 12_345, []]);
      assert(
        Math.abs((entry?.modifiedAt.getTime() ?? 0) - before) < 60_000,
        `it says ${entry?.modifiedAt.toISOString()}`,
      );
    }),
    onList("list() yields more objects than fit on a page", async (subject) => {
      const name = (index: number) => `h/binlog/mysql-bin.${String(index).padStart(6, "0")}`;
      const many = Array.from({ length: manyObjects }, (_, index) => name(index));
      await inParallel(many, (key) => subject.put(toKey(key), "x"));
      assert.deepEqual(await subject.listed("h/binlog/"), many);
      assert.deepEqual(await subject.listed("h/binlog/mysql-bin.00000"), many.slice(0, 10));
    }),
    onList("list() can be left early", async (subject) => {
      for (const key of keys("h/a", "h/b", "h/c")) await subject.put(key, "x");
      for await (const { key } of subject.destination.list("", subject)) {
        assert.equal(key, "h/a");
        break;
      }
      assert.equal((await subject.listed()).length, 3);
    }),
  ];
}

/** What `remove()` promises. */
export function removeCases(): ContractCase[] {
  return [
    onRemove("remove() removes one object, and removing it twice is no error", async (subject) => {
      const [a, b] = keys("h/a", "h/a.gz") as [Key, Key];
      await subject.put(a, "x");
      await subject.put(b, "y");
      await subject.destination.remove(a, subject);
      await subject.destination.remove(a, subject);
      assert.deepEqual(await subject.listed(), [b]);
      await subject.put(a, "again");
      assert.equal(await subject.text(a), "again");
    }),
    onRemove("remove() of what never was is no error", async (subject) => {
      await subject.destination.remove(toKey("nobody/daily/x"), subject);
      assert.deepEqual(await subject.listed(), []);
    }),
  ];
}

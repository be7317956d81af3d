import assert from "node:assert/strict";
import { ConflictError, type Destination } from "../destination.ts";
import { type ContractCase, contractCase, KEY, STATUS, type Subject } from "./subject.ts";

const on = (name: string, work: (subject: Subject) => Promise<void>): ContractCase =>
  contractCase("readSmall() and replaceSmall()", name, work);

/** What `readSmall()` and `replaceSmall()` promise. */
export function smallCases(): ContractCase[] {
  return [
    on("readSmall() returns undefined when there is none", async ({ destination, signal }) => {
      assert.equal(await destination.readSmall(STATUS, { signal }), undefined);
    }),
    on("replaceSmall() creates, then replaces what has the expected version", async (subject) => {
      const first = await subject.replace(STATUS, "one", undefined);
      const small = await subject.destination.readSmall(STATUS, subject);
      assert.equal(small?.version, first);
      assert.equal(Buffer.from(small.content).toString(), "one");
      const second = await subject.replace(STATUS, "", first);
      assert.notEqual(second, first);
      assert.equal(await subject.smallText(STATUS), "");
      assert.deepEqual(await subject.listed(), [STATUS]);
    }),
    on("replaceSmall() throws ConflictError and changes nothing when the version is another", async (subject) => {
      const first = await subject.replace(STATUS, "one", undefined);
      const second = await subject.replace(STATUS, "two", first);
      await assert.rejects(subject.replace(STATUS, "three", first), ConflictError);
      await assert.rejects(subject.replace(STATUS, "three", undefined), ConflictError);
      assert.equal(await subject.smallText(STATUS), "two");
      await subject.destination.remove(STATUS, subject);
      await assert.rejects(subject.replace(STATUS, "three", second), ConflictError);
      assert.equal(await subject.smallText(STATUS), undefined);
      assert.equal(await subject.sweep(), 0);
    }),
    on("replaceSmall() loses none of 20 increments at once", async (subject) => {
      const { opened, destination, signal } = subject;
      const others = opened.another === undefined ? [destination] : [destination, await opened.another()];
      const stores = Array.from({ length: 20 }, (_, index) => others[index % others.length] ?? destination);
      await Promise.all(stores.map((store) => increment(store, signal)));
      assert.equal(await subject.smallText(STATUS), "20");
      assert.deepEqual(await subject.listed(), [STATUS]);
      await Promise.all(others.map((store) => store[Symbol.asyncDispose]()));
    }),
    on("readSmall() reads what put() stored, get() what replaceSmall() stored", async (subject) => {
      await subject.put(KEY, "by put");
      await subject.replace(STATUS, "by replace", undefined);
      assert.equal(await subject.smallText(KEY), "by put");
      assert.equal(await subject.text(STATUS), "by replace");
    }),
  ];
}

async function increment(store: Destination, signal: AbortSignal): Promise<void> {
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
}

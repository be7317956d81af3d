import assert from "node:assert/strict";
import { toKey } from "../../domain/key.ts";
import type { ByteStream } from "../../lib/bytes.ts";
import { chunks, collect, keys, keysOf, noise, sliced } from "./streams.ts";
import { type ContractCase, contractCase, KEY, rejectsWith, STATUS, type Subject } from "./subject.ts";

const on = (name: string, work: (subject: Subject) => Promise<void>): ContractCase => contractCase("abort", name, work);

/** What every call promises once its signal is aborted. */
export function abortCases(): ContractCase[] {
  return [abortedAlreadyCase(), ...putCases(), ...readCases()];
}

function abortedAlreadyCase(): ContractCase {
  return on("every call throws signal.reason when it is aborted already", async (subject) => {
    const { destination } = subject;
    const reason = new Error("the time limit passed");
    const options = { signal: AbortSignal.abort(reason) };
    await subject.put(KEY, "x");
    await rejectsWith(destination.put(toKey("h/other"), chunks("y"), options), reason);
    await rejectsWith(collect(destination.get(KEY, options)), reason);
    await rejectsWith(keysOf(destination.list("", options)), reason);
    await rejectsWith(destination.remove(KEY, options), reason);
    await rejectsWith(destination.readSmall(KEY, options), reason);
    await rejectsWith(destination.replaceSmall(STATUS, Buffer.from("z"), { ...options, expected: undefined }), reason);
    await rejectsWith(destination.sweep("h", options), reason);
    assert.deepEqual(await subject.listed(), [KEY]);
    assert.equal(await subject.sweep(), 0);
  });
}

/** `content` gets what aborts the call that reads it. */
function putCase(when: string, content: (abort: () => void) => ByteStream): ContractCase {
  return on(`put() throws signal.reason and leaves nothing when aborted ${when}`, async (subject) => {
    const controller = new AbortController();
    const reason = new Error("the time limit passed");
    const stream = content(() => controller.abort(reason));
    await rejectsWith(subject.destination.put(KEY, stream, { signal: controller.signal }), reason);
    await subject.expectNothingLeft();
  });
}

function putCases(): ContractCase[] {
  return [
    putCase("while content has more to give", async function* (abort) {
      yield* sliced(noise(1_500_000), 500_000);
      abort();
      yield noise(10);
    }),
    putCase("at the end of content", async function* (abort) {
      yield noise(10);
      abort();
    }),
    putCase("while parts of it are sent", async function* (abort) {
      yield noise(18_000_000);
      abort();
      yield noise(10);
    }),
    putCase("while content is stuck", async function* (abort) {
      yield noise(300_000);
      setTimeout(abort, 20);
      await new Promise(() => {});
    }),
  ];
}

function readCases(): ContractCase[] {
  return [
    on("get() throws signal.reason when aborted on the way", async (subject) => {
      const controller = new AbortController();
      const reason = new Error("the time limit passed");
      await subject.put(KEY, noise(6_000_000));
      const reading = async () => {
        for await (const _ of subject.destination.get(KEY, { signal: controller.signal })) controller.abort(reason);
      };
      await rejectsWith(reading(), reason);
      assert.equal((await subject.read(KEY)).length, 6_000_000);
    }),
    on("list() throws signal.reason when aborted on the way", async (subject) => {
      const controller = new AbortController();
      const reason = new Error("the time limit passed");
      for (const key of keys("h/a", "h/b/c", "i/d")) await subject.put(key, "x");
      const listing = async () => {
        for await (const _ of subject.destination.list("", { signal: controller.signal })) controller.abort(reason);
      };
      await rejectsWith(listing(), reason);
      assert.equal((await subject.listed()).length, 3);
    }),
  ];
}

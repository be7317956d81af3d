import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { abortable } from "../../../src/destination/abortable.ts";
import { collect } from "../../support/streams.ts";

/** Content that counts its pulls and says whether it was closed. */
class Watched {
  pulls = 0;
  closed = false;

  async *content(length: number): AsyncGenerator<Uint8Array, void> {
    try {
      for (let index = 0; index < length; index++) {
        this.pulls += 1;
        yield Uint8Array.of(index);
      }
    } finally {
      this.closed = true;
    }
  }
}

test("abortable() passes everything on", async () => {
  const watched = new Watched();
  const { signal } = new AbortController();
  expect([...(await collect(abortable(watched.content(3), signal)))]).toEqual([0, 1, 2]);
});

test("abortable() does not start content when it is aborted already", async () => {
  const watched = new Watched();
  const reason = new Error("stop");
  await expect(collect(abortable(watched.content(3), AbortSignal.abort(reason)))).rejects.toBe(reason);
  expect(watched.pulls).toBe(0);
});

test("abortable() closes content when its consumer leaves", async () => {
  const watched = new Watched();
  for await (const _ of abortable(watched.content(3), new AbortController().signal)) break;
  expect(watched).toMatchObject({ pulls: 1, closed: true });
});

test("abortable() closes content that is not stuck when it is aborted", async () => {
  const watched = new Watched();
  const controller = new AbortController();
  const reason = new Error("stop");
  const reading = async () => {
    for await (const _ of abortable(watched.content(3), controller.signal)) controller.abort(reason);
  };
  await expect(reading()).rejects.toBe(reason);
  expect(watched.closed).toBe(true);
});

test("abortable() throws the reason when content throws something else because of the abort", async () => {
  const controller = new AbortController();
  const reason = new Error("stop");
  async function* content() {
    yield Uint8Array.of(1);
    controller.abort(reason);
    throw new Error("the program was killed");
  }
  await expect(collect(abortable(content(), controller.signal))).rejects.toBe(reason);
});

test("abortable() leaves no listener behind", async () => {
  const { signal } = new AbortController();
  await collect(abortable(new Watched().content(5), signal));
  for await (const _ of abortable(new Watched().content(5), signal)) break;
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

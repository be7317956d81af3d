import { describe, expect, test } from "vitest";
import type { Destination } from "../../src/destination/destination.ts";
import { type Key, toKey } from "../../src/domain/key.ts";
import { chunks, collect, keysOf, noise } from "../support/streams.ts";

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

/** The cases of `destinationContract()` that are about what interrupted runs leave. */
export function leftoverCases(current: () => Opened): void {
  const { signal } = new AbortController();

  const put = (key: Key, ...parts: readonly (string | Uint8Array)[]) =>
    current().destination.put(key, chunks(...parts), { signal });
  const read = (key: Key) => collect(current().destination.get(key, { signal }));
  const listed = () => keysOf(current().destination.list("", { signal }));
  const sweep = (host: string) => current().destination.sweep(host, { signal });
  const replace = (key: Key, text: string) =>
    current().destination.replaceSmall(key, Buffer.from(text), { signal, expected: undefined });

  describe("sweep()", () => {
    test("sweep() removes nothing that is complete", async () => {
      await put(KEY, "x");
      await replace(STATUS, "y");
      expect(await sweep("h")).toBe(0);
      expect(await listed()).toEqual([KEY, STATUS]);
    });

    test("sweep() leaves a put in progress alone", async () => {
      async function* content() {
        yield noise(100_000);
        expect(await sweep("h")).toBe(0);
        yield noise(1);
      }
      expect(await current().destination.put(KEY, content(), { signal })).toMatchObject({ bytes: 100_001 });
      expect(await read(KEY)).toHaveLength(100_001);
    });

    test.for<Leftover & { removes: number }>([
      { removes: 1, host: "h", kind: "temporary", owner: "dead", ageHours: 0 },
      { removes: 0, host: "h", kind: "temporary", owner: "alive", ageHours: 0 },
      { removes: 0, host: "h", kind: "temporary", owner: "another machine", ageHours: 23 },
      { removes: 1, host: "h", kind: "temporary", owner: "another machine", ageHours: 25 },
      { removes: 0, host: "h2", kind: "temporary", owner: "dead", ageHours: 0 },
      { removes: 0, host: "h2", kind: "temporary", owner: "another machine", ageHours: 25 },
      { removes: 1, host: "h", kind: "lock", owner: "dead", ageHours: 0 },
      { removes: 0, host: "h", kind: "lock", owner: "alive", ageHours: 0 },
      { removes: 0, host: "h", kind: "lock", owner: "another machine", ageHours: 0 },
      { removes: 1, host: "h", kind: "lock", owner: "another machine", ageHours: 25 },
      { removes: 0, host: "h2", kind: "lock", owner: "dead", ageHours: 0 },
    ])('sweep("h") judges what was left: %j', async ({ removes, ...leftover }, { skip }) => {
      const { plant, leaves = [leftover.kind] } = current();
      if (plant === undefined || !leaves.includes(leftover.kind)) {
        skip("no such thing is ever left here");
        return;
      }
      await put(KEY, "x");
      await put(toKey("h2/daily/x"), "y");
      await plant(leftover);
      expect(await listed()).toEqual([KEY, "h2/daily/x"]);
      expect(await sweep("h")).toBe(removes);
      expect(await sweep("h")).toBe(0);
      expect(await listed()).toEqual([KEY, "h2/daily/x"]);
    });

    test.for<Leftover>([
      { host: "h", kind: "lock", owner: "dead", ageHours: 0 },
      { host: "h", kind: "lock", owner: "another machine", ageHours: 1 },
    ])("replaceSmall() takes over a stale lock: %j", async (leftover, { skip }) => {
      const { plant, leaves = [leftover.kind] } = current();
      if (plant === undefined || !leaves.includes(leftover.kind)) {
        skip("no such thing is ever left here");
        return;
      }
      await plant(leftover);
      await Promise.all([replace(STATUS, "one"), replace(toKey("h/other"), "two")]);
      expect((await read(STATUS)).toString()).toBe("one");
      expect(await sweep("h")).toBe(0);
    });
  });
}

import { describe, expect, test } from "vitest";
import type { CallOptions, Destination, Version } from "../../../src/destination/destination.ts";
import { BackupError } from "../../../src/domain/errors.ts";
import type { Key } from "../../../src/domain/key.ts";
import { tryDestination } from "../../../src/job/check-destination.ts";
import { listCopies } from "../../../src/job/list.ts";
import type { ByteStream } from "../../../src/lib/bytes.ts";
import { FailingDestination, unreachable } from "../../support/failing-destination.ts";
import { GuardedDestination } from "../../support/guarded-destination.ts";
import { MemoryDestination } from "../../support/memory-destination.ts";
import { keysOf } from "../../support/streams.ts";

const { signal } = new AbortController();

function denied(action: string): BackupError {
  return new BackupError("NOT_PERMITTED", `Cannot ${action} "x": access is denied`);
}

/** Each finding as `name: result`. */
async function resultsOf(destination: Destination): Promise<string[]> {
  const findings = await tryDestination(destination, "db7", { signal });
  return findings.map(({ name, result }) => `${name}: ${result}`);
}

const ALL = ["list", "write", "read", "listing", "clock", "large object", "replace", "conditions", "delete"];

describe("tryDestination()", () => {
  test("tryDestination() finds all well with a good destination, and leaves nothing", async () => {
    const destination = new MemoryDestination();
    expect(await resultsOf(destination)).toEqual(ALL.map((name) => `${name}: ok`));
    expect(await keysOf(destination.list("", { signal }))).toEqual([]);
  });

  test("tryDestination() is never taken for copies, also when it may delete nothing", async () => {
    const destination = new GuardedDestination();
    destination.isGuarded = () => true;
    const findings = await tryDestination(destination, "db7", { signal });
    const last = findings.at(-1);
    expect(last).toMatchObject({ name: "delete", result: "warning" });
    expect(last?.detail).toContain("remove_expired=no");
    expect(findings.every(({ result }) => result !== "failed")).toBe(true);
    const left = await keysOf(destination.list("", { signal }));
    expect(left).toHaveLength(3);
    expect(left.every((key) => key.startsWith("db7/check-"))).toBe(true);
    expect(await listCopies(destination, { host: undefined, media: undefined, signal })).toMatchObject({
      listed: [],
      warnings: [],
    });
  });

  test("tryDestination() tells each right that is missing, and goes on with the others", async () => {
    const destination = new (class extends MemoryDestination {
      override put(): never {
        throw denied("store");
      }
      override async *list(): AsyncGenerator<never, void> {
        yield* [];
        throw denied("list");
      }
    })();
    const findings = await tryDestination(destination, "db7", { signal });
    expect(findings.map(({ name, result }) => `${name}: ${result}`)).toEqual([
      "list: failed",
      "write: failed",
      "read: ok",
      "large object: failed",
      "replace: ok",
      "conditions: ok",
      "delete: failed",
    ]);
    expect(findings[0]).toMatchObject({
      detail: 'Cannot list "x": access is denied',
      error: { code: "NOT_PERMITTED" },
    });
  });

  test("tryDestination() finds out a store that overwrites", async () => {
    const destination = new (class extends MemoryDestination {
      override async put(key: Key, content: ByteStream, options: CallOptions) {
        await super.remove(key, options);
        return super.put(key, content, options);
      }
    })();
    const findings = await tryDestination(destination, "db7", { signal });
    expect(findings.find(({ name }) => name === "write")).toMatchObject({
      result: "failed",
      detail: expect.stringContaining("it accepts a second object under a name that is taken") as string,
    });
  });

  test("tryDestination() finds out a store that does not look at conditions", async () => {
    const destination = new (class extends MemoryDestination {
      override async replaceSmall(key: Key, content: Uint8Array, options: CallOptions): Promise<Version> {
        const found = await super.readSmall(key, options);
        return super.replaceSmall(key, content, { ...options, expected: found?.version });
      }
    })();
    expect(await resultsOf(destination)).toContain("conditions: failed");
  });

  test("tryDestination() finds out a store that gives back other bytes, small or large", async () => {
    class Flipping extends MemoryDestination {
      flips = (_key: Key): boolean => false;
      override async *get(key: Key, options: CallOptions): AsyncGenerator<Uint8Array, void> {
        for await (const chunk of super.get(key, options)) {
          const copy = Buffer.from(chunk);
          if (this.flips(key)) copy.writeUInt8(copy.readUInt8(0) ^ 1, 0);
          yield copy;
        }
      }
    }
    const destination = new Flipping();
    destination.flips = (key) => key.endsWith("/large");
    expect((await resultsOf(destination)).filter((each) => each.endsWith("failed"))).toEqual(["large object: failed"]);
    destination.flips = (key) => !key.endsWith("/large");
    expect((await resultsOf(destination)).filter((each) => each.endsWith("failed"))).toEqual(["read: failed"]);
    expect(await keysOf(destination.list("", { signal }))).toEqual([]);
  });

  test("tryDestination() warns of a clock that is off", async () => {
    const destination = new (class extends MemoryDestination {
      override async *list(prefix: string, options: CallOptions) {
        for await (const entry of super.list(prefix, options)) {
          yield { ...entry, modifiedAt: new Date(entry.modifiedAt.getTime() + 360_000) };
        }
      }
    })();
    expect(await resultsOf(destination)).toContain("clock: warning");
  });

  test("tryDestination() cleans up when it is told to end", async () => {
    const controller = new AbortController();
    const destination = new (class extends FailingDestination {
      override replaceSmall(key: Key, content: Uint8Array, options: CallOptions & { expected: Version | undefined }) {
        controller.abort(new Error("enough"));
        return super.replaceSmall(key, content, options);
      }
    })();
    await expect(tryDestination(destination, "db7", { signal: controller.signal })).rejects.toThrow("enough");
    expect(await keysOf(destination.list("", { signal }))).toEqual([]);
  });

  test("tryDestination() tells a destination that cannot be reached", async () => {
    const destination = new FailingDestination();
    destination.faults.push({ on: "list", error: unreachable() });
    const [first] = await tryDestination(destination, "db7", { signal });
    expect(first).toMatchObject({ name: "list", result: "failed", error: { code: "UNREACHABLE" } });
  });
});

import { describe, expect, test } from "vitest";
import { BackupError } from "../../../src/domain/errors.ts";
import { driftFinding, look, probeDestination } from "../../../src/job/check.ts";
import { FailingDestination, unreachable } from "../../support/failing-destination.ts";
import { GuardedDestination } from "../../support/guarded-destination.ts";
import { chunks, keysOf } from "../../support/streams.ts";

const { signal } = new AbortController();

/** Gives back other bytes than it was given. */
class Lying extends FailingDestination {
  override get(): AsyncGenerator<Uint8Array, void> {
    return chunks("something else");
  }
}

describe("look()", () => {
  test("look() makes a finding of what is found, and of what fails", async () => {
    expect(await look("disk", async () => "large")).toEqual({ name: "disk", result: "ok", detail: "large" });
    const error = new BackupError("FAILED", 'Cannot look at "x": it is dark', { hint: "Turn on the light." });
    expect(await look("disk", () => Promise.reject(error))).toEqual({
      name: "disk",
      result: "failed",
      detail: 'Cannot look at "x": it is dark. Turn on the light.',
      error,
    });
  });
});

describe("probeDestination()", () => {
  test("probeDestination() leaves nothing behind, also when it fails", async () => {
    const destination = new FailingDestination();
    const { driftSeconds, refusal } = await probeDestination(destination, "db7", { signal });
    expect(Math.abs(driftSeconds)).toBeLessThan(5);
    expect(refusal).toBeUndefined();
    destination.faults.push({ on: "list", error: unreachable() });
    await expect(probeDestination(destination, "db7", { signal })).rejects.toMatchObject({ code: "UNREACHABLE" });
    expect(await keysOf(destination.list("", { signal }))).toEqual([]);
  });

  test("probeDestination() tells a destination that permits no removal", async () => {
    const destination = new GuardedDestination();
    destination.isGuarded = () => true;
    const { refusal } = await probeDestination(destination, "db7", { signal });
    expect(refusal).toMatchObject({ code: "NOT_PERMITTED" });
  });

  test("probeDestination() finds out a destination that gives back other bytes", async () => {
    await expect(probeDestination(new Lying(), "db7", { signal })).rejects.toThrow(
      "an object reads back as other bytes",
    );
  });
});

test("driftFinding() warns of a clock that is off by more than three minutes, on either side", () => {
  expect(driftFinding(180)).toMatchObject({ result: "ok" });
  expect(driftFinding(181)).toMatchObject({
    result: "warning",
    detail: expect.stringContaining("3 min ahead of") as string,
  });
  expect(driftFinding(-7200)).toMatchObject({
    result: "warning",
    detail: expect.stringContaining("2 h behind") as string,
  });
});

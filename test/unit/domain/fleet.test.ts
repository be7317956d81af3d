import { assert, integer, property, tuple } from "fast-check";
import { expect, test } from "vitest";
import type { Copy } from "../../../src/domain/copy.ts";
import { fleetOf, type SeenCopy } from "../../../src/domain/fleet.ts";
import { toKey } from "../../../src/domain/key.ts";
import { at, binlogCopy, filesCopy, fullCopy, increment } from "../../support/copies.ts";
import { copiesOfHost } from "../../support/fleet.ts";

const seen = (...copies: readonly Copy[]): SeenCopy[] => copies.map((copy) => ({ copy, doubt: undefined }));

function only(copies: readonly SeenCopy[], now = at(9)) {
  const [host, ...others] = fleetOf(copies, now);
  expect(others).toEqual([]);
  const [subject, ...more] = host?.subjects ?? [];
  expect(more).toEqual([]);
  if (subject === undefined) throw new Error("no subject");
  return subject;
}

test("fleetOf() has each host by name, its directories, its server and its logs", () => {
  const other = { host: "a1", key: toKey("a1/daily/files/_etc-2026-05-01_00_00_02.tar.gz") };
  const views = fleetOf(
    seen(
      binlogCopy(1, at(1)),
      fullCopy(at(1)),
      filesCopy(at(1), { directory: "/srv" }),
      filesCopy(at(1)),
      filesCopy(at(1), other),
    ),
    at(2),
  );
  expect(views.map(({ host }) => host)).toEqual(["a1", "db7"]);
  expect(views[1]?.subjects.map(({ media, directory }) => directory ?? media)).toEqual([
    "/etc",
    "/srv",
    "mysql",
    "binlog",
  ]);
});

test("the newest good copy is not one that a verify, a person or a listing found bad", () => {
  const good = filesCopy(at(5), { bytes: 10 });
  const bad = filesCopy(at(6), { verified: { at: at(6), ok: false, level: "checksum" } });
  const marked = filesCopy(at(7), { mark: { broken: true, at: at(7), by: "root", reason: undefined } });
  const gone: SeenCopy = { copy: filesCopy(at(8)), doubt: "gone" };
  const subject = only([...seen(marked, bad, good), gone]);
  expect(subject).toMatchObject({ newest: { key: good.key }, newestAt: at(5), brokenCopies: 3 });
  expect(subject.late).toEqual([{ interval: "daily", ageSeconds: 4 * 86_400 - 0 }]);
});

test("an increment whose full copy is gone is not good", () => {
  const full = fullCopy(at(5));
  const [kept, orphan] = [
    increment(at(5, 1), full.key),
    increment(at(5, 2), toKey("db7/daily/mysql/gone.xbstream.gz")),
  ];
  expect(only(seen(full, kept, orphan)).newest?.key).toBe(kept.key);
  expect(only([{ copy: full, doubt: "gone" }, ...seen(kept)]).newest).toBeUndefined();
});

test("the trend is against the median of earlier copies of the same kind", () => {
  const sized = (day: number, bytes: number) => filesCopy(at(day), { bytes });
  expect(only(seen(sized(1, 100), sized(2, 1000), sized(3, 120))).trend).toBeUndefined();
  expect(only(seen(sized(1, 100), sized(2, 1000), sized(3, 120), sized(4, 60))).trend).toBeCloseTo(0.5);
  const fulls = [1, 2, 3].map((day) => fullCopy(at(day), { bytes: 1000 }));
  const small = [1, 2, 3, 4].map((hour) =>
    increment(at(3, hour), fulls[2]?.key ?? toKey("x"), { bytes: hour === 4 ? 30 : 10 }),
  );
  expect(only(seen(...fulls, ...small)).trend).toBeCloseTo(3);
});

test("a copy of the predecessor is as large as its object, and of the directory its name tells", () => {
  const { directory: _none, ...copy } = filesCopy(at(5));
  const view = only([{ copy: { ...copy, directory: undefined }, doubt: undefined, storedBytes: 77 }]);
  expect(view).toMatchObject({ storedBytes: 77, directory: "_etc", newest: { bytes: 77 } });
});

test("sums agree with the copies, whatever there is", () => {
  const hosts = tuple(integer({ min: 4, max: 60 }), integer({ min: 0, max: 1000 }));
  assert(
    property(hosts, ([copies, seed]) => {
      const listed = copiesOfHost({ host: "db1", copies, seed, now: at(9) });
      const subjects = fleetOf(listed, at(9)).flatMap((each) => each.subjects);
      const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0);
      expect(sum(subjects.map(({ points }) => points.length))).toBe(copies);
      expect(sum(subjects.map(({ storedBytes }) => storedBytes))).toBe(sum(listed.map(({ copy }) => copy.bytes ?? 0)));
      for (const { points, newest, brokenCopies } of subjects) {
        expect(points.toSorted((left, right) => left.at.getTime() - right.at.getTime())).toEqual(points);
        expect(newest).toBe(points.findLast(({ good }) => good));
        expect(brokenCopies).toBe(points.filter(({ good }) => !good).length);
      }
    }),
    { numRuns: 30 },
  );
});

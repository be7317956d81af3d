import { expect, test } from "vitest";
import type { Mark, Preservation, TimelineEnd } from "../../../src/domain/copy.ts";
import { withRemembered } from "../../../src/domain/remembered.ts";
import { at, binlogCopy, filesCopy } from "../../support/copies.ts";

function until(preservedUntil: Preservation | undefined) {
  return filesCopy(at(1), preservedUntil === undefined ? {} : { preservedUntil });
}

test.each<[Preservation | undefined, Preservation | undefined, Preservation | undefined]>([
  [undefined, undefined, undefined],
  [at(2), undefined, at(2)],
  [undefined, at(2), at(2)],
  [at(2), at(3), at(3)],
  [at(3), at(2), at(3)],
  ["forever", at(2), "forever"],
  [at(2), "forever", "forever"],
])("withRemembered() takes the longer preservation of %s and %s", (recorded, remembered, expected) => {
  expect(withRemembered(until(recorded), until(remembered))).toEqual(until(expected));
});

test("withRemembered() takes the later word of a person, with what it says of a verify", () => {
  const mark = (day: number, broken: boolean): Mark => ({ broken, at: at(day), by: "root@db7", reason: undefined });
  const failed = { at: at(2), ok: false, level: "checksum" };
  const recorded = filesCopy(at(1), { mark: mark(3, true), verified: failed });
  const good = withRemembered(recorded, filesCopy(at(1), { mark: mark(4, false) }));
  expect(good).toMatchObject({ mark: mark(4, false), verified: undefined });
  expect(withRemembered(recorded, filesCopy(at(1), { mark: mark(2, false) }))).toEqual(recorded);
  expect(withRemembered(recorded, undefined)).toBe(recorded);
});

test("withRemembered() takes the later verify, unless a person called the copy good since", () => {
  const found = (day: number, ok: boolean) => filesCopy(at(1), { verified: { at: at(day), ok, level: "checksum" } });
  expect(withRemembered(filesCopy(at(1)), found(2, false))).toEqual(found(2, false));
  expect(withRemembered(found(2, true), found(3, false))).toEqual(found(3, false));
  expect(withRemembered(found(3, true), found(2, false))).toEqual(found(3, true));
  const mark: Mark = { broken: false, at: at(4), by: "root@db7", reason: undefined };
  expect(withRemembered({ ...filesCopy(at(1)), mark }, found(3, false))).toMatchObject({ mark, verified: undefined });
  expect(withRemembered({ ...filesCopy(at(1)), mark }, found(5, false))).toMatchObject({
    mark,
    verified: { ok: false },
  });
});

test("withRemembered() takes the later takeover", () => {
  const end = (epoch: number): TimelineEnd => {
    return { epoch, gtid: "0-1-5", at: at(2), by: "root@db8", to: { uuid: undefined, serverId: 2, host: "db8" } };
  };
  const [none, first, second] = [{}, { ended: end(1) }, { ended: end(2) }].map((more) => binlogCopy(7, at(1), more));
  expect(withRemembered(none!, second)).toEqual(second);
  expect(withRemembered(first!, second)).toEqual(second);
  expect(withRemembered(second!, first)).toEqual(second);
  expect(withRemembered(second!, none)).toEqual(second);
});

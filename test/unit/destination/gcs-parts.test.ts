import { describe, expect, test } from "vitest";
import {
  behindFolder,
  contentRange,
  foldersOf,
  parsePartName,
  storedBytes,
} from "../../../src/destination/gcs-names.ts";
import {
  asOne,
  type GcsObject,
  Joiner,
  missingPart,
  partSet,
  piecesOf,
  type Seen,
} from "../../../src/destination/gcs-parts.ts";

const COPY = "db7/daily/files/_etc-2017-11-03_00_00_04.tar.gz";

function object(key: string, bytes = 1, generation = "1"): GcsObject {
  return { key, bytes, modifiedAt: new Date(bytes * 1000), version: generation, generation };
}

function part(number: number, bytes = 1, generation = "1"): GcsObject {
  return object(`${COPY}/part-${String(number).padStart(16, "0")}`, bytes, generation);
}

describe("partSet()", () => {
  test("partSet() sorts by number and leaves out what is none", () => {
    const set = partSet(COPY, [part(10), part(9), object(`${COPY}/part-x`), part(0)]);
    expect(set.parts.map(({ number }) => number)).toEqual([0, 9, 10]);
  });

  test.each([
    [[], 0],
    [[0], undefined],
    [[0, 1, 2], undefined],
    [[1, 2], 0],
    [[0, 2], 1],
    [[0, 1, 3], 2],
  ])("missingPart() of %j is %j", (numbers, missing) => {
    expect(
      missingPart(
        partSet(
          COPY,
          numbers.map((number) => part(number)),
        ),
      ),
    ).toBe(missing);
  });

  test("asOne() adds up, takes the newest time, and has another version when a part has", () => {
    const one = asOne(partSet(COPY, [part(0, 5), part(1, 3)]));
    expect(one).toMatchObject({ key: COPY, bytes: 8, modifiedAt: new Date(5000) });
    expect(asOne(partSet(COPY, [part(1, 3), part(0, 5)])).version).toBe(one.version);
    expect(asOne(partSet(COPY, [part(0, 5), part(1, 3, "2")])).version).not.toBe(one.version);
    expect(asOne(partSet(COPY, [part(0, 5, "11"), part(1, 3, "1")])).version).not.toBe(
      asOne(partSet(COPY, [part(0, 5, "1"), part(1, 3, "11")])).version,
    );
  });

  test("piecesOf() covers every range of the whole, once and in order", () => {
    const sizes = [3, 0, 1, 4];
    const set = partSet(
      COPY,
      sizes.map((bytes, number) => part(number, bytes)),
    );
    const whole = sizes.flatMap((bytes, number) => Array.from({ length: bytes }, (_, at) => `${number}:${at}`));
    for (let offset = 0; offset < whole.length; offset++) {
      for (let bytes = 1; offset + bytes <= whole.length; bytes++) {
        const found = piecesOf(set, offset, bytes).flatMap((piece) =>
          Array.from({ length: piece.bytes }, (_, at) => `${Number(piece.object.key.slice(-16))}:${piece.offset + at}`),
        );
        expect(found).toEqual(whole.slice(offset, offset + bytes));
      }
    }
  });
});

describe("Joiner", () => {
  const shown = (seen: readonly Seen[]) =>
    seen.map((one) => (one.kind === "object" ? one.object.key : `${one.set.key} × ${one.set.parts.length}`));

  function join(...objects: readonly GcsObject[]): string[] {
    const joiner = new Joiner();
    return shown([...objects.flatMap((object) => joiner.add(object)), ...joiner.flush()]);
  }

  test("Joiner puts parts together, also the last ones", () => {
    expect(join(object("a"), part(0), part(1), object("z"))).toEqual(["a", `${COPY} × 2`, "z"]);
    expect(join(part(0), part(1), part(2))).toEqual([`${COPY} × 3`]);
    expect(join()).toEqual([]);
  });

  test("Joiner hides parts behind an object of the copy's name, with others in between", () => {
    const others = [object(`${COPY}-x`), object(`${COPY}.gpg`)];
    expect(join(object(COPY), ...others, part(0), part(1))).toEqual([COPY, `${COPY}-x`, `${COPY}.gpg`]);
  });

  test("Joiner tells sets of different copies apart", () => {
    const other = object(part(0).key.replace("_etc", "_var"));
    expect(join(part(0), part(1), other)).toEqual([`${COPY} × 2`, `${COPY.replace("_etc", "_var")} × 1`]);
  });
});

describe("names", () => {
  test.each([
    [`${COPY}/part-0000000000000012`, { key: COPY, number: 12 }],
    ["db7/binlog/mysql-bin.000001/part-0000000000000000", { key: "db7/binlog/mysql-bin.000001", number: 0 }],
    ["db7/status/part-0000000000000000", undefined],
    [`${COPY}/part-12`, undefined],
    [`${COPY}/part-0000000000000012/x`, undefined],
    [`../daily/files/x/part-0000000000000000`, undefined],
    [COPY, undefined],
  ])("parsePartName(%j) is %j", (name, expected) => {
    expect(parsePartName(name)).toEqual(expected);
  });

  test.each([
    [undefined, 0],
    ["bytes=0-262143", 262_144],
    ["bytes=0-0", 1],
    ["bytes=5-9", Number.NaN],
    ["0-9", Number.NaN],
  ])("storedBytes(%j) is %d", (header, bytes) => {
    expect(storedBytes(header)).toBe(bytes);
  });

  test.each([
    ["bytes 5-9/100", { offset: 5, bytes: 5 }],
    ["bytes 0-0/*", { offset: 0, bytes: 1 }],
    ["bytes */100", undefined],
    [undefined, undefined],
  ])("contentRange(%j) is %j", (header, range) => {
    expect(contentRange(header)).toEqual(range);
  });

  test("foldersOf() and behindFolder() go together", () => {
    expect(foldersOf("a/b/c")).toEqual(["a/", "a/b/"]);
    expect(foldersOf("a")).toEqual([]);
    expect("a/b/\u{10FFFF}" < behindFolder("a/b/")).toBe(true);
    expect(behindFolder("a/b/") > "a/b/zzz").toBe(true);
  });
});

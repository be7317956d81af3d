import * as fc from "fast-check";
import { expect, test } from "vitest";
import { INTERVALS } from "../../src/domain/interval.ts";
import { keyProblem } from "../../src/domain/key.ts";
import { manifestKey, parseManifestKey } from "../../src/domain/manifest.ts";
import {
  type CopyKey,
  copyKey,
  directoryCode,
  filesName,
  mysqlName,
  nameOf,
  parseCopyKey,
  parseFilesName,
  parseMysqlName,
  uniqueTimestamp,
} from "../../src/domain/names.ts";

const component = fc
  .string({ unit: fc.constantFrom(...Array.from("ab.-_%2F5 é:~binlogfilesmysql")), minLength: 1, maxLength: 40 })
  .filter((text) => keyProblem(text) === undefined);
const takenAt = fc
  .date({ min: new Date(2000, 0, 1), max: new Date(2099, 0, 1), noInvalidDate: true })
  .map((date) => new Date(Math.trunc(date.getTime() / 1000) * 1000));
const suffixes = fc
  .tuple(fc.constantFrom("", ".gz", ".bz", ".zst", ".xz", ".lz4"), fc.constantFrom("", ".gpg"))
  .map((parts) => parts.filter((part) => part !== ""));
const copyKeys: fc.Arbitrary<CopyKey> = fc.oneof(
  fc.record({
    media: fc.constantFrom("files" as const, "mysql" as const),
    host: component,
    interval: fc.constantFrom(...INTERVALS),
    name: component,
  }),
  fc.record({
    media: fc.constant("binlog" as const),
    host: component,
    incarnation: fc.option(component, { nil: undefined }),
    name: component,
  }),
);

test("parseFilesName() inverts filesName()", () => {
  fc.assert(
    fc.property(fc.array(component), takenAt, suffixes, (parts, date, added) => {
      const directory = `/${parts.join("/")}`;
      const parsed = parseFilesName(filesName(directory, date) + added.join(""));
      expect(parsed).toMatchObject({ code: directoryCode(directory), takenAt: date, suffixes: added });
    }),
  );
});

test("parseMysqlName() inverts mysqlName()", () => {
  fc.assert(
    fc.property(takenAt, suffixes, (date, added) => {
      expect(parseMysqlName(mysqlName(date) + added.join(""))).toMatchObject({ takenAt: date, suffixes: added });
    }),
  );
});

test("parseCopyKey() inverts copyKey()", () => {
  fc.assert(
    fc.property(copyKeys, (parts) => {
      expect(parseCopyKey(copyKey(parts))).toEqual(parts);
    }),
  );
});

test("parseManifestKey() inverts manifestKey(), so no two copies share a manifest", () => {
  fc.assert(
    fc.property(copyKeys, fc.constantFrom("complete" as const, "unfinished" as const), (parts, state) => {
      const key = copyKey(parts);
      expect(parseManifestKey(manifestKey(key, state))).toEqual({ key, state });
    }),
  );
});

test("uniqueTimestamp() gives names that sort after all existing ones, whatever the clock does", () => {
  fc.assert(
    fc.property(fc.array(takenAt, { minLength: 1, maxLength: 20 }), (clock) => {
      const names: string[] = [];
      for (const now of clock) names.push(filesName("/etc", uniqueTimestamp(now, names).takenAt));
      expect(names).toEqual([...new Set(names)].sort());
      expect(
        names.every((name) => nameOf(copyKey({ media: "files", host: "h", interval: "daily", name })) === name),
      ).toBe(true);
    }),
  );
});

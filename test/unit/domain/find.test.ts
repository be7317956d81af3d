import { expect, test } from "vitest";
import { findCopy } from "../../../src/domain/find.ts";
import { toKey } from "../../../src/domain/key.ts";

const NAME = "mysql-2026-11-21_02_36_45.xbstream.gz";
const daily = { key: toKey(`db7/daily/mysql/${NAME}`) };
const hourly = { key: toKey(`db7/hourly/mysql/${NAME}`) };
const files = { key: toKey("db7/daily/files/_two words-2026-11-21_02_36_45.tar.gz") };
const copies = [daily, hourly, files];

test.each([
  daily.key,
  `s3://bucket/${daily.key}`,
  `gs://bucket/${daily.key}`,
  `/var/backup/${daily.key}`,
  `//${daily.key}`,
  ` ${daily.key}\n`,
  `daily/mysql/${NAME}`,
])("findCopy() finds the copy by %j", (typed) => {
  expect(findCopy(typed, copies)).toBe(daily);
});

test("findCopy() finds a copy by its bare name", () => {
  expect(findCopy("_two words-2026-11-21_02_36_45.tar.gz", copies)).toBe(files);
});

test("findCopy() lists the candidates when a name is ambiguous", () => {
  expect(() => findCopy(NAME, copies)).toThrow(
    expect.objectContaining({
      code: "USAGE",
      message: `Cannot choose "${NAME}": 2 copies have it: ${daily.key}, ${hourly.key}`,
    }),
  );
});

test.each([
  "",
  " ",
  "/",
  "mysql",
  ".gz",
  "db8/daily/mysql/x",
  `x${NAME}`,
  `s3://bucket/x${daily.key}`,
  `${daily.key}/`,
])("findCopy() finds nothing by %j", (typed) => {
  expect(() => findCopy(typed, copies)).toThrow(expect.objectContaining({ code: "NOT_FOUND" }));
});

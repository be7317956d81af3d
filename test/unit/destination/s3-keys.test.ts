import { expect, test } from "vitest";
import { kindOfKey } from "../../../src/destination/s3-keys.ts";

test.for([
  ["h/daily/files/_etc-2026-11-21_02_36_45.tar.gz", "copy"],
  ["h/daily/files/status-2026-11-21_02_36_45.tar.gz", "copy"],
  ["h/binlog/mysql-bin.000001.gz", "copy"],
  ["h/manifest/daily.mysql.mysql-2026-11-21_02_36_45.xbstream.json", "manifest"],
  ["h/status", "record"],
  ["h/binlog-status", "record"],
  ["h/files-status", "record"],
  ["h/status.previous", "record"],
])("kindOfKey() takes %s for a %s", ([key = "", kind]) => {
  expect(kindOfKey(key)).toBe(kind);
});

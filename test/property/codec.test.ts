import * as fc from "fast-check";
import { expect, test } from "vitest";
import { type BinlogCopy, type FilesCopy, type MysqlCopy, VENDORS } from "../../src/domain/copy.ts";
import { INTERVALS } from "../../src/domain/interval.ts";
import { statusOf } from "../../src/domain/status.ts";
import { formatStatus, parseStatus } from "../../src/status/codec.ts";
import { formatManifest, parseManifest } from "../../src/status/manifest-codec.ts";
import { binlogCopy, filesCopy, fullCopy, increment } from "../support/copies.ts";

const instant = fc.integer({ min: 946684800, max: 4102444800 }).map((seconds) => new Date(seconds * 1000));
const interval = fc.constantFrom(...INTERVALS);
const text = fc.string({ unit: "binary", maxLength: 30 });
const maybeText = fc.option(text, { nil: undefined });
const maybeLsn = fc.option(fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }), { nil: undefined });
const maybeCount = fc.option(fc.maxSafeNat(), { nil: undefined });
const maybeInstant = fc.option(instant, { nil: undefined });
const hex = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString("hex"));
const verified = fc.option(fc.record({ at: instant, ok: fc.boolean(), level: text }), { nil: undefined });
const stored = fc.record({
  bytes: maybeCount,
  sha256: fc.option(hex, { nil: undefined }),
  rawBytes: maybeCount,
  tool: maybeText,
  toolVersion: maybeText,
  verified,
});

const files: fc.Arbitrary<FilesCopy> = fc
  .tuple(
    instant,
    stored,
    fc.record({
      interval,
      finishedAt: maybeInstant,
      warnings: fc.array(text),
      directory: fc.constantFrom("/etc", "/s p/é"),
    }),
  )
  .map(([takenAt, facts, more]) => ({ ...filesCopy(takenAt, more), ...facts }));

const mysql: fc.Arbitrary<MysqlCopy> = fc
  .tuple(
    instant,
    stored,
    fc.record({
      interval,
      finishedAt: maybeInstant,
      vendor: fc.constantFrom(...VENDORS),
      lsn: maybeLsn,
      fromLsn: maybeLsn,
      toLsn: maybeLsn,
      binlog: fc.option(fc.record({ file: text, offset: maybeCount }), { nil: undefined }),
      gtid: maybeText,
      galeraVersion: maybeText,
      serverVersion: maybeText,
      serverUuid: maybeText,
      datadirId: maybeText,
      checksums: fc.array(fc.tuple(text, text)).map((entries) => new Map(entries)),
      format: maybeText,
      config: fc.array(fc.tuple(text, fc.string({ unit: "binary" }))).map((entries) => new Map(entries)),
    }),
    fc.boolean(),
  )
  .map(([takenAt, facts, more, isFull]) =>
    isFull
      ? { ...fullCopy(takenAt, more), ...facts }
      : { ...increment(takenAt, fullCopy(takenAt).key, more), ...facts },
  );

const binlogs: fc.Arbitrary<BinlogCopy> = fc
  .tuple(
    fc.nat(999999),
    instant,
    stored,
    fc.record({ serverUuid: maybeText, serverVersion: maybeText, gtid: maybeText }),
  )
  .map(([number, createdAt, facts, more]) => ({ ...binlogCopy(number, createdAt, more), ...facts }));

test.each([
  ["files", files],
  ["mysql", mysql],
  ["binlog", binlogs],
] as const)(
  "parseStatus() inverts formatStatus() for %s",
  (media, copies: fc.Arbitrary<FilesCopy | MysqlCopy | BinlogCopy>) => {
    fc.assert(
      fc.property(fc.array(copies, { maxLength: 6 }), (some) => {
        const status = statusOf(some);
        const content = formatStatus(media, status as never);
        expect(parseStatus(media, content, "s")).toEqual(status);
        expect(content.every((byte) => byte >= 0x20 && byte < 0x7f)).toBe(true);
      }),
    );
  },
);

test("parseManifest() inverts formatManifest()", () => {
  fc.assert(
    fc.property(fc.oneof(files, mysql, binlogs), (copy) => {
      expect(parseManifest(formatManifest(copy), copy.key, "m")).toEqual(copy);
    }),
  );
});

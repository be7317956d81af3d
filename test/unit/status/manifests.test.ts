import { describe, expect, test } from "vitest";
import { toKey } from "../../../src/domain/key.ts";
import { manifestKey } from "../../../src/domain/manifest.ts";
import { formatManifest, parseManifest } from "../../../src/status/manifest-codec.ts";
import { Manifests } from "../../../src/status/manifests.ts";
import { at, binlogCopy, filesCopy, fullCopy, increment } from "../../support/copies.ts";
import { MemoryDestination } from "../../support/memory-destination.ts";

const { signal } = new AbortController();

const FULL = fullCopy(at(1), {
  bytes: 12345,
  sha256: "ab".repeat(32),
  rawBytes: 54321,
  tool: "mariadb-backup",
  toolVersion: "10.11.19",
  lsn: 9007199254740993n,
  toLsn: 9007199254740993n,
  fromLsn: 0n,
  gtid: "0-1-17",
  serverUuid: "u",
  serverVersion: "10.11.19-MariaDB",
  format: "xbstream",
  galeraVersion: "26.4",
  binlog: { file: "mysql-bin.000012", offset: 157 },
  config: new Map([["/etc/my.cnf", "[mysqld]\n# grün\n"]]),
  verified: { at: at(2), ok: true, level: "data" },
  preservedUntil: "forever",
  mark: { broken: false, at: at(2), by: "root@db7", reason: undefined },
});
const COPIES = [
  FULL,
  increment(at(1, 1), FULL.key),
  filesCopy(at(1), { warnings: ["file changed as we read it"], finishedAt: at(1, 1) }),
  binlogCopy(12, at(1), { incarnation: "i2", key: toKey("db7/binlog/i2/mysql-bin.000012.gz"), serverUuid: "u" }),
];

async function* bytes(text: string) {
  yield Buffer.from(text);
}

describe("parseManifest()", () => {
  test.each(COPIES)("parseManifest() reads what formatManifest() wrote of $key", (copy) => {
    expect(parseManifest(formatManifest(copy), copy.key, "m")).toEqual(copy);
  });

  test("parseManifest() refuses the manifest of another copy", () => {
    const other = fullCopy(at(3)).key;
    expect(() => parseManifest(formatManifest(FULL), other, "m")).toThrow(/another copy/);
  });

  test("parseManifest() refuses a newer schema by name", () => {
    const newer = Buffer.from(formatManifest(FULL).toString()).toString().replace('"schema": 1', '"schema": 2');
    expect(() => parseManifest(Buffer.from(newer), FULL.key, "m")).toThrow(
      expect.objectContaining({ name: "NewerFormatError" }),
    );
  });

  test("parseManifest() refuses every prefix and every flip of a byte, or reads the same", () => {
    const content = Buffer.from(formatManifest(COPIES[2]!));
    const { key } = COPIES[2]!;
    for (let index = 0; index < content.length - 1; index++) {
      expect(() => parseManifest(content.subarray(0, index), key, "m")).toThrow(
        expect.objectContaining({ code: "DATA_DAMAGED" }),
      );
      for (const mask of [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff]) {
        const flipped = Buffer.from(content);
        flipped[index]! ^= mask;
        let found: unknown;
        try {
          found = parseManifest(flipped, key, "m");
        } catch (error) {
          expect(error).toMatchObject({ code: "DATA_DAMAGED" });
          continue;
        }
        expect(found).toEqual(COPIES[2]);
      }
    }
  });
});

describe("Manifests", () => {
  test("all() lists the copies of a host and reports those that cannot be read", async () => {
    const destination = new MemoryDestination();
    const manifests = new Manifests(destination);
    for (const copy of COPIES) await manifests.write(copy, { signal });
    const stranger = {
      ...filesCopy(at(1)),
      host: "db70",
      key: toKey("db70/daily/files/_etc-2026-05-01_00_00_02.tar.gz"),
    };
    await manifests.write(stranger, { signal });
    const path = manifestKey(FULL.key);
    const before = await destination.readSmall(path, { signal });
    await destination.replaceSmall(path, Buffer.from("{"), { expected: before?.version, signal });

    const all = await manifests.all("db7", { signal });
    expect(new Set(all.copies)).toEqual(new Set(COPIES.slice(1)));
    expect(all.damaged.map(({ key }) => key)).toEqual([FULL.key]);
    expect((await manifests.all("db7", { media: "binlog", signal })).copies).toEqual([COPIES[3]]);
    await expect(manifests.read(FULL.key, { signal })).rejects.toMatchObject({ code: "DATA_DAMAGED" });
  });

  test("write() takes the mark of begin() away, remove() puts one in the manifest's place", async () => {
    const destination = new MemoryDestination();
    const manifests = new Manifests(destination);
    const keys = async () => (await Array.fromAsync(destination.list("", { signal }))).map(({ key }) => key);
    await manifests.begin(FULL.key, { signal });
    expect(await keys()).toEqual([manifestKey(FULL.key, "unfinished")]);
    await manifests.write(FULL, { signal });
    expect(await keys()).toEqual([manifestKey(FULL.key)]);
    await manifests.write(FULL, { signal });
    expect(await manifests.read(FULL.key, { signal })).toEqual(FULL);
    await manifests.remove(FULL.key, { signal });
    expect(await keys()).toEqual([manifestKey(FULL.key, "unfinished")]);
    await manifests.forget(FULL.key, { signal });
    expect(await keys()).toEqual([]);
    expect(await manifests.read(FULL.key, { signal })).toBeUndefined();
  });

  test("begin() never marks an object that is there already", async () => {
    const destination = new MemoryDestination();
    await destination.put(FULL.key, bytes("the predecessor's"), { signal });
    await expect(new Manifests(destination).begin(FULL.key, { signal })).rejects.toMatchObject({
      code: "ALREADY_EXISTS",
    });
    expect(await Array.fromAsync(destination.list("db7/manifest/", { signal }))).toEqual([]);
  });

  test("sweep() removes only what is marked, undescribed, unrecorded and from before", async () => {
    const destination = new MemoryDestination();
    const manifests = new Manifests(destination);
    const [left, described, recorded, foreign] = [1, 2, 3, 4].map((day) => filesCopy(at(day), { bytes: 1 }));
    for (const copy of [left!, described!, recorded!]) await manifests.begin(copy.key, { signal });
    for (const copy of [left!, described!, recorded!, foreign!])
      await destination.put(copy.key, bytes("x"), { signal });
    await manifests.write(described!, { signal });
    const options = { media: "files", status: { copies: [recorded!] }, signal } as const;

    expect(await manifests.sweep("db7", { ...options, before: new Date(0) })).toEqual([]);
    expect(await manifests.sweep("db7", { ...options, media: "mysql", before: new Date(Date.now() + 1000) })).toEqual(
      [],
    );
    expect(await manifests.sweep("db7", { ...options, before: new Date(Date.now() + 1000) })).toEqual([left!.key]);
    const rest = (await Array.fromAsync(destination.list("db7/daily/", { signal }))).map(({ key }) => key);
    expect(rest).toEqual([described!.key, recorded!.key, foreign!.key]);
    expect(await destination.readSmall(manifestKey(left!.key, "unfinished"), { signal })).toBeUndefined();
  });
});

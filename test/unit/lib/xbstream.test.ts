import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { BackupError } from "../../../src/domain/errors.ts";
import { inspectXbstream } from "../../../src/lib/xbstream.ts";
import { chunk, type Piece } from "../../support/xbstream.ts";

const INFO: readonly Piece[] = [
  { type: "P", path: "xtrabackup_info", at: 0, bytes: Buffer.from("uuid = 1\n") },
  { type: "E", path: "xtrabackup_info" },
];

function bytesOf(pieces: readonly Piece[]): Buffer {
  return Buffer.concat(pieces.map(chunk));
}

/** The bytes in chunks of at most `size`. */
async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

function inspect(bytes: Uint8Array, size = 4096) {
  return inspectXbstream(inChunks(bytes, size));
}

async function refusal(bytes: Uint8Array, size?: number): Promise<string> {
  const error = await inspect(bytes, size).then(
    () => undefined,
    (error: BackupError) => error,
  );
  expect(error?.code).toBe("DATA_DAMAGED");
  return error?.message ?? "";
}

/** The pieces of one file: contents in a few chunks, some with holes, and its end. */
function piecesOf(path: string, contents: readonly (readonly [Uint8Array, boolean])[]): Piece[] {
  let at = 0;
  const pieces = contents.map(([bytes, hasHole]): Piece => {
    const start = at;
    at += bytes.length + (hasHole ? 4096 : 0);
    if (!hasHole) return { type: "P", path, at: start, bytes };
    return { type: "S", path, at: start, bytes, map: [[4096, bytes.length]] };
  });
  return [...pieces, { type: "E", path }];
}

const contents = fc.array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 24 }), fc.boolean()), { maxLength: 3 });
const names = fc.uniqueArray(fc.stringMatching(/^(?:\.\/)?[a-z]{1,3}\/[a-z]{1,4}\.ibd$/), { maxLength: 3 });

/** Streams as several threads write them: chunks of different files take turns. */
const streams = fc
  .tuple(names, fc.array(contents, { minLength: 3, maxLength: 3 }), fc.array(fc.nat(2), { maxLength: 12 }))
  .map(([paths, all, turns]): readonly Piece[] => {
    const queues = paths.map((path, index) => piecesOf(path, all[index] ?? []));
    const mixed = turns.flatMap((turn) => queues[turn]?.shift() ?? []);
    return [...mixed, ...queues.flat(), ...INFO];
  });

describe("inspectXbstream()", () => {
  test("inspectXbstream() counts what an intact stream holds, however it arrives", async () => {
    await fc.assert(
      fc.asyncProperty(streams, fc.integer({ min: 1, max: 64 }), async (pieces, size) => {
        const payload = pieces.reduce((sum, piece) => sum + (piece.type === "E" ? 0 : piece.bytes.length), 0);
        expect(await inspect(bytesOf(pieces), size)).toEqual({
          files: pieces.filter(({ type }) => type === "E").length,
          payloadBytes: payload,
          lastFile: "xtrabackup_info",
        });
      }),
    );
  });

  test("inspectXbstream() refuses every prefix of a stream", async () => {
    await fc.assert(
      fc.asyncProperty(streams, async (pieces) => {
        const bytes = bytesOf(pieces);
        for (let length = 0; length < bytes.length; length++) await refusal(bytes.subarray(0, length));
      }),
      { numRuns: 30 },
    );
  });

  test("inspectXbstream() refuses every flipped byte but in the name of an empty file", async () => {
    await fc.assert(
      fc.asyncProperty(streams, fc.integer({ min: 1, max: 255 }), async (pieces, mask) => {
        const bytes = bytesOf(pieces);
        const unprotected = namesOfEmptyFiles(pieces);
        for (let at = 0; at < bytes.length; at++) {
          if (unprotected.has(at)) continue;
          const flipped = Buffer.from(bytes);
          flipped.writeUInt8(bytes.readUInt8(at) ^ mask, at);
          await refusal(flipped);
        }
      }),
      { numRuns: 30 },
    );
  });

  test("inspectXbstream() accepts what XtraBackup writes behind its summary", async () => {
    const pieces = [...INFO, ...piecesOf("xtrabackup_tablespaces", [[Buffer.from("{}"), false]])];
    expect(await inspect(bytesOf(pieces))).toEqual({ files: 2, payloadBytes: 11, lastFile: "xtrabackup_tablespaces" });
  });

  test.each(["mariadb_backup_info", "./xtrabackup_info", "xtrabackup_info.zst"])(
    "inspectXbstream() knows the summary by the name %s",
    async (path) => {
      expect((await inspect(bytesOf(piecesOf(path, [[Buffer.from("a"), false]])))).files).toBe(1);
    },
  );

  test.each(["/etc/passwd", "../up", "d/../../up", "a\0b", "", ".."])(
    "inspectXbstream() refuses the path %j",
    async (path) => {
      const bytes = bytesOf([...piecesOf(path, [[Buffer.from("a"), false]]), ...INFO]);
      expect(await refusal(bytes)).toMatch(
        /^Cannot read .* at byte 0 of the stream: this path leads out of the directory$/,
      );
    },
  );

  test("inspectXbstream() names the file and the place", async () => {
    const [first, ...rest] = piecesOf("d/t.ibd", [
      [Buffer.from("abc"), false],
      [Buffer.from("def"), false],
    ]);
    const bytes = bytesOf([...(first === undefined ? [] : [first]), ...rest, ...INFO]);
    bytes.writeUInt8(0, bytes.indexOf("def"));
    expect(await refusal(bytes)).toBe('Cannot read "d/t.ibd" at byte 44 of the stream: its checksum does not match');
  });

  test("inspectXbstream() refuses a file that is there twice, and one whose middle is missing", async () => {
    const file = piecesOf("d/t.ibd", [
      [Buffer.from("abc"), false],
      [Buffer.from("def"), false],
    ]);
    expect(await refusal(bytesOf([...file, ...file, ...INFO]))).toContain("this file had ended before");
    expect(await refusal(bytesOf([...file.slice(1), ...INFO]))).toContain("it continues at 3, 0 bytes came before");
  });

  test("inspectXbstream() refuses an absurd length without asking for the memory", async () => {
    const bytes = bytesOf(INFO);
    bytes.writeUInt32LE(0xff_ff_ff, 14 + "xtrabackup_info".length + 3);
    expect(await refusal(bytes)).toMatch(/it is cut, \d+ bytes are missing/);
    bytes.writeBigUInt64LE(2n ** 63n, 14 + "xtrabackup_info".length);
    expect(await refusal(bytes)).toContain("its length is impossible");
  });

  test("inspectXbstream() ends what it reads from when it refuses it, and passes on its failure", async () => {
    let isEnded = false;
    async function* garbage(): AsyncGenerator<Uint8Array, void> {
      try {
        for (;;) yield Buffer.alloc(64);
      } finally {
        isEnded = true;
      }
    }
    await expect(inspectXbstream(garbage())).rejects.toThrow("no chunk begins here");
    expect(isEnded).toBe(true);
    async function* failing(): AsyncGenerator<Uint8Array, void> {
      yield bytesOf(INFO).subarray(0, 20);
      throw new Error("the disk is gone");
    }
    await expect(inspectXbstream(failing())).rejects.toThrow("the disk is gone");
  });
});

/**
 * Where nothing can tell: an empty file is only its end, so its name is stored once and no checksum covers it. Its data, and every
 * name of a file with data, are protected.
 */
function namesOfEmptyFiles(pieces: readonly Piece[]): Set<number> {
  const places = new Set<number>();
  let start = 0;
  for (const piece of pieces) {
    const isEmpty = pieces.filter(({ path }) => path === piece.path).length === 1;
    if (isEmpty) for (let at = 0; at < piece.path.length; at++) places.add(start + 14 + at);
    start += chunk(piece).length;
  }
  return places;
}

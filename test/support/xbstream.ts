import { crc32 } from "node:zlib";

/** A piece of a stream as XtraBackup writes it: contents, contents with holes, or the end of a file. */
export type Piece =
  | { readonly type: "P"; readonly path: string; readonly at: number; readonly bytes: Uint8Array }
  | {
      readonly type: "S";
      readonly path: string;
      readonly at: number;
      readonly bytes: Uint8Array;
      /** Pairs of how much to leave out and how much to write. */
      readonly map: readonly (readonly [number, number])[];
    }
  | { readonly type: "E"; readonly path: string };

function number(value: number, width: 4 | 8): Buffer {
  const bytes = Buffer.alloc(width);
  if (width === 4) bytes.writeUInt32LE(value);
  else bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

/** One chunk of a stream. */
export function chunk(piece: Piece): Buffer {
  const path = Buffer.from(piece.path);
  const head = Buffer.concat([Buffer.from(`XBSTCK01\0${piece.type}`), number(path.length, 4), path]);
  if (piece.type === "E") return head;
  const map = piece.type === "S" ? piece.map.flat().map((each) => number(each, 4)) : [];
  const mapped = piece.type === "S" ? [number(piece.map.length, 4)] : [];
  const sum = crc32(piece.bytes, crc32(Buffer.concat(map)));
  return Buffer.concat([
    head,
    ...mapped,
    number(piece.bytes.length, 8),
    number(piece.at, 8),
    number(sum, 4),
    ...map,
    piece.bytes,
  ]);
}

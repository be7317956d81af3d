import { SMALL_LIMIT_BYTES } from "../destination/destination.ts";
import { damaged } from "./damage.ts";

/**
 * Decode base64 that may be broken over lines, and nothing else: alphabet, padding and unused bits must be as an encoder writes them.
 * @throws {BackupError} DATA_DAMAGED otherwise.
 */
export function decodeBase64(text: string, where: string): Uint8Array {
  const joined = text.replaceAll(/\s+/g, "");
  const bytes = Buffer.from(joined, "base64");
  if (bytes.toString("base64") !== joined) throw damaged(where, "its base64 is broken");
  return bytes;
}

/** Encode text as base64 of its UTF-8. */
export function encodeBase64(text: string): string {
  return Buffer.from(text, "utf8").toString("base64");
}

/** Decode UTF-8 strictly. @throws {BackupError} DATA_DAMAGED when it is none, or more than any object of ours holds. */
export function decodeUtf8(bytes: Uint8Array, where: string): string {
  if (bytes.length > SMALL_LIMIT_BYTES) throw damaged(where, `it is larger than ${SMALL_LIMIT_BYTES} bytes`);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw damaged(where, "it is no UTF-8", error);
  }
}

/** Decode a text that people wrote: UTF-8, or else Latin-1, which always reads. */
export function decodeText(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes);
  const text = buffer.toString("utf8");
  return Buffer.from(text, "utf8").equals(buffer) ? text : buffer.toString("latin1");
}

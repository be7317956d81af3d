import { createHash } from "node:crypto";
import type { Copy, CopyOf, Media } from "../domain/copy.ts";
import type { Key } from "../domain/key.ts";
import { MANIFEST_SCHEMA } from "../domain/manifest.ts";
import { parseCopyKey } from "../domain/names.ts";
import { damaged, NewerFormatError } from "./damage.ts";
import type { RecordCodec } from "./facts.ts";
import { Fields } from "./fields.ts";
import { asObject, formatJson, type JsonObject, jsonObject, parseJson } from "./json.ts";
import { RECORDS } from "./records.ts";
import { decodeUtf8 } from "./text.ts";

/** Largest manifest that is read; the config files of a server are in it. */
const LIMIT_BYTES = 16 * 1024 * 1024;

function writeRecord<M extends Media>(media: M, copy: CopyOf<M>): JsonObject {
  const codec: RecordCodec<CopyOf<M>> = RECORDS[media];
  return codec.write(copy);
}

function seal(body: JsonObject): string {
  return createHash("sha256").update(formatJson(body)).digest("hex");
}

/** Write the manifest of a copy: its record as the status has it, with its key, under a SHA-256 of the whole. */
export function formatManifest(copy: Copy): Uint8Array {
  const body = jsonObject({
    schema: MANIFEST_SCHEMA,
    key: copy.key,
    media: copy.media,
    record: writeRecord(copy.media, copy),
  });
  return Buffer.from(`${formatJson(new Map([...body, ["sha256", seal(body)]]))}\n`, "utf8");
}

function openManifest(content: Uint8Array, where: string): JsonObject {
  if (content.length > LIMIT_BYTES) throw damaged(where, `it is larger than ${LIMIT_BYTES} bytes`);
  const manifest = asObject(parseJson(decodeUtf8(content, where), where), where);
  const schema = manifest.get("schema");
  if (typeof schema !== "number" || !Number.isSafeInteger(schema) || schema < 1) {
    throw damaged(where, "it has no schema version");
  }
  if (schema > MANIFEST_SCHEMA) throw new NewerFormatError(where, schema, MANIFEST_SCHEMA);
  const body = new Map([...manifest].filter(([name]) => name !== "sha256"));
  if (manifest.get("sha256") !== seal(body)) throw damaged(where, "its checksum does not match its content");
  return body;
}

/**
 * Read the manifest of the copy under `key`. `where` names it in errors.
 * @throws {NewerFormatError} when a newer version of this program wrote it.
 * @throws {BackupError} DATA_DAMAGED when it is not what was written, or is the manifest of another copy.
 */
export function parseManifest(content: Uint8Array, key: Key, where: string): Copy {
  const body = openManifest(content, where);
  if (body.get("key") !== key) throw damaged(where, `it describes another copy than "${key}"`);
  const parts = parseCopyKey(key);
  if (parts === undefined || body.get("media") !== parts.media)
    throw damaged(where, "its media is not that of its key");
  const interval = parts.media === "binlog" ? undefined : parts.interval;
  const copy = RECORDS[parts.media].read({ key, interval }, new Fields(asObject(body.get("record"), where), where));
  if (copy.key !== key) throw damaged(where, "its suffixes are not those of its key");
  return copy;
}

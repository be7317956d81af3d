import { createHash } from "node:crypto";
import type { Copy, CopyOf, Media } from "../domain/copy.ts";
import { INTERVALS, type Interval, isInterval } from "../domain/interval.ts";
import { asKey, type Key, keyProblem } from "../domain/key.ts";
import { type Status, statusOf } from "../domain/status.ts";
import { damaged, NewerFormatError } from "./damage.ts";
import type { RecordCodec } from "./facts.ts";
import { Fields } from "./fields.ts";
import { asObject, formatJson, type Json, type JsonObject, jsonObject, parseJson } from "./json.ts";
import { RECORDS } from "./records.ts";
import { decodeBase64, decodeUtf8, encodeBase64 } from "./text.ts";

/** The version of the envelope that we and the predecessor write. */
const VERSION = 1;

function md5(text: string): string {
  return createHash("md5").update(text, "utf8").digest("hex");
}

/** Open the envelope `{"md5", "status", "version"}`. The checksum is over the base64 text. */
function openEnvelope(text: string, where: string): string {
  const envelope = asObject(parseJson(text, where), where);
  const [status, version] = [envelope.get("status"), envelope.get("version")];
  if (typeof version !== "number" || !Number.isSafeInteger(version) || version < 1) {
    throw damaged(where, "it has no format version");
  }
  if (version > VERSION) throw new NewerFormatError(where, version, VERSION);
  if (typeof status !== "string") throw damaged(where, "it holds no status");
  if (envelope.get("md5") !== md5(status)) throw damaged(where, "its checksum does not match its content");
  return status;
}

/** The JSON inside: of a versioned file, or of one that is nothing but base64, as the predecessor wrote MySQL's until 2018. */
function openText(media: Media, text: string, where: string): string {
  if (text.trim() === "") throw damaged(where, "it is empty");
  const isVersioned = text.trimStart().startsWith("{");
  if (!isVersioned && media !== "mysql") throw damaged(where, "it is no JSON");
  return decodeUtf8(decodeBase64(isVersioned ? openEnvelope(text, where) : text, where), where);
}

type Source = { readonly where: string; readonly interval: Interval | undefined };

function readRecords<C extends Copy>(codec: RecordCodec<C>, records: JsonObject, source: Source): C[] {
  const { where, interval } = source;
  return [...records].map(([text, record]) => {
    const key = asKey(text);
    if (key === undefined) throw damaged(where, `a key in it cannot be: ${keyProblem(text)}`);
    const place = `${where}: ${text}`;
    return codec.read({ key, interval }, new Fields(asObject(record, place), place));
  });
}

function readFolders<C extends Copy>(codec: RecordCodec<C>, folders: JsonObject, where: string): C[] {
  for (const name of folders.keys()) if (!isInterval(name)) throw damaged(where, "it has a run type that nobody knows");
  return INTERVALS.flatMap((interval) =>
    readRecords(codec, asObject(folders.get(interval), where), { where, interval }),
  );
}

/**
 * Read the status of one media in any form that was ever written. `where` names the file in errors.
 * @throws {NewerFormatError} when a newer version of this program wrote it.
 * @throws {BackupError} DATA_DAMAGED when it is anything but a complete status. A versioned one is proven by its checksum;
 * an unversioned one has none, so that a changed letter inside a name or number cannot be seen.
 */
export function parseStatus<M extends Media>(media: M, content: Uint8Array, where: string): Status<CopyOf<M>> {
  const codec: RecordCodec<CopyOf<M>> = RECORDS[media];
  const inner = asObject(parseJson(openText(media, decodeUtf8(content, where), where), where), where);
  const copies =
    media === "binlog" ? readRecords(codec, inner, { where, interval: undefined }) : readFolders(codec, inner, where);
  const status = statusOf(copies);
  if (status.copies.length !== copies.length) throw damaged(where, "it lists a copy twice");
  return status;
}

/** Whether the content of a status is of the kind without version and checksum. */
export function isUnversioned(content: Uint8Array): boolean {
  return !Buffer.from(content).toString("latin1").trimStart().startsWith("{");
}

function collect<C extends Copy>(codec: RecordCodec<C>, copies: readonly C[]): JsonObject {
  const records = new Map<Key, Json>();
  for (const copy of copies) {
    const key = codec.recordKey(copy);
    if (records.has(key)) throw damaged(copy.key, "another object is recorded under the same name");
    records.set(key, codec.write(copy));
  }
  return records;
}

/** The JSON inside a status file, on one line, as the predecessor prints and stores it. */
export function formatRecords<M extends Media>(media: M, status: Status<CopyOf<M>>): string {
  const codec: RecordCodec<CopyOf<M>> = RECORDS[media];
  const { copies } = statusOf<CopyOf<M>>(status.copies);
  if (media === "binlog") return formatJson(collect(codec, copies));
  const folders = INTERVALS.map((interval): [string, Json] => [
    interval,
    collect(
      codec,
      copies.filter((copy: Copy) => copy.media !== "binlog" && copy.interval === interval),
    ),
  ]);
  return formatJson(new Map(folders));
}

/** Write a status as the predecessor reads it: version 1, sorted keys, no newline at the end. */
export function formatStatus<M extends Media>(media: M, status: Status<CopyOf<M>>): Uint8Array {
  const text = encodeBase64(formatRecords(media, status));
  return Buffer.from(formatJson(jsonObject({ md5: md5(text), status: text, version: VERSION })), "utf8");
}

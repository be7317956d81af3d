import { type BinlogPosition, type MysqlCopy, VENDORS, type Vendor } from "../domain/copy.ts";
import type { Key } from "../domain/key.ts";
import { nameOf, stampOf } from "../domain/names.ts";
import { parseStamp } from "../domain/timestamp.ts";
import { joinRecord, type RecordCodec, readFacts, seconds, withRest, writeFacts } from "./facts.ts";
import type { Fields } from "./fields.ts";
import { type JsonObject, jsonObject } from "./json.ts";
import { decodeBase64, decodeText, encodeBase64 } from "./text.ts";

/** For a copy that tells its age nowhere. Not 0: to the predecessor that is no time, and it loses a status that mixes both. */
const UNKNOWN_TIME = new Date(1000);

/** Holds a vendor that the predecessor does not know; it would refuse the whole status, so it reads `oracle` instead. */
const ORIGINAL_VENDOR = "server_vendor_original";

function isVendor(text: string): text is Vendor {
  return (VENDORS as readonly string[]).includes(text);
}

function readConfig(key: Key, fields: Fields): Map<string, string> {
  const config = new Map<string, string>();
  for (const element of fields.list("config") ?? []) {
    if (!(element instanceof Map)) throw fields.problem("config", "a list of objects");
    for (const [path, content] of element as JsonObject) {
      if (typeof content !== "string") throw fields.problem("config", "a list of base64 texts");
      config.set(path, decodeText(decodeBase64(content, key)));
    }
  }
  return config;
}

function readChecksums(fields: Fields): { checksums?: ReadonlyMap<string, string> } {
  const checksums = fields.textMap("checksums");
  return checksums === undefined ? {} : { checksums };
}

function readBinlog(fields: Fields): BinlogPosition | undefined {
  const file = fields.text("binlog");
  const offset = fields.count("position");
  return file === undefined ? undefined : { file, offset };
}

/** Early records wrote 0 for an unknown LSN. */
function readLsn(fields: Fields, name: string): bigint | undefined {
  const lsn = fields.big(name);
  if (lsn !== undefined && lsn < 0n) throw fields.problem(name, "an LSN");
  return lsn === 0n && name === "lsn" ? undefined : lsn;
}

function readServer(key: Key, fields: Fields) {
  const vendor = fields.text("server_vendor") ?? "oracle";
  return {
    ...readFacts(key, fields),
    media: "mysql",
    vendor: isVendor(vendor) ? vendor : "oracle",
    startedAt: fields.time("backup_started") ?? parseStamp(stampOf(key) ?? "") ?? UNKNOWN_TIME,
    finishedAt: fields.time("backup_finished"),
    lsn: readLsn(fields, "lsn"),
    fromLsn: readLsn(fields, "from_lsn"),
    toLsn: readLsn(fields, "to_lsn"),
    binlog: readBinlog(fields),
    gtid: fields.text("gtid"),
    galeraVersion: fields.text("wsrep_provider_version"),
    serverVersion: fields.text("server_version"),
    serverUuid: fields.text("server_uuid"),
    datadirId: fields.text("datadir_id"),
    format: fields.text("format"),
    config: readConfig(key, fields),
    ...readChecksums(fields),
  } as const;
}

function withOriginalVendor(copy: MysqlCopy, vendor: string | undefined): MysqlCopy {
  if (vendor === undefined || isVendor(vendor)) return copy;
  return { ...copy, extra: new Map([...(copy.extra ?? []), [ORIGINAL_VENDOR, vendor]]) };
}

function writeServer(copy: MysqlCopy): JsonObject {
  return jsonObject({
    host: copy.host,
    run_type: copy.interval,
    name: nameOf(copy.key),
    binlog: copy.binlog?.file ?? null,
    position: copy.binlog?.offset ?? null,
    lsn: copy.lsn ?? null,
    parent: copy.kind === "incremental" ? copy.parent : null,
    galera: copy.galeraVersion !== undefined,
    wsrep_provider_version: copy.galeraVersion ?? null,
    config: [...copy.config].map(([path, text]) => jsonObject({ [path]: encodeBase64(text) })),
    backup_started: seconds(copy.startedAt),
    backup_finished: copy.finishedAt ? seconds(copy.finishedAt) : null,
    type: copy.kind,
    server_vendor: copy.vendor,
  });
}

/** Records of `status`, in the form the predecessor writes; what it does not know follows after. */
export const MYSQL_RECORD: RecordCodec<MysqlCopy> = {
  recordKey: (copy) => copy.key,

  read({ key, interval }, fields) {
    if (interval === undefined || key.split("/").length < 4) throw fields.problem("name", "that of a MySQL copy");
    const server = { ...readServer(key, fields), interval };
    const kind = fields.text("type");
    const parent = fields.key("parent");
    fields.ignore("galera");
    if (kind !== "full" && kind !== "incremental") throw fields.problem("type", '"full" or "incremental"');
    const copy: MysqlCopy =
      kind === "full" ? { ...server, kind } : { ...server, kind, parent: fields.required("parent", parent) };
    return withOriginalVendor(withRest(copy, fields), fields.text("server_vendor"));
  },

  write: (copy) =>
    joinRecord(
      copy,
      writeServer(copy),
      writeFacts(copy, copy.key),
      jsonObject({
        from_lsn: copy.fromLsn,
        to_lsn: copy.toLsn,
        gtid: copy.gtid,
        server_version: copy.serverVersion,
        server_uuid: copy.serverUuid,
        datadir_id: copy.datadirId,
        format: copy.format,
        checksums: copy.checksums,
      }),
    ),
};

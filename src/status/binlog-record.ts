import type { BinlogCopy } from "../domain/copy.ts";
import { toKey } from "../domain/key.ts";
import { parseBinlogName, parseCopyKey, withoutSuffixes } from "../domain/names.ts";
import { joinRecord, type RecordCodec, readFacts, seconds, withRest, writeFacts } from "./facts.ts";
import { jsonObject } from "./json.ts";

/**
 * Records of `binlog-status`. There a binlog is called without the suffixes of its object; ours name them beside it, the
 * predecessor's do not (see `locateBinlogs()`).
 */
export const BINLOG_RECORD: RecordCodec<BinlogCopy> = {
  recordKey: (copy) => toKey(copy.key.slice(0, copy.key.length - copy.suffixes.join("").length)),

  read({ key }, fields) {
    const bare = withoutSuffixes(key);
    const parts = parseCopyKey(bare);
    const name = parts && parseBinlogName(parts.name);
    if (parts?.media !== "binlog" || name === undefined) throw fields.problem("name", "that of a binlog");
    const createdAt = fields.instant("time_created") ?? fields.instant("created_at");
    const facts = readFacts(key, fields);
    const copy: BinlogCopy = {
      ...facts,
      key: toKey(bare + facts.suffixes.join("")),
      media: "binlog",
      name: name.name,
      incarnation: parts.incarnation,
      createdAt: fields.required("time_created", createdAt),
      serverUuid: fields.text("server_uuid"),
      serverVersion: fields.text("server_version"),
      gtid: fields.text("gtid"),
    };
    return withRest(copy, fields);
  },

  write: (copy) =>
    joinRecord(
      copy,
      jsonObject({ time_created: seconds(copy.createdAt) }),
      writeFacts(copy, withoutSuffixes(copy.key)),
      jsonObject({ server_uuid: copy.serverUuid, server_version: copy.serverVersion, gtid: copy.gtid }),
    ),
};

import { BINLOG_ENDS, type BinlogFacts } from "../domain/binlog.ts";
import type { BinlogCopy, TimelineEnd } from "../domain/copy.ts";
import { toKey } from "../domain/key.ts";
import { parseBinlogName, parseCopyKey, withoutSuffixes } from "../domain/names.ts";
import { joinRecord, type RecordCodec, readFacts, seconds, withRest, writeFacts } from "./facts.ts";
import type { Fields } from "./fields.ts";
import { type JsonObject, jsonObject } from "./json.ts";

function readLog(fields: Fields | undefined): BinlogFacts | undefined {
  if (fields === undefined) return undefined;
  const flavour = fields.text("flavour");
  if (flavour !== "mysql" && flavour !== "mariadb") throw fields.problem("flavour", '"mysql" or "mariadb"');
  const end = BINLOG_ENDS.find((each) => each === fields.text("end"));
  return {
    flavour,
    serverId: fields.required("server_id", fields.count("server_id")),
    head: fields.required("head", fields.text("head")),
    checksums: fields.flag("checksums") ?? false,
    firstOffset: fields.required("first_offset", fields.count("first_offset")),
    endOffset: fields.required("end_offset", fields.count("end_offset")),
    end: fields.required("end", end),
    inUse: fields.flag("in_use") ?? false,
    transactions: fields.required("transactions", fields.count("transactions")),
    lastAt: fields.required("last_at", fields.instant("last_at")),
    firstCommitAt: readMilliseconds(fields, "first_commit_ms"),
    lastCommitAt: readMilliseconds(fields, "last_commit_ms"),
    previousGtid: fields.text("previous_gtid"),
    ...readLogged(fields),
    ...readLoads(fields),
  };
}

function readLogged(fields: Fields): Pick<BinlogFacts, "logged" | "previousLogged"> {
  const [logged, previousLogged] = [fields.text("logged"), fields.text("previous_logged")];
  return { ...(logged !== undefined && { logged }), ...(previousLogged !== undefined && { previousLogged }) };
}

function readLoads(fields: Fields): Pick<BinlogFacts, "loadsFiles"> {
  const loadsFiles = fields.flag("loads_files");
  return loadsFiles === undefined ? {} : { loadsFiles };
}

function readMilliseconds(fields: Fields, name: string): Date | undefined {
  const milliseconds = fields.count(name);
  return milliseconds === undefined ? undefined : new Date(milliseconds);
}

function writeLog(log: BinlogFacts): JsonObject {
  return jsonObject({
    flavour: log.flavour,
    server_id: log.serverId,
    head: log.head,
    checksums: log.checksums,
    first_offset: log.firstOffset,
    end_offset: log.endOffset,
    end: log.end,
    in_use: log.inUse,
    transactions: log.transactions,
    last_at: seconds(log.lastAt),
    first_commit_ms: log.firstCommitAt?.getTime(),
    last_commit_ms: log.lastCommitAt?.getTime(),
    previous_gtid: log.previousGtid,
    logged: log.logged,
    previous_logged: log.previousLogged,
    loads_files: log.loadsFiles,
  });
}

function readEnd(fields: Fields | undefined): { ended?: TimelineEnd } {
  if (fields === undefined) return {};
  const ended = {
    epoch: fields.required("epoch", fields.count("epoch")),
    gtid: fields.required("gtid", fields.text("gtid")),
    at: fields.required("at", fields.instant("at")),
    by: fields.text("by") ?? "",
    to: {
      host: fields.required("to_host", fields.text("to_host")),
      uuid: fields.text("to_uuid"),
      serverId: fields.required("to_server_id", fields.count("to_server_id")),
    },
  };
  return { ended };
}

function writeEnd({ epoch, gtid, at, by, to }: TimelineEnd): JsonObject {
  const { host, uuid, serverId } = to;
  return jsonObject({ epoch, gtid, at: seconds(at), by, to_host: host, to_uuid: uuid, to_server_id: serverId });
}

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
      log: readLog(fields.fields("log")),
      ...readEnd(fields.fields("ended")),
    };
    return withRest(copy, fields);
  },

  write: (copy) =>
    joinRecord(
      copy,
      jsonObject({ time_created: seconds(copy.createdAt) }),
      writeFacts(copy, withoutSuffixes(copy.key)),
      jsonObject({
        server_uuid: copy.serverUuid,
        server_version: copy.serverVersion,
        gtid: copy.gtid,
        log: copy.log && writeLog(copy.log),
        ended: copy.ended && writeEnd(copy.ended),
      }),
    ),
};

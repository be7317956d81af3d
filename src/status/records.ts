import type { CopyOf, Media } from "../domain/copy.ts";
import { BINLOG_RECORD } from "./binlog-record.ts";
import type { RecordCodec } from "./facts.ts";
import { FILES_RECORD } from "./files-record.ts";
import { MYSQL_RECORD } from "./mysql-record.ts";

/** How the records of each media are read and written. */
export const RECORDS: { readonly [M in Media]: RecordCodec<CopyOf<M>> } = {
  files: FILES_RECORD,
  mysql: MYSQL_RECORD,
  binlog: BINLOG_RECORD,
};

import type { FilesCopy } from "../domain/copy.ts";
import { nameOf, parseCopyKey, splitFilesName } from "../domain/names.ts";
import { parseStamp } from "../domain/timestamp.ts";
import { joinRecord, type RecordCodec, readFacts, seconds, withRest, writeFacts } from "./facts.ts";
import { jsonObject } from "./json.ts";

/** Records of `files-status`, which the predecessor does not have. */
export const FILES_RECORD: RecordCodec<FilesCopy> = {
  recordKey: (copy) => copy.key,

  read({ key, interval }, fields) {
    const parts = parseCopyKey(key);
    const name = parts && splitFilesName(parts.name);
    if (parts?.media !== "files" || name === undefined) throw fields.problem("name", "that of a files copy");
    if (parts.interval !== interval) throw fields.problem("run_type", "that of its key");
    fields.ignore("type");
    const copy: FilesCopy = {
      ...readFacts(key, fields),
      media: "files",
      interval: parts.interval,
      directory: fields.text("directory"),
      startedAt: fields.time("backup_started") ?? fields.required("name", parseStamp(name.stamp)),
      finishedAt: fields.time("backup_finished"),
      warnings: fields.texts("warnings") ?? [],
    };
    return withRest(copy, fields);
  },

  write: (copy) =>
    joinRecord(
      copy,
      jsonObject({
        type: "files",
        host: copy.host,
        run_type: copy.interval,
        name: nameOf(copy.key),
        directory: copy.directory,
        backup_started: seconds(copy.startedAt),
        backup_finished: copy.finishedAt && seconds(copy.finishedAt),
      }),
      writeFacts(copy, copy.key),
      jsonObject({ warnings: copy.warnings.length === 0 ? undefined : copy.warnings }),
    ),
};

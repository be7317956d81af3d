/** What is stored under a key: a copy, what remembers one, or a record that is replaced again and again. */
export type S3Kind = "copy" | "manifest" | "record";

const RECORDS = new Set(["status", "binlog-status", "files-status"]);

/** Tell from its key what an object is: `HOST/status`, `HOST/manifest/….json`, `HOST/daily/…`. */
export function kindOfKey(key: string): S3Kind {
  const names = key.split("/");
  const last = names.at(-1) ?? "";
  if (RECORDS.has(last) || last.endsWith(".previous")) return "record";
  return names[1] === "manifest" ? "manifest" : "copy";
}

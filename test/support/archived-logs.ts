import { createReadStream, readFileSync, statSync } from "node:fs";
import { basename } from "node:path";
import { zstdCompressSync } from "node:zlib";
import type { BinlogCopy } from "../../src/domain/copy.ts";
import { copyKey } from "../../src/domain/names.ts";
import { type Shelf, storeCopy } from "../../src/job/shelf.ts";
import { scanBinlog } from "../../src/mysql/binlog-events.ts";
import { binlogCopy } from "./copies.ts";
import { chunks } from "./streams.ts";

/** Store and record a closed binary log, as an archive of logs does. */
export async function archiveLog(shelf: Shelf<"binlog">, path: string): Promise<BinlogCopy> {
  const name = basename(path);
  const { log, gtid, createdAt, serverVersion } = await scanBinlog(createReadStream(path), path);
  const key = copyKey({ media: "binlog", host: shelf.host, incarnation: undefined, name: `${name}.zst` });
  const facts = {
    host: shelf.host,
    key,
    name,
    suffixes: [".zst"],
    log,
    gtid,
    serverVersion,
    rawBytes: statSync(path).size,
  };
  const describe = (digest: { readonly bytes: number; readonly sha256: string }): BinlogCopy => ({
    ...binlogCopy(1, createdAt, facts),
    ...digest,
  });
  const content = chunks(zstdCompressSync(readFileSync(path)));
  const { status } = await storeCopy(shelf, { key, content, describe }, { signal: new AbortController().signal });
  const copy = status.copies.find((each) => each.key === key);
  if (copy === undefined) throw new Error(`"${key}" was not recorded`);
  return copy;
}

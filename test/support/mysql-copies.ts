import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MysqlCopy } from "../../src/domain/copy.ts";
import type { Key } from "../../src/domain/key.ts";
import { copyKey, mysqlName } from "../../src/domain/names.ts";
import type { Shelf } from "../../src/job/shelf.ts";
import { storeCopy } from "../../src/job/shelf.ts";
import { fullCopy } from "./copies.ts";
import type { Mariadb } from "./servers/mariadb.ts";
import { chunks } from "./streams.ts";

/** A copy as the tool streams it, and what it wrote down. */
export type Streamed = { readonly raw: Buffer; readonly fromLsn: bigint; readonly toLsn: bigint };

type Streaming = {
  /** Only what changed since then. */
  readonly fromLsn?: bigint | undefined;
  readonly options?: readonly string[];
  readonly tool?: string;
};

/** Take a copy of a running server by hand. */
export function streamCopy(server: Mariadb, streaming: Streaming = {}): Streamed {
  const { fromLsn, options = [], tool = "mariadb-backup" } = streaming;
  const scratch = mkdtempSync(join(tmpdir(), "stream-copy-"));
  try {
    const increment = fromLsn === undefined ? [] : [`--incremental-lsn=${fromLsn}`];
    const directories = [`--target-dir=${scratch}`, `--extra-lsndir=${scratch}`];
    const args = [
      `--defaults-file=${server.defaultsFile}`,
      "--backup",
      "--stream=xbstream",
      ...directories,
      ...increment,
    ];
    const raw = execFileSync(tool, [...args, `--datadir=${server.datadir}`, ...options], {
      maxBuffer: 1024 ** 3,
      stdio: ["ignore", "pipe", "ignore"],
    });
    const checkpoints = readFileSync(
      join(scratch, readdirSync(scratch).find((name) => name.endsWith("_checkpoints")) ?? ""),
      "utf8",
    );
    const lsn = (name: string) => BigInt(new RegExp(`^${name} = (\\d+)$`, "m").exec(checkpoints)?.[1] ?? "");
    return { raw, fromLsn: lsn("from_lsn"), toLsn: lsn("to_lsn") };
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

type Facts = {
  /** Such as `10.11.14`. */
  readonly version?: string;
  readonly takenAt: Date;
  readonly parent?: Key;
  readonly config?: ReadonlyMap<string, string>;
  readonly galeraVersion?: string;
  /** Record what the predecessor would: no size, no digest, no range. */
  readonly isOld?: boolean;
};

/** Compress a streamed copy, store and record it. */
export async function shelve(shelf: Shelf<"mysql">, streamed: Streamed, facts: Facts): Promise<MysqlCopy> {
  const { takenAt, parent, config = new Map(), galeraVersion, version = "10.11.14", isOld = false } = facts;
  const stored = execFileSync("zstd", ["-q", "-1", "-c"], { input: streamed.raw, maxBuffer: 1024 ** 3 });
  const interval = parent === undefined ? "daily" : "hourly";
  const key = copyKey({ media: "mysql", host: "db7", interval, name: `${mysqlName(takenAt)}.zst` });
  const known = { lsn: streamed.toLsn, config, galeraVersion, interval, key, suffixes: [".zst"] } as const;
  const ours = {
    fromLsn: streamed.fromLsn,
    toLsn: streamed.toLsn,
    rawBytes: streamed.raw.length,
    format: "xbstream",
    tool: "mariadb-backup",
    toolVersion: version,
    serverVersion: `${version}-MariaDB`,
  } as const;
  const base = fullCopy(takenAt, { ...known, ...(isOld ? {} : ours) });
  const describe = (digest: { readonly bytes: number; readonly sha256: string }): MysqlCopy => {
    const whole = isOld ? base : { ...base, ...digest };
    return parent === undefined ? whole : { ...whole, kind: "incremental", parent };
  };
  const content = chunks(stored);
  const { status } = await storeCopy(shelf, { key, content, describe }, { signal: new AbortController().signal });
  const copy = status.copies.find((each) => each.key === key);
  if (copy === undefined) throw new Error(`"${key}" was not recorded`);
  return copy;
}

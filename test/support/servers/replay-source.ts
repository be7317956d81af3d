import { execFileSync } from "node:child_process";
import { chmodSync, createReadStream, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Vendor } from "../../../src/domain/copy.ts";
import { type BinlogTransaction, scanBinlog } from "../../../src/mysql/binlog-events.ts";
import type { Database, DatabaseOptions } from "./database.ts";
import { startMariadb } from "./mariadb.ts";
import { MYSQL_BIN, startMysql } from "./mysql.ts";

/** One vendor's server as the tests of replaying need it. */
export type ReplayVendor = {
  readonly vendor: Vendor;
  readonly start: (options?: DatabaseOptions) => Promise<Database>;
  /** Server program, where it is not an installed one. */
  readonly binary: string | undefined;
  /** Statement whose first value is all GTIDs of the server. */
  readonly gtids: string;
};

export const REPLAY_MARIADB: ReplayVendor = {
  vendor: "mariadb",
  start: startMariadb,
  binary: undefined,
  gtids: "SELECT @@GLOBAL.gtid_binlog_pos",
};

export const REPLAY_MYSQL: ReplayVendor = {
  vendor: "oracle",
  start: startMysql,
  binary: join(MYSQL_BIN, "mysqld"),
  gtids: "SELECT @@GLOBAL.gtid_executed",
};

/** A server that writes binary logs, and its data as it was before. */
export type ReplaySource = AsyncDisposable & {
  /** Private directory; the server's user can enter it. */
  readonly root: string;
  readonly server: Database;
  readonly version: string;
  /** GTIDs that the data holds. */
  readonly held: string;
  /** A data directory of its own, as it was before the logs. */
  readonly base: () => string;
  /** Close the log. @returns the paths of all closed ones since the base, in order. */
  readonly logs: () => Promise<string[]>;
};

/** Start a server, run statements on it, keep its data, and start it again: what it writes from then on is in new logs. */
export async function startReplaySource(
  { start, gtids }: ReplayVendor,
  statements: string,
  options: DatabaseOptions = {},
): Promise<ReplaySource> {
  const root = mkdtempSync(join(tmpdir(), "replay-source-"));
  chmodSync(root, 0o755);
  const first = await start(options);
  await first.sql(statements);
  const version = await first.sql("SELECT VERSION()");
  const held = (await first.sql(gtids)).replaceAll(/\s|\\n/g, "");
  await first.shutDown();
  const kept = join(root, "kept");
  execFileSync("cp", ["-a", "--reflink=auto", first.datadir, kept]);
  const before = new Set(binlogsIn(kept));
  for (const name of readdirSync(kept).filter((each) => /^binlog\.|auto\.cnf$/.test(each))) rmSync(join(kept, name));
  const server = await start({ ...options, root: first.root });
  let copies = 0;
  return {
    root,
    server,
    version,
    held,
    base: () => {
      const path = join(root, `base-${copies++}`);
      execFileSync("cp", ["-a", "--reflink=auto", kept, path]);
      return path;
    },
    logs: async () => {
      await server.sql("FLUSH BINARY LOGS");
      const names = binlogsIn(server.datadir).filter((name) => !before.has(name));
      return names.slice(0, -1).map((name) => join(server.datadir, name));
    },
    async [Symbol.asyncDispose]() {
      await server.stop();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function binlogsIn(datadir: string): string[] {
  return readdirSync(datadir)
    .filter((name) => /^binlog\.\d+$/.test(name))
    .sort();
}

/** The transactions of a log, and where the last one ends. */
export async function transactionsOf(
  path: string,
): Promise<{ readonly end: number; readonly found: BinlogTransaction[]; readonly previous: string | undefined }> {
  const found: BinlogTransaction[] = [];
  const { log } = await scanBinlog(createReadStream(path), path, { onTransaction: (each) => void found.push(each) });
  return { end: log.endOffset, found, previous: log.previousGtid };
}

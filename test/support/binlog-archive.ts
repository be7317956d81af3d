import { binlogServer } from "../../src/cli/binlog-server.ts";
import type { MysqlOptions } from "../../src/config/options.ts";
import { catalogueOf, type Timeline } from "../../src/domain/binlog-catalogue.ts";
import type { BinlogCopy, MysqlCopy } from "../../src/domain/copy.ts";
import type { BackupError } from "../../src/domain/errors.ts";
import { type BinlogBackup, backupBinlogs, type LogServer } from "../../src/job/backup-binlogs.ts";
import { MemoryDestination } from "./memory-destination.ts";
import { shelfOn } from "./shelves.ts";
import { collect } from "./streams.ts";

const { signal } = new AbortController();

/** The binary logs of one server on a destination of their own, and what its runs said. */
export class BinlogArchive {
  readonly destination = new MemoryDestination();
  readonly shelf = shelfOn(this.destination, "binlog");
  failures: BackupError[] = [];
  warnings: string[] = [];
  mysqlCopies: readonly MysqlCopy[] = [];
  readonly #server: () => LogServer;

  constructor(defaultsFile: () => string) {
    this.#server = () => binlogServer({ defaultsFile: defaultsFile() } as MysqlOptions, { idleSeconds: 0, signal });
  }

  /** Archive, as `binlog push` does. @returns the names that came in. */
  async push(changes: Partial<BinlogBackup> = {}): Promise<string[]> {
    const before = new Set((await this.copies()).map(({ key }) => key));
    this.failures = [];
    this.warnings = [];
    await backupBinlogs({
      shelf: this.shelf,
      local: undefined,
      compress: undefined,
      encrypt: undefined,
      removesExpired: true,
      idleSeconds: 0,
      server: this.#server(),
      rotateSeconds: 0,
      expireDays: 7,
      forebears: () => Promise.resolve({ copies: [], logs: [], doubtful: false }),
      mysqlCopies: () => Promise.resolve({ copies: this.mysqlCopies, doubtful: false }),
      progress: () => () => {},
      now: () => new Date(),
      log: { debug() {}, info() {}, warn: (text) => this.warnings.push(text) },
      onFailure: (error) => this.failures.push(error as BackupError),
      signal,
      ...changes,
    });
    return (await this.copies()).filter(({ key }) => !before.has(key)).map(({ name }) => name);
  }

  /** As `push()`, with another server than the real one in some respects. */
  pushAs(change: (server: LogServer) => Partial<LogServer>): Promise<string[]> {
    const server = this.#server();
    return this.push({ server: { ...server, ...change(server) } });
  }

  async copies(): Promise<readonly BinlogCopy[]> {
    return (await this.shelf.status.load({ signal })).status.copies;
  }

  async timelines(): Promise<readonly Timeline[]> {
    return catalogueOf(await this.copies()).timelines;
  }

  bytesOf({ key }: BinlogCopy): Promise<Buffer> {
    return collect(this.destination.get(key, { signal }));
  }
}

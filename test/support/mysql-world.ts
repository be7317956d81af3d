import type { MysqlCaptureFacts, MysqlCopy } from "../../src/domain/copy.ts";
import type { Interval } from "../../src/domain/interval.ts";
import { type Key, toKey } from "../../src/domain/key.ts";
import type { RetentionPolicy } from "../../src/domain/retention.ts";
import type { ServerFacts } from "../../src/domain/server.ts";
import { backupMysql, type Capturing, type MysqlBackup } from "../../src/job/backup-mysql.ts";
import type { Source } from "../../src/source/source.ts";
import { MortalDestination } from "./mortal-destination.ts";
import { shelfOn } from "./shelves.ts";

const { signal } = new AbortController();
const HOUR_MS = 3_600_000;

/** What a simulated stream holds: where it starts and where it ends. */
type Delta = { readonly from: string; readonly to: string };

/** The change before which the run is killed, or that fails once. */
export type StoreFault = { readonly change: number; readonly isFatal: boolean };

/** What goes wrong in a run of the tool. */
export type ToolFault = "open" | "content" | "once" | "increment" | "release" | undefined;

export type RunOptions = { readonly retention: RetentionPolicy; readonly fault?: ToolFault } & Partial<
  Pick<
    MysqlBackup,
    "fullBackup" | "incrementalFrom" | "isForced" | "isTransient" | "isRefused" | "pauseMs" | "serverConfig"
  >
>;

/** A server that moves on, a clock, and a destination: all that backups of a server need but the tool's bytes. */
export class MysqlWorld {
  readonly destination = new MortalDestination();
  readonly shelf = shelfOn(this.destination, "mysql");
  now = new Date(2026, 4, 1, 0, 0, 7);
  lsn = 1000n;
  server: ServerFacts = {
    vendor: "mariadb",
    version: "10.11.14-MariaDB-log",
    uuid: undefined,
    datadir: "/var/lib/mysql",
    datadirId: "64:2:1",
    dataBytes: 100,
    binlog: undefined,
    gtid: undefined,
    galeraVersion: undefined,
  };
  readonly failures: unknown[] = [];
  /** How often a run of the tool was opened. */
  opened = 0;

  /** Let time go by; the server works meanwhile. */
  pass(hours: number): void {
    this.now = new Date(this.now.getTime() + hours * HOUR_MS);
    this.lsn += 10n;
  }

  /** One run. @returns whether it went without any failure. */
  async run(interval: Interval, { retention, fault, ...plan }: RunOptions): Promise<boolean> {
    this.failures.length = 0;
    try {
      await backupMysql({
        interval,
        shelf: this.shelf,
        local: undefined,
        compress: undefined,
        encrypt: undefined,
        retention,
        removesExpired: true,
        idleSeconds: 0,
        progress: () => () => {},
        now: () => this.now,
        log: { debug() {}, info() {}, warn() {} },
        onFailure: (error) => this.failures.push(error),
        signal,
        fullBackup: "daily",
        fullBackupDays: undefined,
        incrementalFrom: "full",
        isForced: false,
        tool: { name: "mariadb-backup", version: "10.11.14", canIncrement: true, format: "xbstream" },
        serverFacts: async () => this.server,
        serverConfig: async () => new Map([["/etc/mysql/my.cnf", "[mysqld]\n"]]),
        openSource: (capturing) => this.#source(capturing, fault),
        isTransient: () => false,
        isRefused: () => false,
        explain: (error) => error,
        ...plan,
      });
    } catch (error) {
      this.failures.push(error);
    }
    return this.failures.length === 0;
  }

  /** One run that meets a fault of the destination, if any. @returns whether it went without any failure. */
  async runThrough(fault: StoreFault | undefined, interval: Interval, options: RunOptions): Promise<boolean> {
    this.destination.changesLeft = fault?.change ?? Number.POSITIVE_INFINITY;
    this.destination.isFatal = fault?.isFatal ?? true;
    const went = await this.run(interval, options);
    this.destination.changesLeft = Number.POSITIVE_INFINITY;
    return went;
  }

  /** Where the stored stream starts and ends; `undefined` when it is gone. */
  async delta(key: Key): Promise<Delta | undefined> {
    const small = await this.destination.readSmall(key, { signal });
    return small && (JSON.parse(Buffer.from(small.content).toString()) as Delta);
  }

  async copies(): Promise<readonly MysqlCopy[]> {
    return (await this.shelf.status.load({ signal })).status.copies;
  }

  async objects(): Promise<string[]> {
    return (await Array.fromAsync(this.destination.list("db7/", { signal }))).map(({ key }) => key);
  }

  /** Damage the status file, as a torn write would. */
  async tearStatus(): Promise<void> {
    const key = toKey("db7/status");
    const small = await this.destination.readSmall(key, { signal });
    if (small === undefined) return;
    await this.destination.replaceSmall(key, small.content.subarray(0, 30), { expected: small.version, signal });
  }

  #source({ name, incrementalLsn = 0n }: Capturing, fault: ToolFault): Source<MysqlCaptureFacts> {
    const isFailing =
      fault === "content" || (fault === "increment" && incrementalLsn > 0n) || (fault === "once" && this.opened === 0);
    this.opened += 1;
    const delta: Delta = { from: String(incrementalLsn), to: String(this.lsn) };
    async function* content(): AsyncGenerator<Uint8Array, void> {
      const bytes = Buffer.from(JSON.stringify(delta));
      yield bytes.subarray(0, 5);
      if (isFailing) throw new Error("the tool failed");
      yield bytes.subarray(5);
    }
    const facts = this.#facts(delta);
    return {
      name,
      async open() {
        if (fault === "open") throw new Error("the server is down");
        let isReleased = false;
        const release = async (): Promise<void> => {
          if (!isReleased && (fault === "release" || fault === "content")) {
            isReleased = true;
            throw new Error("the node cannot be taken back");
          }
        };
        return { content: content(), facts: () => facts, [Symbol.asyncDispose]: release };
      },
    };
  }

  #facts({ from, to }: Delta): MysqlCaptureFacts {
    const { vendor, version, uuid, datadirId, galeraVersion, binlog, gtid } = this.server;
    return {
      vendor,
      serverVersion: version,
      serverUuid: uuid,
      datadirId,
      galeraVersion,
      binlog,
      gtid,
      lsn: BigInt(to),
      fromLsn: BigInt(from),
      toLsn: BigInt(to),
      format: "xbstream",
      rawBytes: undefined,
      tool: "mariadb-backup",
      toolVersion: "10.11.14",
    };
  }
}

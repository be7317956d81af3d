import type { Config, MysqlOptions } from "../config/options.ts";
import type { BinlogFlavour } from "../domain/binlog.ts";
import type { ClosedLog, LogHead } from "../domain/binlog-incarnation.ts";
import { BackupError } from "../domain/errors.ts";
import type { LogListing, LogServer } from "../job/backup-binlogs.ts";
import type { PurgedServer } from "../job/purge-binlogs.ts";
import { BinlogFollower, type FollowFrom, type FollowStep, placeOf } from "../mysql/binlog-follower.ts";
import { type OpenedClient, openClient } from "../mysql/client.ts";
import { readDefaultsFile } from "../mysql/defaults-file.ts";
import { findLogProgram, loginFile } from "../mysql/log-program.ts";
import {
  holdsTransactions,
  previousGtidOf,
  purgeLogsBefore,
  readLogged,
  readServerLogs,
  rotateLogs,
  type ServerLog,
  type ServerLogs,
} from "../mysql/server-logs.ts";
import { binlogSource, canReadLogs, type LogAccess, readLogHead } from "../source/binlog.ts";

type Options = { readonly idleSeconds: number; readonly signal: AbortSignal };

/** MySQL puts so many bytes before what it encrypts; a client gets the log without them. */
const ENCRYPTION_HEADER_BYTES = 512;

/** A server whose logs are followed as it writes them. */
export type Followed = {
  /** What follows a place of a log, and then of the next ones: all that came since the last pull. `list()` comes first. */
  readonly follow: (from: FollowFrom, serverId: number) => AsyncGenerator<readonly FollowStep[], void>;
};

/** The binary logs of the server of the config, read on this host where that is possible, else over the network. */
export function binlogServer(mysql: MysqlOptions, options: Options): LogServer & PurgedServer & Followed {
  const server = new Server(mysql, options);
  return {
    follow: (from, serverId) => server.follow(from, serverId),
    list: () => server.list(),
    holdsTransactions: (log) => server.holdsTransactions(log),
    rotate: () => server.ask(rotateLogs),
    purgeBefore: (log) => server.ask((client) => purgeLogsBefore(client, log)),
    headOf: (log) => server.headOf(log),
    logged: () => server.ask(readLogged),
    openSource: (log, onProgress) => ({
      name: log.name,
      open: async (opening) => (await server.sourceOf(log, onProgress)).open(opening),
    }),
  };
}

/** The server of a config that has one. */
export function serverOf({ mysql, path }: Config): MysqlOptions {
  if (mysql !== undefined) return mysql;
  throw new BackupError("CONFIG_INVALID", `Cannot archive binary logs: ${path} has no section [mysql]`, {
    hint: "Add the section, with mysql_defaults_file in it.",
  });
}

class Server {
  readonly #mysql: MysqlOptions;
  readonly #options: Options;
  #listing: ServerLogs | undefined;
  #isLocal = false;

  constructor(mysql: MysqlOptions, options: Options) {
    this.#mysql = mysql;
    this.#options = options;
  }

  /** Each session does little and is closed again, for hours may lie between two. */
  async ask<T>(work: (client: OpenedClient) => Promise<T>): Promise<T> {
    await using client = await openClient(this.#mysql, { signal: this.#options.signal });
    return await work(client);
  }

  async list(): Promise<(LogListing & { readonly flavour: BinlogFlavour }) | undefined> {
    const listing = await this.ask(readServerLogs);
    this.#listing = listing;
    if (listing === undefined) return undefined;
    this.#isLocal = await canReadLogs(listing.directory, listing.logs);
    const { uuid, serverId, version, flavour, logs } = listing;
    return { uuid, serverId, version, flavour, logs: logs.map(asSent) };
  }

  /** What the beginning of a log says, where its file can be read. */
  async #fileHead({ name }: ClosedLog): ReturnType<typeof readLogHead> {
    return this.#isLocal ? readLogHead(this.#listed.directory, name) : undefined;
  }

  get #listed(): ServerLogs {
    if (this.#listing === undefined) throw new TypeError("the logs were not listed");
    return this.#listing;
  }

  async holdsTransactions(log: ClosedLog): Promise<boolean> {
    const head = await this.#fileHead(log);
    return head?.isBegun ?? (await this.ask((client) => holdsTransactions(client, log)));
  }

  async headOf(log: ClosedLog): Promise<LogHead> {
    const { flavour } = this.#listed;
    const head = await this.#fileHead(log);
    if (head !== undefined) {
      const { createdAt, log: facts } = head.scan;
      return { flavour, createdAt, head: facts.head, previousGtid: facts.previousGtid };
    }
    const previousGtid = await this.ask((client) => previousGtidOf(client, log));
    return { flavour, createdAt: undefined, head: undefined, previousGtid };
  }

  async *follow(from: FollowFrom, serverId: number): AsyncGenerator<readonly FollowStep[], void> {
    const { flavour } = this.#listed;
    await using client = await openClient(this.#mysql, { signal: this.#options.signal });
    const follower = new BinlogFollower(from);
    for await (const events of client.dump({ name: from.name, position: placeOf(from), serverId, flavour })) {
      yield events.map((event) => follower.take(event)).filter((step) => step !== undefined);
    }
  }

  async sourceOf(log: ClosedLog, onProgress: (bytes: number) => void) {
    const { name, bytes } = log;
    const { idleSeconds } = this.#options;
    const isPlain = this.#isLocal && (await this.#fileHead(log)) !== undefined;
    const access = isPlain ? fileAccess(this.#listed) : await this.#networkAccess();
    return binlogSource({ name, bytes, access, idleSeconds, onProgress });
  }

  async #networkAccess(): Promise<LogAccess> {
    const { flavour } = this.#listed;
    const { defaultsFile } = this.#mysql;
    const program = await findLogProgram(flavour, this.#options.signal);
    const login = await readDefaultsFile(defaultsFile);
    const address = await this.ask((client) => Promise.resolve(client.address));
    return { kind: "protocol", program, login: loginFile(login, address, flavour) };
  }
}

/** A log as large as it will be read. */
function asSent({ name, bytes, encrypted }: ServerLog): ClosedLog {
  return { name, bytes: encrypted ? bytes - ENCRYPTION_HEADER_BYTES : bytes };
}

function fileAccess({ directory }: ServerLogs): LogAccess {
  return { kind: "directory", directory };
}

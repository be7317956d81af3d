import { dirname, join } from "node:path";
import { BackupError } from "../domain/errors.ts";
import { replicaStatusStatement, replicasStatement, type StartPoint } from "../domain/replication.ts";
import type { ServerFacts } from "../domain/server.ts";
import type { Engine, Outcome, StreamFacts } from "../engine/engine.ts";
import type { Command } from "../lib/command.ts";
import type { FarHost } from "../lib/far-host.ts";
import type { Log } from "../lib/log.ts";
import { isLeftover, ownedName } from "../lib/owned-name.ts";
import type { OpenedClient } from "../mysql/client.ts";
import { CONFIG_ROOTS, readServerConfig } from "../mysql/server-config.ts";
import { binlogGtidAt, readServerFacts, readVariables } from "../mysql/server-facts.ts";
import { cloneServer } from "../source/mysql-clone.ts";
import { type FarServer, openFarClient, optionFileText } from "./far-server.ts";
import { END_NOTED, NOTED } from "./noted.ts";

type CallOptions = { readonly signal: AbortSignal };

/** What of the source matters to a replica, besides its facts. */
export type SourceFacts = ServerFacts & {
  readonly variables: ReadonlyMap<string, string>;
  /** Ids that are taken: its own, and those of its replicas. */
  readonly serverIds: ReadonlySet<number>;
  /** Whether it follows another server. */
  readonly isReplica: boolean;
};

/** A config file of the source: its text, and `MODE USER GROUP`. */
type ConfigFile = { readonly text: string; readonly owner: string };

/** The config files of the source, in the order they are read, and those that it begins with. */
export type SourceConfig = { readonly roots: readonly string[]; readonly files: ReadonlyMap<string, ConfigFile> };

const VARIABLES = [
  "server_id",
  "log_bin",
  "log_bin_basename",
  "relay_log_basename",
  "log_slave_updates",
  "log_replica_updates",
  "gtid_mode",
  "lower_case_table_names",
  "innodb_data_home_dir",
  "innodb_log_group_home_dir",
  "innodb_undo_directory",
  "aria_log_dir_path",
  "wsrep_on",
  "pid_file",
  "socket",
  "port",
];

/** Size of the data, without the logs that are not copied. */
const SIZE =
  'du -sk --exclude="ib_logfile*" --exclude="#innodb_redo" --exclude="#innodb_temp" --exclude="ibtmp*" -- "$1" | cut -f1';

/** Ask a source all there is to know. */
export async function readSourceFacts(
  client: OpenedClient,
  host: FarHost,
  { signal }: CallOptions,
): Promise<SourceFacts> {
  const facts = await readServerFacts(client);
  const variables = await readVariables(client, VARIABLES);
  const replicas = await client.rows(replicasStatement(facts));
  const ids = replicas.map((row) => Number(row["Server_Id"] ?? row["Server_id"]));
  const isMysql = facts.vendor !== "mariadb";
  const followed = await client.rows(isMysql ? replicaStatusStatement(facts) : "SHOW ALL SLAVES STATUS");
  const kilobytes = Number((await host.run(SIZE, [facts.datadir], { signal })).trim());
  return {
    ...facts,
    variables,
    dataBytes: kilobytes * 1024,
    serverIds: new Set([Number(variables.get("server_id")), ...ids]),
    isReplica: followed.length > 0,
  };
}

/** Where a server begins to read its config: where its command line says so, else in the usual places. */
async function rootsOf(
  host: FarHost,
  { variables, datadir }: SourceFacts,
  { signal }: CallOptions,
): Promise<readonly string[]> {
  const pidFile = variables.get("pid_file") ?? "";
  const path = pidFile.startsWith("/") ? pidFile : join(datadir, pidFile);
  const { stdout } = await host.ask(`read -r p <"$1" && tr "\\000" "\\n" <"/proc/$p/cmdline"`, [path], { signal });
  const named = /^--defaults-file=(\/.*)$/m.exec(stdout)?.[1];
  return named === undefined ? CONFIG_ROOTS : [named];
}

/** Reads the config files of another host. Those that cannot be taken over as they are go to `unusable`. */
function readerOn(host: FarHost, unusable: string[], { signal }: CallOptions) {
  const ask = async (script: string, path: string): Promise<string> => {
    const { status, stdout } = await host.ask(script, [path], { signal });
    if (status === 0) return stdout;
    throw Object.assign(new Error("there is no such file"), { code: "ENOENT" });
  };
  return {
    text: async (path: string) => {
      const answer = await ask('[ -f "$1" ] && wc -c <"$1" && cat -- "$1"', path);
      const [size = ""] = answer.split("\n", 1);
      const text = answer.slice(size.length + 1);
      if (Buffer.byteLength(text) !== Number(size)) unusable.push(path);
      return text;
    },
    list: async (directory: string) => {
      const script = 'cd -- "$1" && for f in *.cnf; do if [ -e "$f" ]; then printf "%s\\n" "$f"; fi; done';
      const names = (await ask(script, directory)).split("\n").filter(Boolean);
      return names.sort().map((name) => join(directory, name));
    },
  };
}

/**
 * Read the config files of the source's host, with all they include.
 * @throws {BackupError} CONFIG_INVALID for one that cannot be taken over as it is.
 */
export async function readSourceConfig(
  host: FarHost,
  facts: SourceFacts,
  { log, signal }: CallOptions & { readonly log: Log },
): Promise<SourceConfig> {
  const roots = await rootsOf(host, facts, { signal });
  const unusable: string[] = [];
  const texts = await readServerConfig({
    roots,
    warn: (text) => log.warn(text.replace("is not kept with the copy", `is not taken over from ${host.name}`)),
    reader: readerOn(host, unusable, { signal }),
  });
  if (unusable.length > 0) {
    throw new BackupError(
      "CONFIG_INVALID",
      `Cannot take over "${unusable[0]}": it is not UTF-8, or larger than 64 KiB`,
      {
        hint: "Correct the file on the source.",
      },
    );
  }
  const files = new Map<string, ConfigFile>();
  for (const [path, text] of texts) {
    const owner = (await host.run('stat -L -c "%a %U %G" -- "$1"', [path], { signal })).trim();
    files.set(path, { text, owner });
  }
  return { roots, files };
}

const PREFIX = ".twindb-clone-";

/** Ends the programs that are noted in the directories, and removes these. */
const REMOVE = `for d in "$@"; do ${END_NOTED}; rm -rf -- "$d"; done; :`;

/** Remove what killed runs of this machine left beside the data of a source. */
async function sweep(host: FarHost, place: string, { signal }: CallOptions): Promise<void> {
  const found = await host.run('cd -- "$1" && ls -A', [place], { signal });
  const left = found.split("\n").filter((name) => isLeftover(name, PREFIX));
  if (left.length > 0)
    await host.run(
      REMOVE,
      left.map((name) => join(place, name)),
      { signal },
    );
}

/** The stream of a source, to be run once; `end()` tells where it ends, after it has. */
export type SourceStream = {
  readonly command: Command;
  readonly end: (stderr: string) => Promise<StartPoint | undefined>;
};

/** What a source is streamed with. */
export type Streaming = {
  readonly server: FarServer;
  readonly facts: SourceFacts;
  readonly engine: Engine | "clone";
  readonly parallel: number | undefined;
  readonly compress: boolean;
  readonly log: Log;
};

/** A private directory on the host of the source, for the time of the stream. */
export class SourceEnd {
  readonly #host: FarHost;
  readonly #directory: string;

  private constructor(host: FarHost, directory: string) {
    this.#host = host;
    this.#directory = directory;
  }

  static async open(host: FarHost, { datadir }: SourceFacts, options: CallOptions): Promise<SourceEnd> {
    const place = dirname(datadir);
    await sweep(host, place, options);
    const directory = join(place, ownedName(PREFIX));
    await host.run('mkdir -m 700 -- "$1" "$1/lsn" "$1/tmp"', [directory], options);
    return new SourceEnd(host, directory);
  }

  /** Make the stream ready. With CLONE the server first makes a copy of its data beside it. */
  async stream(streaming: Streaming, { signal }: CallOptions): Promise<SourceStream> {
    const { engine } = streaming;
    if (engine === "clone") return this.#cloned(streaming, signal);
    const { login } = streaming.server;
    await using client = await openFarClient(this.#host, streaming.server, { signal });
    const file = join(this.#directory, "client.cnf");
    await this.#host.write(file, optionFileText(login, client.address), { signal });
    const place = client.address;
    const command = engine.backup({
      defaultsFile: file,
      hostname: place.kind === "tcp" ? place.host : undefined,
      port: place.kind === "tcp" ? place.port : undefined,
      socket: place.kind === "socket" ? place.path : undefined,
      lsnDirectory: join(this.#directory, "lsn"),
      scratchDirectory: join(this.#directory, "tmp"),
      incrementalLsn: undefined,
      parallel: streaming.parallel,
      galera: false,
    });
    return {
      command: this.#program(command, streaming),
      end: async (stderr) => this.#startPoint(engine.facts(await this.#outcome(stderr, signal)), streaming, signal),
    };
  }

  /** End what runs there, and remove the directory, though the connection is another by now. */
  async remove(host: FarHost, options: CallOptions): Promise<void> {
    await host.run(REMOVE, [this.#directory], options);
  }

  #program({ file, args }: Command, { compress }: Streaming): Command {
    return this.#host.program(NOTED, [join(this.#directory, "pid-stream"), file, ...args], { compress });
  }

  async #cloned(streaming: Streaming, signal: AbortSignal): Promise<SourceStream> {
    const { server, facts, log } = streaming;
    const data = join(this.#directory, "data");
    // The server makes the directory of the clone itself, so it must own the one around it.
    await this.#host.run('chown --reference="$2" -- "$1"', [this.#directory, facts.datadir], { signal });
    await cloneServer({ openClient: (options) => openFarClient(this.#host, server, options), log }, data, { signal });
    const command = { file: "tar", args: ["-c", "-f", "-", "-C", data, "--", "."] };
    return { command: this.#program(command, streaming), end: async () => undefined };
  }

  async #outcome(stderr: string, signal: AbortSignal): Promise<Outcome> {
    const directory = join(this.#directory, "lsn");
    const names = await this.#host.run('ls -A -- "$1"', [directory], { signal });
    const files = new Map<string, string>();
    for (const name of names.split("\n").filter(Boolean)) {
      files.set(name, await this.#host.run('cat -- "$1"', [join(directory, name)], { signal }));
    }
    return { stderr, files };
  }

  /** Where the tool says the copy ends; a GTID that it has not noted down is asked of the server. */
  async #startPoint(
    { binlog, gtid }: StreamFacts,
    { server, facts }: Streaming,
    signal: AbortSignal,
  ): Promise<StartPoint | undefined> {
    const usesGtid = facts.vendor === "mariadb" || facts.variables.get("gtid_mode") === "ON";
    if (gtid !== undefined && usesGtid) return { kind: "gtid", gtid };
    if (binlog === undefined) return undefined;
    if (facts.vendor !== "mariadb") return { kind: "position", binlog };
    await using client = await openFarClient(this.#host, server, { signal });
    const found = await binlogGtidAt(client, binlog);
    return found === undefined ? { kind: "position", binlog } : { kind: "gtid", gtid: found };
  }
}

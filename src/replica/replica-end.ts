import { createHash } from "node:crypto";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { BackupError } from "../domain/errors.ts";
import { CHECKPOINT_FILES } from "../domain/lsn-range.ts";
import { dropInText, replicaConfig } from "../domain/replica-config.ts";
import type { Restorer } from "../engine/engine.ts";
import { type Command, text } from "../lib/command.ts";
import type { FarHost } from "../lib/far-host.ts";
import { isLeftover, ownedName } from "../lib/owned-name.ts";
import type { OpenedClient } from "../mysql/client.ts";
import { wordsOf } from "../mysql/server-words.ts";
import { type FarServer, openFarClient } from "./far-server.ts";
import { NOTED } from "./noted.ts";
import { logsElsewhere, type ReplicaFacts } from "./problems.ts";
import { BEGIN, FORGET, GIVE, LOOK, PLACE, PUT_CONFIG, STAGING, START, STATE_PARENT, UNDO } from "./replica-scripts.ts";
import type { SourceConfig, SourceFacts } from "./source-end.ts";

type CallOptions = { readonly signal: AbortSignal };

/** How the server of the replica is started and stopped; `undefined` leaves it to its unit. */
export type ServerCommands = { readonly start: string | undefined; readonly stop: string | undefined };

const OWNER = "clone-";
const SERVERS = ["mariadbd", "mysqld", "/usr/libexec/mariadbd", "/usr/libexec/mysqld"];

/** Files of a stream that no server may find in its data: another server's identity, and notes of the tools. */
const NOT_DATA = [
  "auto.cnf",
  "backup-my.cnf",
  ...["checkpoints", "info", "binlog_info", "slave_info", "galera_info", "binlog_pos_innodb"].flatMap((name) => [
    `xtrabackup_${name}`,
    `mariadb_backup_${name}`,
  ]),
  "xtrabackup_logfile",
  "xtrabackup_tablespaces",
];

const POLL_MS = 250;

/** Where a host notes what a clone makes for a data directory. */
function stateDirectory(datadir: string): string {
  return `${STATE_PARENT}/clone-${createHash("sha256").update(datadir).digest("hex").slice(0, 12)}`;
}

function pairs(text: string): Map<string, readonly string[]> {
  const lines = text.split("\n").flatMap((line) => {
    const [, key = "", value = ""] = /^(\w+)=(.*)$/.exec(line) ?? [];
    return key === "" ? [] : [{ key, value }];
  });
  const groups = Map.groupBy(lines, ({ key }) => key);
  return new Map([...groups].map(([key, each]) => [key, each.map(({ value }) => value)]));
}

/** Look at the host that is to become a replica. Changes nothing. */
export async function readReplicaFacts(
  host: FarHost,
  source: SourceFacts,
  { signal }: CallOptions,
): Promise<ReplicaFacts> {
  const args = [source.datadir, stateDirectory(source.datadir), source.variables.get("port") ?? "3306"];
  const found = pairs(await host.run(LOOK, [...args, ...logsElsewhere(source)], { signal }));
  const script =
    'for f in "$@"; do if command -v "$f" >/dev/null 2>&1; then "$f" --no-defaults --version 2>/dev/null; fi; done; :';
  const versions = await host.run(script, SERVERS, { signal });
  return { name: host.name, found, servers: versions.split("\n").filter(Boolean) };
}

/**
 * Remove what a killed clone left on the host. @returns whether there was any.
 * @throws {BackupError} LOCKED when a clone to it is still running, as far as anybody can tell.
 */
export async function removeLeftovers(
  host: FarHost,
  {
    facts,
    datadir,
    stop,
  }: { readonly facts: ReplicaFacts; readonly datadir: string; readonly stop: string | undefined },
  { signal }: CallOptions,
): Promise<boolean> {
  const owner = facts.found.get("owner")?.[0];
  if (owner === undefined) return false;
  const state = stateDirectory(datadir);
  if (!isLeftover(owner, OWNER)) {
    throw new BackupError(
      "LOCKED",
      `Cannot clone to "${host.name}": another clone to it runs, or one was killed on another machine`,
      {
        hint: `Run the clone on the machine that began it; or, where none runs any more, empty "${datadir}" and remove "${state}" there.`,
      },
    );
  }
  await host.run(UNDO, [state, datadir, owner, stopCommand(facts, stop) ?? ""], { signal });
  return true;
}

function stopCommand({ found }: ReplicaFacts, stop: string | undefined): string | undefined {
  const unit = found.get("unit")?.[0];
  return stop ?? (unit === undefined ? undefined : `systemctl stop ${unit}`);
}

/** What a replica is made of. */
export type ReplicaPlan = {
  readonly source: SourceFacts;
  readonly facts: ReplicaFacts;
  readonly config: SourceConfig;
  readonly restorer: Restorer;
  readonly serverId: number;
  readonly commands: ServerCommands;
  /** The login that the data brings along. */
  readonly server: FarServer;
  /** Longest wait for the server's start. */
  readonly timeoutSeconds: number;
};

/** The host that becomes a replica, from the moment on in which something is made there. */
export class ReplicaEnd {
  readonly #host: FarHost;
  readonly #plan: ReplicaPlan;
  readonly #state: string;
  readonly #datadir: string;
  readonly #owner = ownedName(OWNER);

  private constructor(host: FarHost, plan: ReplicaPlan) {
    this.#host = host;
    this.#plan = plan;
    this.#datadir = plan.source.datadir;
    this.#state = stateDirectory(this.#datadir);
  }

  /** Note that a clone begins; `remove()` undoes it also when this fails. */
  static of(host: FarHost, plan: ReplicaPlan): ReplicaEnd {
    return new ReplicaEnd(host, plan);
  }

  async begin(options: CallOptions): Promise<void> {
    const args = [this.#state, this.#datadir, this.#owner, ...logsElsewhere(this.#plan.source)];
    await this.#host.run(BEGIN, args, options);
  }

  /** Reads the stream on stdin. */
  unpack({ compress }: { readonly compress: boolean }): Command {
    const { file, args } = this.#plan.restorer.unpack(this.#staging);
    return this.#host.program(NOTED, [join(this.#state, "pid-unpack"), file, ...args], { compress });
  }

  /** Prove that all of the stream came, and prepare it. */
  async prepare({ signal }: CallOptions): Promise<void> {
    const { restorer } = this.#plan;
    await this.#requireEnd(signal);
    const available = Number(this.#plan.facts.found.get("memory")?.[0] ?? 0) * 1024;
    const memoryBytes = Math.max(128 * 1024 ** 2, Math.min(Math.floor(available / 2), 4 * 1024 ** 3));
    const step = restorer.prepare({ directory: this.#staging, incremental: undefined, isLast: true, memoryBytes });
    if (step === undefined) return;
    let stderr = "";
    const program = this.#host.program(NOTED, [join(this.#state, "pid-prepare"), step.file, ...step.args]);
    const onFinish = (finished: { readonly stderr: string }) => {
      stderr = finished.stderr;
    };
    await text(program, { signal, onFinish }).catch((error: unknown) => {
      signal.throwIfAborted();
      throw this.#host.explain(error, program, `${step.file} --prepare`);
    });
    restorer.checkPrepared({ stderr, files: await this.#checkpoints(signal) });
  }

  /** Put the data and the config in place; nothing runs yet. */
  async place({ signal }: CallOptions): Promise<void> {
    await this.#host.run(PLACE, [this.#datadir, ...NOT_DATA], { signal });
    await this.#host.run(GIVE, [this.#datadir, this.#state], { signal });
    const config = this.#config();
    let number = 0;
    for (const [path, content] of config.files) {
      await this.#put({ number: ++number, path, content, owner: this.#plan.config.files.get(path)?.owner }, signal);
    }
    await this.#put({ number: ++number, path: config.dropIn, content: this.#dropIn(true), owner: undefined }, signal);
  }

  /** Start the server, and wait until it answers. */
  async start({ signal }: CallOptions): Promise<void> {
    const unit = this.#plan.facts.found.get("unit")?.[0];
    const command = this.#plan.commands.start ?? `systemctl start ${unit}`;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(this.#plan.timeoutSeconds * 1000)]);
    try {
      await this.#host.run(START, [this.#state, command], { signal: limit });
      await this.#untilAnswers(limit);
    } catch (error) {
      signal.throwIfAborted();
      throw await this.#notStarted(error, command, signal);
    }
  }

  /** A session with the started server. */
  async openClient(options: CallOptions): Promise<OpenedClient> {
    const socket = this.#plan.source.variables.get("socket");
    const port = Number(this.#plan.source.variables.get("port"));
    return openFarClient(this.#host, { ...this.#plan.server, port, socket }, options);
  }

  /** The config for good, and an end of what was noted. After it nothing is undone any more. */
  async finish({ signal }: CallOptions): Promise<void> {
    const path = this.#config().dropIn;
    await this.#host.write(`${path}.twindb-new`, this.#dropIn(false), { signal, mode: "644" });
    await this.#host.run('mv -f -T -- "$1" "$2" && sync "$2"', [`${path}.twindb-new`, path], { signal });
    await this.#host.run(FORGET, [this.#state], { signal });
  }

  /** Remove all that was made, by a connection that may be another one. */
  async remove(host: FarHost, { signal }: CallOptions): Promise<void> {
    const stop = stopCommand(this.#plan.facts, this.#plan.commands.stop) ?? "";
    await host.run(UNDO, [this.#state, this.#datadir, this.#owner, stop], { signal });
  }

  get #staging(): string {
    return join(this.#datadir, STAGING);
  }

  #dropIn(isFirst: boolean): string {
    return dropInText(this.#plan.source, { serverId: this.#plan.serverId, isFirst });
  }

  #config() {
    const texts = new Map([...this.#plan.config.files].map(([path, { text }]) => [path, text]));
    const config = replicaConfig(texts, this.#plan.config.roots);
    if (config !== undefined) return config;
    throw new BackupError("CONFIG_INVALID", "Cannot clone the config: the source has no config file", {
      hint: `Make ${this.#plan.config.roots.at(-1)} on the source, with a group [mysqld].`,
    });
  }

  async #put(
    file: {
      readonly number: number;
      readonly path: string;
      readonly content: string;
      readonly owner: string | undefined;
    },
    signal: AbortSignal,
  ): Promise<void> {
    const [mode = "644", user = "root", group = "root"] = file.owner?.split(" ") ?? [];
    await this.#host.write(join(this.#state, `new-${file.number}`), file.content, { signal });
    await this.#host.run(PUT_CONFIG, [this.#state, String(file.number), file.path, mode, `${user}:${group}`], {
      signal,
    });
  }

  /** The tools end with success also after half a stream; what they write last tells whether they came to its end. */
  async #requireEnd(signal: AbortSignal): Promise<void> {
    const { lastFiles } = this.#plan.restorer;
    if (lastFiles.length === 0) return;
    const script = 'd=$1; shift; for f in "$@"; do if [ -s "$d/$f" ]; then echo yes; fi; done';
    if ((await this.#host.run(script, [this.#staging, ...lastFiles], { signal })).includes("yes")) return;
    throw new BackupError(
      "DATA_DAMAGED",
      `Cannot unpack the stream on "${this.#host.name}": it ends before its last file`,
      {
        hint: "Run the clone again; look at the network if that happens twice.",
      },
    );
  }

  async #checkpoints(signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    const files = new Map<string, string>();
    for (const name of CHECKPOINT_FILES) {
      const { status, stdout } = await this.#host.ask('cat -- "$1"', [join(this.#staging, name)], { signal });
      if (status === 0) files.set(name, stdout);
    }
    return files;
  }

  async #untilAnswers(signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        await using client = await this.openClient({ signal });
        await client.value("SELECT 1");
        return;
      } catch (error) {
        signal.throwIfAborted();
        // Anything else than silence will not get better.
        if (!(error instanceof BackupError) || error.code !== "UNREACHABLE") throw error;
        await this.#requireRunning(error, signal);
        await pause(POLL_MS, undefined, { signal });
      }
    }
  }

  /** A start command returned well; so there has to be a server at work. */
  async #requireRunning(failure: BackupError, signal: AbortSignal): Promise<void> {
    for (let tries = 0; tries < 20; tries += 1) {
      const facts = await readReplicaFacts(this.#host, this.#plan.source, { signal });
      if (facts.found.has("pid")) return;
      await pause(POLL_MS, undefined, { signal });
    }
    throw failure;
  }

  async #notStarted(error: unknown, command: string, signal: AbortSignal): Promise<BackupError> {
    const script =
      'tail -n 40 -- "$1/start.log" 2>/dev/null; for f in "$2"/*.err; do [ -f "$f" ] && tail -n 40 -- "$f"; done; :';
    const { stdout } = await this.#host.ask(script, [this.#state, this.#datadir], { signal });
    const why =
      error instanceof BackupError ? error.message : `it does not answer within ${this.#plan.timeoutSeconds} seconds`;
    const said = stdout.trim() === "" ? "" : `; it said: ${wordsOf(stdout).text}`;
    return new BackupError(
      "PROGRAM_FAILED",
      `Cannot start the server on "${this.#host.name}" by "${command}": ${why}${said}`,
      {
        hint: "Look into its error log on the source for the settings it needs there, or name another command with --start-command.",
        cause: error,
      },
    );
  }
}

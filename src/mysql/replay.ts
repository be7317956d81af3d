import { readdir, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Vendor } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import { type Command, CommandError, run } from "../lib/command.ts";
import { Funnel } from "../lib/funnel.ts";
import { makeTemporaryDirectory } from "../lib/temporary-directory.ts";
import { LoadGuard } from "./load-guard.ts";
import type { PrivateServer } from "./private-server.ts";
import { findReplayTools, type ReplayTools } from "./replay-tools.ts";

/** A part of a log file, from one boundary of transactions to another. */
export type ReplaySegment = {
  /** Absolute path. */
  readonly file: string;
  readonly from: number;
  readonly to: number;
};

export type ReplayRequest = {
  /** One that was started to be written to. */
  readonly server: PrivateServer;
  readonly vendor: Vendor;
  /** Whether a log may hold files for statements to load. */
  readonly loadsFiles: boolean;
  readonly signal: AbortSignal;
};

/** Prefix of the directory for files that logged statements load from. */
const PREFIX = "twindb-replay-";
const MARK = "twindb-replay mark";
/** Where the events of a log begin. */
const FIRST_OFFSET = 4;

/**
 * Binary logs brought to a server in one session of its client, in the order they are applied: temporary tables and variables live on from
 * one log to the next. Disposing it ends the session.
 */
export class Replay implements AsyncDisposable {
  readonly #request: ReplayRequest;
  readonly #tools: ReplayTools;
  readonly #directory: string;
  readonly #applied: ReplaySegment[] = [];
  #guard: LoadGuard | undefined;
  #funnel: Funnel | undefined;
  #marks = 0;
  #onMark: () => void = () => {};

  private constructor(request: ReplayRequest, tools: ReplayTools, directory: string) {
    this.#request = request;
    this.#tools = tools;
    this.#directory = directory;
  }

  /** Begin a session. @throws {BackupError} CONFIG_INVALID when the server's tools are not installed. */
  static async open(request: ReplayRequest): Promise<Replay> {
    const { server, vendor, loadsFiles, signal } = request;
    const tools = await findReplayTools(server.program, vendor, signal);
    const replay = new Replay(request, tools, await makeTemporaryDirectory(PREFIX));
    try {
      // It costs half of the speed.
      if (vendor === "mariadb" && loadsFiles) {
        replay.#guard = await LoadGuard.open({ socket: server.socket, directory: replay.#directory });
      }
      replay.#funnel = await Funnel.open(replay.#client(), { signal, onLine: (line) => replay.#hear(line) });
      return replay;
    } catch (error) {
      await replay[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Apply a part of a log; all of it has been applied when this resolves.
   * @param onRead called about twice a second with the bytes of it that were read.
   * @throws {BackupError} DATA_DAMAGED when the log does not match its checksums, FAILED when the server refuses a statement, with its words
   * and the place in the log. The session is over then.
   */
  async apply(segment: ReplaySegment, onRead?: (bytes: number) => void): Promise<void> {
    const size = segment.to - segment.from;
    this.#applied.push(segment);
    try {
      await this.#pipe.pass(this.#reader(segment), { onRead: (bytes) => onRead?.(Math.min(bytes, size)) });
      await this.#settle();
    } catch (error) {
      throw await this.#explain(error, segment);
    }
    // What logged statements load from; each has been loaded.
    for (const name of await readdir(this.#directory)) await rm(join(this.#directory, name), { force: true });
  }

  /** End the session. @throws {CommandError} when the client failed. */
  async finish(): Promise<void> {
    await this.#pipe.finish();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#funnel?.[Symbol.asyncDispose]();
    await this.#guard?.[Symbol.asyncDispose]();
    await rm(this.#directory, { recursive: true, force: true });
  }

  get #pipe(): Funnel {
    if (this.#funnel === undefined) throw new TypeError("a replay is used before it is open");
    return this.#funnel;
  }

  #hear(line: string): void {
    if (line !== `${MARK} ${this.#marks}`) return;
    this.#onMark();
  }

  /** Wait until the client has run all that was passed to it. */
  async #settle(): Promise<void> {
    this.#marks += 1;
    const marked = new Promise<"marked">((resolve) => {
      this.#onMark = () => resolve("marked");
    });
    const text = `SELECT '${MARK} ${this.#marks}';\\n`;
    await this.#pipe.pass({ file: "printf", args: [text] });
    const first = await Promise.race([marked, this.#pipe.ended]);
    if (first !== "marked") await this.#pipe.broken();
  }

  #client(): Command {
    const { defaultsFile, socket } = this.#request.server;
    return {
      file: this.#tools.client,
      args: [
        defaultsFile === undefined ? "--no-defaults" : `--defaults-file=${defaultsFile}`,
        `--socket=${this.#guard?.socket ?? socket}`,
        "--binary-mode",
        "--batch",
        "--skip-column-names",
        "--unbuffered",
        "--skip-reconnect",
        // Statements may load what the reader put there, and nothing else. Who guards the door reads what passes it.
        ...this.#loading(),
        "--max-allowed-packet=1G",
        "--default-character-set=utf8mb4",
      ],
    };
  }

  #loading(): string[] {
    if (this.#guard !== undefined) return ["--local-infile=1", "--skip-ssl", "--skip-compress"];
    if (this.#request.vendor === "mariadb") return ["--local-infile=0"];
    return ["--local-infile=0", `--loose-load-data-local-dir=${this.#directory}`];
  }

  #reader({ file, from, to }: ReplaySegment): Command {
    return {
      file: this.#tools.reader,
      args: [
        "--no-defaults",
        "--verify-binlog-checksum",
        `--local-load=${this.#directory}`,
        // It knows what came before from the files it is given only; that logs follow each other was proven before.
        ...(this.#request.vendor === "mariadb" ? ["--loose-skip-gtid-strict-mode"] : []),
        ...(from > FIRST_OFFSET ? [`--start-position=${from}`] : []),
        `--stop-position=${to}`,
        "--",
        file,
      ],
    };
  }

  async #explain(error: unknown, segment: ReplaySegment): Promise<unknown> {
    const { signal, server } = this.#request;
    signal.throwIfAborted();
    if (!(error instanceof CommandError)) return error;
    const name = basename(segment.file);
    const { refused } = this.#guard ?? {};
    if (refused !== undefined) {
      return new BackupError(
        "DATA_DAMAGED",
        `Cannot replay "${name}": it would load the file "${refused}" of this host`,
        {
          hint: "Find out who wrote that log: no server logs such a statement.",
          cause: error,
        },
      );
    }
    if (error.command.file === this.#tools.reader) {
      return new BackupError("DATA_DAMAGED", `Cannot read "${name}" to replay it: ${error.message}`, {
        hint: "Verify the archived binary logs of this host.",
        cause: error,
      });
    }
    const why = await server.explain(error);
    if (why !== error) return why;
    const at = await this.#placeOf(error.stderrTail);
    signal.throwIfAborted();
    const place = at === undefined ? `"${name}" behind ${segment.from}` : `"${at.name}" at ${at.offset}`;
    return new BackupError("FAILED", `Cannot replay ${place}: ${wordsOf(error.stderrTail)}`, {
      hint: "Look whether the copy and the logs are of one server; leave a transaction out with --exclude-gtid, or stop before it.",
      cause: error,
    });
  }

  /** The place in a log that a client complains of: it counts the lines of its input, so they are counted once more. */
  async #placeOf(said: string): Promise<{ readonly name: string; readonly offset: number } | undefined> {
    const wanted = Number(/^ERROR .* at line (\d+)/m.exec(said)?.[1]);
    try {
      return Number.isSafeInteger(wanted) ? await this.#placeOfLine(wanted) : undefined;
    } catch {
      // A log that was applied is gone already: then only the last one can be named.
      return undefined;
    }
  }

  async #placeOfLine(wanted: number): Promise<{ readonly name: string; readonly offset: number } | undefined> {
    let line = 1;
    for (const segment of this.#applied) {
      let offset = segment.from;
      for await (const text of linesOf(this.#reader(segment), this.#request.signal)) {
        const found = /^# at (\d+)$/.exec(text)?.[1];
        if (found !== undefined) offset = Number(found);
        if (line === wanted) return { name: basename(segment.file), offset };
        line += 1;
      }
      // The mark behind it.
      line += 1;
    }
    return undefined;
  }
}

/** The lines a program writes, each as far as it can be of interest. */
async function* linesOf(command: Command, signal: AbortSignal): AsyncGenerator<string, void> {
  let rest = "";
  for await (const chunk of run(command, { signal })) {
    const lines = (rest + Buffer.from(chunk).toString("latin1")).split("\n");
    rest = (lines.pop() ?? "").slice(0, 100);
    yield* lines;
  }
}

/** What the server said, as the client passes it on. */
function wordsOf(said: string): string {
  const [, words] = /^ERROR \d+ \(\w+\) at line \d+: (.*)$/m.exec(said) ?? [];
  return (words ?? (said.trim().split("\n").at(-1) || "the client quit")).slice(0, 500);
}

import { chmod, chown, mkdir, readFile, rm, stat } from "node:fs/promises";
import { connect } from "node:net";
import { basename, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { BackupError } from "../domain/errors.ts";
import { text } from "../lib/command.ts";
import { Program } from "../lib/program.ts";
import { meaningOf } from "../lib/system-error.ts";
import { leftTemporaryDirectories, makeTemporaryDirectory } from "../lib/temporary-directory.ts";
import { makeAccount, type PrivateAccount } from "./private-account.ts";
import {
  errorLogIn,
  LOOKING,
  type Place,
  readTablespaces,
  serverArguments,
  socketIn,
  type Tablespaces,
  writingArguments,
} from "./private-server-options.ts";
import { findServer, type Wanted } from "./server-binary.ts";
import { endOf, readErrorLog } from "./server-end.ts";
import { otherLetterCase, wordsOf } from "./server-words.ts";

const PREFIX = "twindb-server-";
const POLL_MS = 50;
const START_SECONDS = 600;
const STOP_MS = 60_000;
const STOP_ABORTED_MS = 2000;
/** Statements are logged with the words "the zone of the system", which is taken to be this host's. */
const LOCAL_TIME = { TZ: process.env["TZ"] ?? ":/etc/localtime" };
/** Bytes of a path of a socket, as the kernel limits it. */
const SOCKET_LIMIT = 107;

export type PrivateServerRequest = Wanted & {
  /**
   * Absolute path of a prepared data directory that is ours: the server writes to it, and as root it is given to the server's user,
   * who must be able to enter all directories above.
   */
  readonly directory: string;
  readonly signal: AbortSignal;
  /** Bound of the start; default 600. */
  readonly startSeconds?: number;
  /** Take up statements of binary logs: with accounts, `memoryBytes` for its buffer pool, and in the time zone of this host. */
  readonly writing?: { readonly memoryBytes: number };
};

/** A server of our own. Disposing it shuts it down cleanly; it is killed should this process die. */
export interface PrivateServer extends AsyncDisposable {
  /** Where it listens, for the account we run under only; without `defaultsFile` any user name will do, without a password. */
  readonly socket: string;
  /** Option file that logs in, where it was started to be written to. */
  readonly defaultsFile: string | undefined;
  /** The server's program; its tools lie beside it. */
  readonly program: string;

  /** Shut it down and wait as long as that takes: everything is in the data then. @throws {BackupError} when it ended otherwise. */
  shutDown(): Promise<void>;

  /** The reason behind an error met while talking to it: the server's own last words if it has ended, else the error itself. */
  explain(met: unknown): Promise<unknown>;
}

/**
 * Start a server on restored data, with settings of nobody: no network, no accounts, no replication, no events, no binary log, no cluster.
 * @throws {BackupError} CONFIG_INVALID when no server fit for the data is installed, DATA_DAMAGED with the server's own words when it
 * refuses the data, else the code of what kept it from starting.
 */
export async function startPrivateServer(request: PrivateServerRequest): Promise<PrivateServer> {
  const { directory, signal } = request;
  const file = await findServer(request, signal);
  for (const left of await leftTemporaryDirectories(PREFIX)) await rm(left, { recursive: true, force: true });
  const outer = await makeTemporaryDirectory(PREFIX);
  try {
    const tablespaces = await inspect(directory);
    const { owner, ...place } = await occupy(directory, outer, signal);
    const account = request.writing && (await makeAccount({ run: place.run, owner, outer }));
    const args = [...serverArguments(place, request.vendor, tablespaces), ...purposeArguments(request, account)];
    const start = { ...request, file, args, account, socket: socketIn(place.run), errorLog: errorLogIn(place.run) };
    return new OwnServer(await boot(start), { ...start, outer });
  } catch (error) {
    await rm(outer, { recursive: true, force: true });
    throw error;
  }
}

function purposeArguments({ writing, vendor }: PrivateServerRequest, account: PrivateAccount | undefined) {
  if (writing === undefined || account === undefined) return LOOKING;
  return writingArguments({ ...writing, ...account }, vendor);
}

/** An empty directory would start as well, and find all of its no tables in order. */
async function inspect(directory: string): Promise<Tablespaces> {
  const settings = await ifThere(join(directory, "backup-my.cnf"), (path) => readFile(path, "utf8"));
  // Copies by CLONE have no such file; their data needs the server's own defaults.
  const tablespaces = readTablespaces(settings ?? "");
  const { systemFile } = tablespaces;
  const stats = await ifThere(join(directory, systemFile), (path) => stat(path));
  if (stats?.isFile()) return tablespaces;
  throw new BackupError(
    "DATA_DAMAGED",
    `Cannot start a server on "${directory}": its file "${systemFile}" is not there`,
    {
      hint: "Look at what was restored into the directory.",
    },
  );
}

async function ifThere<T>(path: string, look: (path: string) => Promise<T>): Promise<T | undefined> {
  try {
    return await look(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    const { code, what } = meaningOf(error);
    throw new BackupError(code, `Cannot read "${path}": ${what}`, {
      hint: "Run as the user who restored the copy.",
      cause: error,
    });
  }
}

type Owner = { readonly uid: number; readonly gid: number };
type Occupied = Place & { readonly owner: Owner | undefined };

/** Make the directory the server runs in, and give both to the user it runs as. */
async function occupy(datadir: string, outer: string, signal: AbortSignal): Promise<Occupied> {
  const run = join(outer, "run");
  if (Buffer.byteLength(socketIn(run)) > SOCKET_LIMIT) {
    throw new BackupError("FAILED", `Cannot start a server in "${outer}": the path is too long for a socket`, {
      hint: "Set TMPDIR to a directory with a shorter path.",
    });
  }
  await mkdir(run, { mode: 0o700 });
  if (process.geteuid?.() !== 0) return { datadir, run, user: undefined, owner: undefined };
  const owner = await accountFor(datadir, signal);
  const { uid, gid } = owner;
  await text({ file: "chown", args: ["-R", "-h", `${uid}:${gid}`, "--", datadir] }, { signal });
  await chown(run, uid, gid);
  // So that the server gets through; what is in there stays its own.
  await chmod(outer, 0o711);
  return { datadir, run, user: String(uid), owner };
}

/** Servers refuse to run as root, rightly: whose the data is, else the user that packages make for them. */
async function accountFor(datadir: string, signal: AbortSignal): Promise<Owner> {
  const { uid, gid } = await stat(datadir);
  if (uid !== 0) return { uid, gid };
  try {
    const [user, group] = [await idOf("-u", signal), await idOf("-g", signal)];
    return { uid: user, gid: group };
  } catch (error) {
    signal.throwIfAborted();
    throw new BackupError("CONFIG_INVALID", 'Cannot start a server as root: there is no user "mysql"', {
      hint: "Make a system user mysql, as the packages of the server do.",
      cause: error,
    });
  }
}

async function idOf(which: "-u" | "-g", signal: AbortSignal): Promise<number> {
  return Number(await text({ file: "id", args: [which, "mysql"] }, { signal }));
}

type Boot = Pick<PrivateServerRequest, "directory" | "signal" | "startSeconds"> & {
  readonly file: string;
  readonly account: PrivateAccount | undefined;
  readonly args: readonly string[];
  readonly socket: string;
  readonly errorLog: string;
};

/** Start the program, and once again where the data asks for another setting. */
async function boot(request: Boot): Promise<Program> {
  const first = await attempt(request);
  if (!first.hasEnded) return first;
  const letterCase = otherLetterCase(await readErrorLog(request.errorLog));
  if (letterCase === undefined) throw await endOf({ ...request, program: first });
  await rm(request.errorLog);
  const second = await attempt({ ...request, args: [...request.args, `--lower-case-table-names=${letterCase}`] });
  if (second.hasEnded) throw await endOf({ ...request, program: second });
  return second;
}

/** @returns the program once it answers, or once it has ended by itself. */
async function attempt(request: Boot): Promise<Program> {
  const { file, args, account, socket, signal, startSeconds = START_SECONDS } = request;
  signal.throwIfAborted();
  const env = account === undefined ? {} : LOCAL_TIME;
  const program = new Program({ file, args, env }, { input: "ignore", output: "text" });
  const deadline = Date.now() + startSeconds * 1000;
  while (!program.hasEnded && !(await greets(socket))) {
    if (!signal.aborted && Date.now() < deadline) {
      await Promise.race([program.ended, pause(POLL_MS)]);
      continue;
    }
    program.kill("SIGKILL");
    await program.ended;
    signal.throwIfAborted();
    throw await tooLong(request, startSeconds);
  }
  if (program.hasEnded) await program.ended;
  return program;
}

async function tooLong({ file, directory, errorLog }: Boot, seconds: number): Promise<BackupError> {
  const message = `Cannot start "${basename(file)}" on "${directory}": no answer for ${seconds} seconds`;
  const { text } = wordsOf(await readErrorLog(errorLog));
  return new BackupError("PROGRAM_FAILED", message, { hint: `Look at what it was busy with: ${text}.` });
}

/** Whether a server greets whoever connects; until it is ready it keeps them waiting, or refuses them. */
function greets(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    const settle = (answer: boolean) => {
      resolve(answer);
      socket.destroy();
    };
    // Behind the header of four bytes: 10 for a greeting, 255 for an error.
    socket.once("data", (greeting: Buffer) => settle(greeting[4] === 10));
    socket.once("error", () => settle(false));
    socket.once("close", () => settle(false));
    socket.setTimeout(1000, () => settle(false));
  });
}

type Belongings = Boot & { readonly outer: string };

class OwnServer implements PrivateServer {
  readonly #program: Program;
  readonly #belongings: Belongings;

  constructor(program: Program, belongings: Belongings) {
    this.#program = program;
    this.#belongings = belongings;
  }

  get socket(): string {
    return this.#belongings.socket;
  }

  get defaultsFile(): string | undefined {
    return this.#belongings.account?.defaultsFile;
  }

  get program(): string {
    return this.#belongings.file;
  }

  async shutDown(): Promise<void> {
    const { signal } = this.#belongings;
    const onAbort = () => this.#program.kill("SIGKILL");
    signal.addEventListener("abort", onAbort);
    if (!this.#program.hasEnded) this.#program.kill("SIGTERM");
    await this.#program.ended;
    signal.removeEventListener("abort", onAbort);
    signal.throwIfAborted();
    if (this.#program.exitCode !== 0) throw await endOf({ ...this.#belongings, program: this.#program });
  }

  async explain(met: unknown): Promise<unknown> {
    // Its sessions break off before the end of the process is known.
    await Promise.race([this.#program.ended, pause(1000, undefined, { ref: false })]);
    return this.#program.hasEnded ? endOf({ ...this.#belongings, program: this.#program }) : met;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { signal, outer } = this.#belongings;
    if (!this.#program.hasEnded) this.#program.kill("SIGTERM");
    const timer = setTimeout(() => this.#program.kill("SIGKILL"), signal.aborted ? STOP_ABORTED_MS : STOP_MS);
    await this.#program.ended;
    clearTimeout(timer);
    await rm(outer, { recursive: true, force: true });
  }
}

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { freePort } from "./ports.ts";
import { copyTemplate } from "./template.ts";

/** A private database server on loopback. */
export type Database = {
  /** Scratch directory, readable by the server. */
  readonly root: string;
  readonly datadir: string;
  readonly socket: string;
  readonly port: number;
  readonly pid: number;
  /** Option file, 0600, with a section `[client]` that logs in as the administrator over the socket. */
  readonly defaultsFile: string;
  /** Where the server writes what it has to say. */
  readonly errorLog: string;
  /** Command of its client, without arguments. */
  readonly client: string;
  /** Run statements with the client. @returns its rows: values parted by tabs, without names of columns. */
  readonly sql: (text: string) => Promise<string>;
  /** Shut down cleanly and remove the scratch directory; a data directory that was given stays where it is. */
  stop(): Promise<void>;
  /** Shut down cleanly, and leave the files. */
  shutDown(): Promise<void>;
  /** End with SIGKILL, and leave the files. */
  kill(): void;
};

export type DatabaseOptions = {
  /** Further lines of the section `[mysqld]`; they win. */
  readonly lines?: readonly string[];
  /** Start on this data directory, such as a restored one; as root it is given to the server's user. */
  readonly datadir?: string;
  /** Scratch directory instead of a new one. */
  readonly root?: string;
  /** Further arguments, such as `--wsrep-new-cluster`. */
  readonly args?: readonly string[];
  /** Port instead of a free one. */
  readonly port?: number;
  /** Seconds it has to answer; default 30. */
  readonly startSeconds?: number;
};

/** One kind of server programs. */
export type Product = {
  /** Name and version; names the template of its data directory. */
  readonly name: string;
  readonly server: string;
  readonly client: string;
  /** Lines of `[mysqld]`. */
  readonly lines: readonly string[];
  /** The system user it runs as when the tests run as root. */
  readonly user: string;
  /** The database's own administrator, who logs in over the socket without a password. */
  readonly administrator: string;
  /** Make a data directory that is not there yet. */
  readonly initialise: (datadir: string) => void;
};

/** Small: many of them may run side by side. */
const LINES = [
  "bind-address=127.0.0.1",
  "skip-name-resolve",
  "log_bin=binlog",
  "binlog_format=ROW",
  "innodb_buffer_pool_size=24M",
  "max_connections=40",
  "table_open_cache=200",
  "performance_schema=OFF",
];

export function isRoot(): boolean {
  return userInfo().uid === 0;
}

/** Start a private server. It does not outlive the test runner. */
export async function startDatabase(product: Product, options: DatabaseOptions = {}): Promise<Database> {
  const root = options.root ?? mkdtempSync(join(tmpdir(), "database-"));
  const files = {
    root,
    datadir: options.datadir ?? join(root, "data"),
    socket: join(root, "run", "socket"),
    port: options.port ?? (await freePort()),
    defaultsFile: join(root, "client.cnf"),
    errorLog: join(root, "error.log"),
  };
  lay(product, files, options);
  const daemon = spawnServer(product, files, options.args ?? []);
  const sql = (text: string) => runClient(product.client, files.defaultsFile, text);
  try {
    await untilReady({ daemon, errorLog: files.errorLog, sql, seconds: options.startSeconds ?? 30 });
  } catch (error) {
    await end(daemon);
    if (options.root === undefined) rmSync(root, { recursive: true, force: true });
    throw error;
  }
  return {
    ...files,
    pid: daemon.pid ?? 0,
    client: product.client,
    sql,
    stop: async () => {
      await end(daemon);
      rmSync(root, { recursive: true, force: true });
    },
    shutDown: () => end(daemon),
    kill: () => void daemon.kill("SIGKILL"),
  };
}

type Files = Pick<Database, "root" | "datadir" | "socket" | "port" | "defaultsFile" | "errorLog">;

/** Put in place all that the server reads. */
function lay(product: Product, files: Files, { datadir, lines = [] }: DatabaseOptions): void {
  const run = join(files.root, "run");
  mkdirSync(run, { recursive: true });
  chmodSync(files.root, 0o755);
  if (datadir === undefined && !existsSync(files.datadir)) copyTemplate(product, files.datadir);
  writeFileSync(join(files.root, "my.cnf"), serverConfig(files, [...LINES, ...product.lines, ...lines]));
  const login = `user=${product.administrator}\nsocket=${files.socket}`;
  writeFileSync(files.defaultsFile, `[client]\n${login}\n`, { mode: 0o600 });
  if (isRoot()) execFileSync("chown", ["-R", product.user, files.datadir, run]);
}

function serverConfig({ root, datadir, socket, port }: Files, lines: readonly string[]): string {
  return [
    "[mysqld]",
    `datadir=${datadir}`,
    `socket=${socket}`,
    `port=${port}`,
    `pid-file=${join(root, "run", "pid")}`,
    `tmpdir=${join(root, "run")}`,
    `server_id=${port}`,
    ...lines,
    "",
  ].join("\n");
}

function spawnServer({ server, user }: Product, { root, errorLog }: Files, args: readonly string[]): ChildProcess {
  const log = openSync(errorLog, "a");
  // The wish to die with its parent is lost by a program that changes its user, so that is done before.
  const become = isRoot() ? ["--reuid", user, "--regid", user, "--clear-groups"] : [];
  const command = [server, `--defaults-file=${join(root, "my.cnf")}`, ...args];
  const daemon = spawn("setpriv", [...become, "--pdeathsig", "KILL", "--", ...command], {
    stdio: ["ignore", log, log],
    cwd: "/",
  });
  closeSync(log);
  return daemon;
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

type Starting = Pick<Database, "errorLog" | "sql"> & { readonly daemon: ChildProcess; readonly seconds: number };

async function untilReady({ daemon, errorLog, sql, seconds }: Starting): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    await pause(50);
    const refusal = await sql("SELECT 1").catch((error: unknown) => String(error));
    if (refusal === "1") return;
    if (!hasEnded(daemon) && Date.now() < deadline) continue;
    daemon.kill("SIGKILL");
    const log = readFileSync(errorLog, "utf8").split("\n").slice(-30).join("\n");
    throw new Error(`the server does not answer: ${refusal}\n${log}`);
  }
}

async function end(daemon: ChildProcess): Promise<void> {
  if (hasEnded(daemon)) return;
  const ended = new Promise((resolve) => daemon.once("exit", resolve));
  daemon.kill("SIGTERM");
  const timer = setTimeout(() => daemon.kill("SIGKILL"), 30_000);
  await ended;
  clearTimeout(timer);
}

function runClient(client: string, defaultsFile: string, text: string): Promise<string> {
  const child = spawn(client, [`--defaults-file=${defaultsFile}`, "--batch", "--skip-column-names"], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  const output: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
  // It may quit at the first bad statement, before it has read all of them.
  child.stdin.on("error", () => {});
  child.stdin.end(text);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (exitCode) => {
      if (exitCode === 0) resolve(Buffer.concat(output).toString("utf8").replace(/\n$/, ""));
      else reject(new Error(`the client failed: ${Buffer.concat(errors).toString("utf8").trim()}`));
    });
  });
}

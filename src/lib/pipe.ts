import { execFile } from "node:child_process";
import { closeSync, constants, fstatSync, futimesSync, openSync, readSync, writeSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { childEnvironment } from "./environment.ts";
import { leftTemporaryDirectories, makeTemporaryDirectory } from "./temporary-directory.ts";

/** Start of the name of the directory that holds pipes for the milliseconds until they are open. */
const PIPE_DIRECTORY_PREFIX = "twindb-backup-pipes-";

/** Where to go when the place for temporary files stamps no pipes, as overlayfs, the root of most containers, does not. */
const OTHER_PLACES = ["/dev/shm", "/run"] as const;

/**
 * A pipe of the kernel that can be handed to programs at both ends.
 *
 * Node cannot make one, so it is a FIFO that is unlinked as soon as it is open. `witness` is a second,
 * non-blocking read end of our own: while it is open, a writer whose reader quit waits instead of dying, so
 * that the bytes nobody read can be seen.
 */
export class Pipe {
  readonly #open = new Map<"read" | "write" | "witness", number>();
  /** Whether the filesystem notes when the pipe is written to. */
  readonly isStamped: boolean;

  constructor(path: string) {
    // Opening for both ways does not block on Linux, and lets the one-way ends open without waiting for each other.
    const both = openSync(path, constants.O_RDWR);
    this.#open.set("read", openSync(path, constants.O_RDONLY));
    this.#open.set("write", openSync(path, constants.O_WRONLY));
    this.#open.set("witness", openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
    closeSync(both);
    this.isStamped = this.#tryStamp();
  }

  #tryStamp(): boolean {
    const witness = this.end("witness");
    futimesSync(witness, 0, 0);
    writeSync(this.end("write"), Buffer.alloc(1));
    readSync(witness, Buffer.alloc(1));
    const isStamped = fstatSync(witness).mtimeMs !== 0;
    futimesSync(witness, 0, 0);
    return isStamped;
  }

  /** The file descriptor of an end that is still open here. */
  end(name: "read" | "write" | "witness"): number {
    const fd = this.#open.get(name);
    if (fd === undefined) throw new TypeError(`the ${name} end of the pipe is closed`);
    return fd;
  }

  /** Close one end here; closing twice is no error. */
  close(name: "read" | "write" | "witness"): void {
    const fd = this.#open.get(name);
    if (fd === undefined) return;
    this.#open.delete(name);
    closeSync(fd);
  }

  closeAll(): void {
    for (const name of ["read", "write", "witness"] as const) this.close(name);
  }

  /**
   * When the last write ended, in milliseconds; 0 when nothing was ever written; `undefined` once the witness is closed.
   * The kernel stamps a pipe at each write, and it was stamped with 0 when it was made. Where no filesystem does that, nobody
   * can know: then it is now, so that nothing is blamed for silence.
   */
  lastWrite(): number | undefined {
    const fd = this.#open.get("witness");
    if (fd === undefined) return undefined;
    return this.isStamped ? fstatSync(fd).mtimeMs : Date.now();
  }

  /** Whether bytes lie in the pipe that nobody read. Takes one out, so ask only after the reader is gone. */
  hasLeftover(): boolean {
    try {
      return readSync(this.end("witness"), Buffer.alloc(1)) > 0;
    } catch (error) {
      // Nothing to read while a writer still has it open.
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") return false;
      throw error;
    }
  }
}

/** Open `count` pipes, where they are stamped if there is such a place. */
export async function openPipes(count: number): Promise<Pipe[]> {
  if (count === 0) return [];
  const pipes = await openIn(tmpdir(), count);
  if (areStamped(pipes)) return pipes;
  for (const place of OTHER_PLACES) {
    const others = await openIn(place, count).catch(() => []);
    if (areStamped(others)) {
      for (const pipe of pipes) pipe.closeAll();
      return others;
    }
    for (const pipe of others) pipe.closeAll();
  }
  return pipes;
}

function areStamped(pipes: readonly Pipe[]): boolean {
  return pipes.length > 0 && pipes.every(({ isStamped }) => isStamped);
}

async function openIn(place: string, count: number): Promise<Pipe[]> {
  const directory = await makeTemporaryDirectory(PIPE_DIRECTORY_PREFIX, place);
  try {
    const paths = Array.from({ length: count }, (_, index) => join(directory, String(index)));
    await promisify(execFile)("mkfifo", ["-m", "600", "--", ...paths], { env: childEnvironment() });
    return paths.map((path) => new Pipe(path));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Remove the directories of pipes that killed runs left. */
export async function sweepPipes(): Promise<void> {
  const others = OTHER_PLACES.map((place) => leftTemporaryDirectories(PIPE_DIRECTORY_PREFIX, place).catch(() => []));
  const left = await Promise.all([leftTemporaryDirectories(PIPE_DIRECTORY_PREFIX), ...others]);
  for (const path of left.flat()) await rm(path, { recursive: true, force: true });
}

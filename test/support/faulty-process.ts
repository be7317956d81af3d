import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PROGRAM = new URL("use-local.ts", import.meta.url).pathname;

/** One thread does all file work, so that system calls have the same order on every run. */
const ENVIRONMENT = { ...process.env, UV_THREADPOOL_SIZE: "1", NODE_OPTIONS: "", NODE_NO_WARNINGS: "1" };

/** What `use-local.ts` is told: verb, directory, key, length of the content. */
export type Use = readonly [verb: "put" | "race" | "replace", directory: string, key: string, bytes: number];

/** What it printed, or the signal that ended it. */
export type Outcome = {
  readonly ok?: unknown;
  readonly code?: string;
  readonly message?: string;
  readonly hint?: string;
  readonly retryable?: boolean;
  readonly signal?: string;
};

/** A system call on a path, such as the first `fsync` of a path that ends in `/daily`. */
export type SystemCall = { readonly name: string; readonly on: RegExp };

export function hasStrace(): boolean {
  return spawnSync("strace", ["-V"]).status === 0;
}

/** Run it below a program that gets the command line appended, such as `prlimit`. */
export function useLocal(use: Use, wrapper: readonly string[] = []): Outcome {
  const [file = "", ...args] = [...wrapper, process.execPath, PROGRAM, ...use.map(String)];
  return outcomeOf(spawnSync(file, args, { encoding: "utf8", env: ENVIRONMENT }));
}

/**
 * Run it with a fault at one system call, such as `error=EIO` or `signal=SIGKILL`.
 * @param rehearsal the same use in a directory of the same content, to find the number of that call.
 */
export function useFaulty(use: Use, rehearsal: Use, { call, fault }: { call: SystemCall; fault: string }): Outcome {
  const number = numberOf(call, rehearsal);
  return useLocal(use, ["strace", "-f", "-qq", "-o", "/dev/null", "-e", `inject=${call.name}:${fault}:when=${number}`]);
}

/** How many calls of that name its thread has made by then, itself included; strace counts in this way. */
function numberOf({ name, on }: SystemCall, rehearsal: Use): number {
  const directory = mkdtempSync(join(tmpdir(), "trace-"));
  try {
    const log = join(directory, "log");
    useLocal(rehearsal, ["strace", "-f", "-y", "-qq", "-o", log, "-e", `trace=${name}`]);
    const calls = readFileSync(log, "utf8")
      .split("\n")
      .filter((line) => line.includes(`${name}(`));
    const index = calls.findIndex((line) => on.test(line));
    if (index < 0) throw new Error(`no ${name} on ${on}:\n${calls.join("\n")}`);
    const thread = calls[index]?.split(" ")[0];
    return calls.slice(0, index + 1).filter((line) => line.split(" ")[0] === thread).length;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function outcomeOf({ stdout, stderr, status, signal, error }: SpawnSyncReturns<string>): Outcome {
  if (error !== undefined) throw error;
  // strace ends as the program it ran did.
  if (signal !== null) return { signal };
  if (status !== 0) throw new Error(`exit status ${status}: ${stderr}`);
  return JSON.parse(stdout) as Outcome;
}

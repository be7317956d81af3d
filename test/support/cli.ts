import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PROGRAM = new URL("../../bin/twindb-backup", import.meta.url).pathname;

export type Result = {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
};

export type RunOptions = {
  readonly env?: Readonly<Record<string, string>>;
  /** Called with the pid as soon as the program runs. */
  readonly onStart?: (pid: number) => void;
  /** Words before the program, such as a tracer. */
  readonly wrapper?: readonly string[];
};

/** A place for one end-to-end test: a config, a destination, a lock, and the built program. */
export class Sandbox implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), "twindb-e2e-"));
  readonly configPath = join(this.root, "twindb-backup.cfg");
  readonly copies = join(this.root, "copies");
  readonly lock = join(this.root, "run.lock");
  /** Where its runs keep temporary files, so that those of other tests are not taken for theirs. */
  readonly temporary = join(this.root, "tmp");
  /** What every run gets that does not say otherwise. */
  surroundings: RunOptions = {};

  constructor() {
    // Servers that are started on a copy run as a user of their own.
    chmodSync(this.root, 0o711);
    mkdirSync(this.temporary);
    chmodSync(this.temporary, 0o1777);
  }

  path(...parts: readonly string[]): string {
    return join(this.root, ...parts);
  }

  directory(...parts: readonly string[]): string {
    const path = this.path(...parts);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** Write the config: sections of keys. */
  configure(sections: Readonly<Record<string, Readonly<Record<string, string | number>>>>): void {
    const all = { run: {}, ...sections };
    const text = Object.entries(all).map(([section, keys]) => {
      const extra =
        section === "run" ? { measures_log: this.path("measures.log"), pause_file: this.path("paused.json") } : {};
      const lines = Object.entries({ ...extra, ...keys }).map(([key, value]) => `${key}=${value}`);
      return [`[${section}]`, ...lines, ""].join("\n");
    });
    writeFileSync(this.configPath, text.join("\n"), { mode: 0o600 });
  }

  /** Run the program. `backup` gets this sandbox's lock. */
  run(args: readonly string[], changes: RunOptions = {}): Promise<Result> {
    const options = { ...this.surroundings, ...changes };
    const whole = args[0] === "backup" ? [...args, "--lock-file", this.lock] : args;
    const words = [...(options.wrapper ?? []), PROGRAM, "--config", this.configPath, ...whole];
    const child = spawn(words[0] ?? PROGRAM, words.slice(1), {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: "/usr/bin:/bin", HOME: process.env["HOME"] ?? "/", TMPDIR: this.temporary, ...options.env },
    });
    if (child.pid !== undefined) options.onStart?.(child.pid);
    const output = { stdout: "", stderr: "" };
    child.stdout.on("data", (chunk: Buffer) => (output.stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (output.stderr += chunk.toString()));
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (exitCode, signal) => resolve({ exitCode, signal, ...output }));
    });
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

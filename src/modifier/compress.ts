import { availableParallelism } from "node:os";
import { BackupError } from "../domain/errors.ts";
import type { Command } from "../lib/command.ts";
import { requireProgram } from "../lib/programs.ts";
import type { Modifier } from "./modifier.ts";
import type { CompressionOptions, Compressor } from "./options.ts";

type Setting = { readonly level: number; readonly threads: number };

type Program = {
  readonly suffix: `.${string}`;
  readonly levels: readonly [lowest: number, highest: number];
  readonly level: number;
  /** How many CPUs to leave to others when nobody says how many threads to use. */
  readonly spareCpus: number;
  /** Arguments that compress stdin to stdout. */
  readonly compress: (setting: Setting) => readonly string[];
  /** Arguments that decompress stdin to stdout. */
  readonly decompress: (threads: number) => readonly string[];
};

/**
 * Every program, the fastest of a suffix first. What a reader cannot make of its input ends it with a status other
 * than 0; only the two of `.bz` pass over bytes behind the end, after all data was delivered.
 */
const PROGRAMS = {
  pigz: {
    suffix: ".gz",
    levels: [1, 9],
    level: 6,
    spareCpus: 1,
    compress: ({ level, threads }) => ["-c", `-${level}`, "-p", `${threads}`],
    // Without -v it passes over bytes behind the end in silence, with status 0.
    decompress: () => ["-d", "-c", "-v"],
  },
  gzip: {
    suffix: ".gz",
    levels: [1, 9],
    level: 6,
    spareCpus: 0,
    compress: ({ level }) => ["-c", `-${level}`],
    decompress: () => ["-d", "-c"],
  },
  lbzip2: {
    suffix: ".bz",
    levels: [1, 9],
    level: 9,
    spareCpus: 1,
    compress: ({ level, threads }) => ["-c", `-${level}`, "-n", `${threads}`],
    decompress: (threads) => ["-d", "-c", "-n", `${threads}`],
  },
  bzip2: {
    suffix: ".bz",
    levels: [1, 9],
    level: 9,
    spareCpus: 0,
    compress: ({ level }) => ["-c", `-${level}`],
    decompress: () => ["-d", "-c"],
  },
  zstd: {
    suffix: ".zst",
    levels: [1, 19],
    level: 3,
    spareCpus: 0,
    compress: ({ level, threads }) => ["-q", "-c", "--check", `-${level}`, `-T${threads}`],
    decompress: () => ["-d", "-q", "-c"],
  },
  xz: {
    suffix: ".xz",
    levels: [0, 9],
    level: 6,
    spareCpus: 0,
    // A thread of level 6 takes about 100 MB: on many CPUs fewer threads run rather than the host out of memory.
    compress: ({ level, threads }) => [
      "-q",
      "-c",
      "--check=crc64",
      "--memlimit-compress=25%",
      `-${level}`,
      `-T${threads}`,
    ],
    decompress: (threads) => ["-d", "-q", "-c", `-T${threads}`],
  },
  lz4: {
    suffix: ".lz4",
    levels: [1, 12],
    level: 1,
    spareCpus: 0,
    compress: ({ level }) => ["-q", "-c", "--frame-crc", `-${level}`],
    // An empty input ends with status 0; that nothing was written is noticed by the pipeline.
    decompress: () => ["-d", "-q", "-c"],
  },
} as const satisfies Record<Exclude<Compressor, "none">, Program>;

const MAX_THREADS = 1024;

function invalid(what: string, need: string, key: string): BackupError {
  return new BackupError("CONFIG_INVALID", `Cannot use ${what}: ${need}`, {
    hint: `Correct ${key} under [compression], or remove the line.`,
  });
}

function settingFor(name: string, program: Program, options: CompressionOptions): Setting {
  const [lowest, highest] = program.levels;
  const level = options.level ?? program.level;
  const threads = options.threads ?? Math.max(1, availableParallelism() - program.spareCpus);
  if (!Number.isInteger(level) || level < lowest || level > highest) {
    throw invalid(`level "${level}" with ${name}`, `it must be ${lowest} to ${highest}`, "level");
  }
  if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS) {
    throw invalid(`"${threads}" threads`, `it must be 1 to ${MAX_THREADS}`, "threads");
  }
  return { level, threads };
}

/**
 * The configured compression, or `undefined` for `none`.
 * @throws {BackupError} CONFIG_INVALID for a level or a number of threads the program does not have.
 */
export function compress(options: CompressionOptions): Modifier | undefined {
  const name = options.program;
  if (name === "none") return undefined;
  const program: Program = PROGRAMS[name];
  return {
    name,
    suffix: program.suffix,
    apply: { file: name, args: program.compress(settingFor(name, program, options)) },
    revert: { file: name, args: program.decompress(availableParallelism()) },
    async check({ signal }) {
      signal.throwIfAborted();
      requireProgram(name, "the compression of copies");
    },
  };
}

/** Commands that decompress what ends in `suffix`, the fastest first; none for a suffix that no compression has. */
export function decompressors(suffix: string): Command[] {
  return Object.entries<Program>(PROGRAMS)
    .filter(([, program]) => program.suffix === suffix)
    .map(([name, program]) => ({ file: name, args: program.decompress(availableParallelism()) }));
}

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";

/** One command line, and what has to happen before each run of it. */
export type Subject = { readonly name: string; readonly argv: readonly string[]; readonly before?: () => void };

/** What one run took. `peakMiB` is the largest resident size of the first process itself. */
export type Sample = { readonly wall: number; readonly cpu: number; readonly peakMiB: number };

const POLL_MS = 20;

function peakOf(pid: number): number {
  try {
    const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
    return Number(match?.[1] ?? 0) / 1024;
  } catch {
    // It has just ended.
    return 0;
  }
}

/** Run a command under `time`, which counts the CPU of every process it waited for. */
async function runOnce({ name, argv, before }: Subject): Promise<Sample> {
  before?.();
  const started = performance.now();
  const child = spawn("/usr/bin/time", ["-f", "%U %S", "--", ...argv], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  let peakMiB = 0;
  const timer = setInterval(() => {
    const kids = childrenOf(child.pid ?? 0);
    peakMiB = Math.max(peakMiB, ...kids.map(peakOf));
  }, POLL_MS);
  const exitCode = await new Promise((resolve) => child.once("close", resolve));
  clearInterval(timer);
  const wall = (performance.now() - started) / 1000;
  const [user = "0", system = "0"] = said.trim().split("\n").at(-1)?.split(" ") ?? [];
  if (exitCode !== 0) throw new Error(`${name} exited with ${String(exitCode)}: ${said}`);
  return { wall, cpu: Number(user) + Number(system), peakMiB };
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const middle = Math.floor(sorted.length / 2);
  const [low = 0, high = 0] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]];
  return (low + high) / 2;
}

/** The first subject against each other one, the runs interleaved A B C A B C; ratios run by run, their medians. */
export async function compare(subjects: readonly Subject[], rounds: number): Promise<string[]> {
  const samples = subjects.map((): Sample[] => []);
  for (const subject of subjects) await runOnce(subject);
  for (let round = 0; round < rounds; round++) {
    for (const [index, subject] of subjects.entries()) samples[index]?.push(await runOnce(subject));
  }
  const ours = samples[0] ?? [];
  return subjects.map((subject, index) => {
    const theirs = samples[index] ?? [];
    const of = (pick: (sample: Sample) => number) => median(theirs.map(pick)).toFixed(2);
    const row = `  ${subject.name.padEnd(42)} wall ${of((s) => s.wall)} s  cpu ${of((s) => s.cpu)} s`;
    if (index === 0) return `${row}  peak ${of((s) => s.peakMiB)} MiB`;
    const peak = `  peak ${of((s) => s.peakMiB)} MiB`;
    const ratio = (pick: (sample: Sample) => number) =>
      median(theirs.map((sample, round) => pick(ours[round] ?? sample) / pick(sample))).toFixed(2);
    return `${row}  ours/it: wall ${ratio((s) => s.wall)}  cpu ${ratio((s) => s.cpu)}${peak}`;
  });
}

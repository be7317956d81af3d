import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** Whether a process is a child of `run` that runs `name` with `word` as an argument. */
function isChild(pid: string, { run, name, word }: { run: number; name: string; word: string }): boolean {
  try {
    const [file = "", ...words] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    const parent = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return Number(parent) === run && file.endsWith(name) && words.includes(word);
  } catch {
    // Gone between the two looks.
    return false;
  }
}

/** The pid of a program of the pipeline that a run started, once it is there. */
export async function childOf(run: number, name: string, word: string): Promise<number> {
  for (let tries = 0; tries < 2000; tries++) {
    const pid = readdirSync("/proc").find((entry) => /^\d+$/.test(entry) && isChild(entry, { run, name, word }));
    if (pid !== undefined) return Number(pid);
    await sleep(2);
  }
  throw new Error(`no ${name} was started`);
}

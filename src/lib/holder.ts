import { readFileSync } from "node:fs";

/** Who holds a lock; enough to tell whether that very process still runs. */
export type Holder = {
  readonly pid: number;
  /** Clock ticks between boot and the start of the process: tells a reused pid from the holder. */
  readonly startTime: string;
  readonly bootId: string;
};

function readOr(path: string, missing: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    // No such process, or no /proc: the caller compares, and the two never compare equal.
    return missing;
  }
}

/** Start time of a process, field 22 of `/proc/PID/stat` (proc(5)); the name before it may hold spaces and brackets. */
function startTimeOf(pid: number): string | undefined {
  const stat = readOr(`/proc/${pid}/stat`, "");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
}

/** This process. */
export function ourselves(): Holder {
  return {
    pid: process.pid,
    startTime: startTimeOf(process.pid) ?? "",
    bootId: readOr("/proc/sys/kernel/random/boot_id", ""),
  };
}

/** Whether the process that wrote `holder` is certainly gone: rebooted since, ended, or its pid belongs to another. */
export function isGone(holder: Holder): boolean {
  const bootId = readOr("/proc/sys/kernel/random/boot_id", "");
  if (bootId === "" || holder.bootId === "") return false;
  return holder.bootId !== bootId || startTimeOf(holder.pid) !== holder.startTime;
}

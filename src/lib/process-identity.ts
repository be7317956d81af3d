import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined; // Not every system has it; who asks can do without.
  }
}

/** Pids mean something within one pid namespace only, and two containers may share a machine id. */
function pidNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return ""; // Not Linux, or /proc is hidden: as far as we can tell there is one namespace then.
  }
}

let machine: string | undefined;

/** Name of the machine on which our pids mean something: 12 hex digits that do not give away the machine id. */
export function machineId(): string {
  const identity = (): string => `${read("/etc/machine-id") || hostname()} ${pidNamespace()}`;
  machine ??= createHash("sha256").update(identity()).digest("hex").slice(0, 12);
  return machine;
}

/**
 * Clock ticks from boot to the start of a process; tells a reused pid apart.
 * Field 22 of /proc/PID/stat; the second may hold spaces and brackets, so counting starts after its last bracket.
 */
export function startTimeOf(pid: number): string | undefined {
  const stat = read(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
}

/** Differs after each start of the machine. */
export function bootId(): string | undefined {
  return read("/proc/sys/kernel/random/boot_id");
}

/** Whether a process with this pid runs here. */
export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // EPERM: it runs as another user.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";

/** Whose a temporary object is. */
export type TemporaryOwner = { readonly machine: string; readonly pid: number };

/** 12 hex digits that stay the same on this machine and tell it from others. */
export function machineId(): string {
  return createHash("sha256").update(machineText()).digest("hex").slice(0, 12);
}

/** A name nobody else picks, such as `5f1c0a9be3d2-4711-9c0e1d2f3a4b5c6d`. */
export function temporaryName(): string {
  return `${machineId()}-${process.pid}-${randomBytes(8).toString("hex")}`;
}

/** Who made a temporary object of that name; `undefined` when it is no such name. */
export function temporaryOwner(name: string): TemporaryOwner | undefined {
  const match = /^(?<machine>[0-9a-f]{12})-(?<pid>\d{1,10})-[0-9a-f]{16}$/.exec(name);
  const { machine, pid } = match?.groups ?? {};
  return machine === undefined || pid === undefined ? undefined : { machine, pid: Number(pid) };
}

/** Whether a temporary name is that of a process of this machine which has ended. */
export function isLeftover(name: string): boolean {
  const owner = temporaryOwner(name);
  return owner !== undefined && owner.machine === machineId() && !isRunning(owner.pid);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it runs as another user.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function machineText(): string {
  try {
    const text = readFileSync("/etc/machine-id", "utf8").trim();
    if (text !== "") return text;
  } catch {
    // Containers often have none; the host name is the next best.
  }
  return hostname();
}

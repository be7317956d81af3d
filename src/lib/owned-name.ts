import { randomBytes } from "node:crypto";
import { type Holder, isGone, ourselves } from "./holder.ts";
import { machineId } from "./process-identity.ts";

/** `<machine>-<pid>-<start time>-<random>`, such as `5f1c0a9be3d2-4711-676977-528f55de`. */
const MARK = /^([0-9a-f]{12})-(\d+)-(\d+)-[0-9a-f]{8}$/;

/** A name that says which process made it, and that nobody else picks. */
export function ownedName(prefix: string): string {
  const { pid, startTime } = ourselves();
  return `${prefix}${machineId()}-${pid}-${startTime}-${randomBytes(4).toString("hex")}`;
}

/** Whether `name` is an `ownedName()` with this prefix whose maker has certainly ended; `false` for one of another machine. */
export function isLeftover(name: string, prefix: string): boolean {
  if (!name.startsWith(prefix)) return false;
  const [, machine, pid, startTime] = MARK.exec(name.slice(prefix.length)) ?? [];
  if (machine !== machineId() || startTime === undefined) return false;
  const maker: Holder = { ...ourselves(), pid: Number(pid), startTime };
  return isGone(maker);
}

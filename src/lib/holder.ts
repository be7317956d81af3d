import { bootId, startTimeOf } from "./process-identity.ts";

/** Who holds a lock; enough to tell whether that very process still runs. */
export type Holder = {
  readonly pid: number;
  /** Clock ticks between boot and the start of the process: tells a reused pid from the holder. */
  readonly startTime: string;
  readonly bootId: string;
};

/** This process. */
export function ourselves(): Holder {
  return { pid: process.pid, startTime: startTimeOf(process.pid) ?? "", bootId: bootId() ?? "" };
}

/** Whether the process that wrote `holder` is certainly gone: rebooted since, ended, or its pid belongs to another. */
export function isGone(holder: Holder): boolean {
  const boot = bootId();
  if (boot === undefined || holder.bootId === "") return false;
  return holder.bootId !== boot || startTimeOf(holder.pid) !== holder.startTime;
}

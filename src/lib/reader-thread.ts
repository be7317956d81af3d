import { readSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { CONTROL, type Shared, SLOT_BYTES, SLOTS } from "./reader.ts";

/** Fills slots from the pipe with blocking reads, so that the programs before it never wait for the main thread. */
function fill({ fd, control, slots }: Shared): void {
  const counters = new Int32Array(control);
  for (let index = 0; ; index++) {
    waitForRoom(counters, index);
    const slot = new Uint8Array(slots, (index % SLOTS) * SLOT_BYTES, SLOT_BYTES);
    const bytes = fillSlot(fd, slot, counters);
    if (Atomics.load(counters, CONTROL.stop) === 1) return;
    parentPort?.postMessage(bytes);
    if (bytes < SLOT_BYTES) return;
  }
}

function waitForRoom(counters: Int32Array, index: number): void {
  for (;;) {
    const released = Atomics.load(counters, CONTROL.released);
    if (index - released < SLOTS || Atomics.load(counters, CONTROL.stop) === 1) return;
    Atomics.wait(counters, CONTROL.released, released);
  }
}

/** @returns the bytes in the slot; fewer than it holds means the pipe has ended. */
function fillSlot(fd: number, slot: Uint8Array, counters: Int32Array): number {
  let filled = 0;
  while (filled < slot.length && Atomics.load(counters, CONTROL.stop) === 0) {
    const bytes = readSync(fd, slot, filled, slot.length - filled, null);
    if (bytes === 0) return filled;
    filled += bytes;
  }
  return filled;
}

fill(workerData as Shared);

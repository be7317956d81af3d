import { setTimeout as sleep } from "node:timers/promises";

const WAIT_MS = 20_000;
const POLL_MS = 50;

/** Wait until something holds. @throws {Error} after 20 seconds. */
export async function waitFor(holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + WAIT_MS; !(await holds()); ) {
    if (Date.now() > deadline) throw new Error(`${holds.toString()} did not come true`);
    await sleep(POLL_MS);
  }
}

import type { Config } from "../config/options.ts";
import { humanTime, printable } from "../domain/human.ts";
import { isPaused, type Pause } from "../domain/pause.ts";
import { readPause } from "../job/pause.ts";

/** What there is to know of a pause of this host. */
export type PauseState = {
  /** The pause that is in force now. */
  readonly pause: Pause | undefined;
  /** What people should be told; `undefined` without a pause. */
  readonly notice: string | undefined;
};

/** Whether the runs of this host are paused now. A pause that cannot be read, or cannot be, pauses nothing, and is told. */
export async function pauseState({ run: { pauseFile: path } }: Config, now: Date): Promise<PauseState> {
  const found = await readPause({ path });
  if (found === undefined) return { pause: undefined, notice: undefined };
  if (found === "damaged") {
    return { pause: undefined, notice: `"${path}" cannot be read, so nothing is paused; remove it` };
  }
  if (isPaused(found, now)) {
    const notice = `the runs of this host are paused until ${humanTime(found.until)}, by ${printable(found.by)}`;
    return { pause: found, notice };
  }
  if (found.until <= now) return { pause: undefined, notice: undefined };
  const notice = `"${path}" names a pause that is too long for one, so nothing is paused; look at the clock`;
  return { pause: undefined, notice };
}

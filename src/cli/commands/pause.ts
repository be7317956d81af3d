import { BackupError } from "../../domain/errors.ts";
import { humanTime } from "../../domain/human.ts";
import { newPause } from "../../domain/pause.ts";
import { parseUntil } from "../../domain/until.ts";
import { removePause, writePause } from "../../job/pause.ts";
import { openConfig } from "../context.ts";
import type { Invocation } from "../invocation.ts";
import { whoAmI } from "../who.ts";

/** The options of the command, as typed. */
export type PauseOptions = { readonly until?: string; readonly clear?: true };

/** Have the runs of cron do nothing on this host until a time, or go on now. Works without the destination. */
export async function pause({ until, clear }: PauseOptions, invocation: Invocation): Promise<number> {
  if ((until === undefined) === (clear === undefined)) {
    throw new BackupError("USAGE", "Cannot pause: it is not said until when", {
      hint: "Give --until TIME, or --clear to go on.",
    });
  }
  const now = new Date();
  const wanted = until === undefined ? undefined : newPause(parseUntil(until, now), { now, by: whoAmI() });
  const { config } = await openConfig(invocation);
  const file = { path: config.run.pauseFile };
  if (wanted === undefined) {
    await removePause(file);
    invocation.terminal.print("runs go on");
    return 0;
  }
  await writePause(file, wanted);
  invocation.terminal.print(`runs do nothing until ${humanTime(wanted.until)}; "twindb-backup resume" ends that`);
  return 0;
}

import type { Copy } from "../domain/copy.ts";
import { humanSeconds } from "../domain/human.ts";
import type { Log } from "../lib/log.ts";
import { exitStatusOf } from "./exit-status.ts";
import { tableOf } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/** What a verify found about one copy that it read through. */
export type VerifiedRow = {
  readonly copy: Pick<Copy, "key" | "sha256">;
  readonly seconds: number;
  /** What is wrong with it; `undefined` when nothing is. */
  readonly error: unknown;
  /** Why the result could not be recorded. */
  readonly unrecorded: unknown;
};

/** Tell what was found about one copy, as soon as it is. */
export function tellVerified({ error, unrecorded }: VerifiedRow, terminal: Terminal, log: Log): void {
  if (error !== undefined) terminal.fail(error);
  if (unrecorded !== undefined) log.warn(`the result is not recorded: ${messageOf(unrecorded)}`);
}

/** Print all results. @returns the exit status: that of the first copy that is bad. */
export function printVerified(results: readonly VerifiedRow[], asJson: boolean, terminal: Terminal): number {
  terminal.draw("");
  if (asJson) terminal.print(JSON.stringify(results.map(jsonOf), null, 4));
  else terminal.print(table(results).join("\n"));
  const bad = results.find(({ error }) => error !== undefined);
  return bad === undefined ? 0 : exitStatusOf(bad.error);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** As the predecessor's verify of MySQL prints it, with more fields. */
function jsonOf({ copy, seconds, error }: VerifiedRow): Record<string, unknown> {
  return {
    backup_copy: copy.key,
    error: error === undefined ? null : messageOf(error),
    restore_time: seconds,
    sha256: copy.sha256 ?? null,
    success: error === undefined,
  };
}

function table(results: readonly VerifiedRow[]): string[] {
  return tableOf(
    [
      { title: "RESULT", value: ({ error }: VerifiedRow) => (error === undefined ? "ok" : "FAILED") },
      { title: "TOOK", value: ({ seconds }) => humanSeconds(seconds), align: "right" },
      { title: "COPY", value: ({ copy }) => copy.key },
    ],
    results,
  );
}

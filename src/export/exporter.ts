import type { RunReport } from "../domain/run-report.ts";

/** Tells receivers elsewhere what a run came to. */
export interface Exporter {
  /** Whether it has use for `report.standing`, which costs a look at the destination. */
  readonly wantsStanding: boolean;
  /**
   * Send what is to be sent of a run; nothing where it does not concern the receiver.
   * @throws {BackupError} when that fails; it names no secret.
   */
  send(report: RunReport, options: { readonly signal: AbortSignal }): Promise<void>;
}

import { BackupError, EXIT_STATUS } from "../domain/errors.ts";
import { Interruption } from "./interruption.ts";

/** The exit status of a failure: that of its class, 1 for a defect. */
export function exitStatusOf(error: unknown): number {
  if (error instanceof Interruption) return error.exitStatus;
  return error instanceof BackupError ? EXIT_STATUS[error.code] : EXIT_STATUS.FAILED;
}

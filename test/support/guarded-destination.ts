import type { CallOptions } from "../../src/destination/destination.ts";
import { BackupError } from "../../src/domain/errors.ts";
import type { Key } from "../../src/domain/key.ts";
import { MemoryDestination } from "./memory-destination.ts";

/** Keeps objects in memory, and refuses to remove some, as a store with locked objects or a user without that right. */
export class GuardedDestination extends MemoryDestination {
  isGuarded: (key: Key) => boolean = () => false;

  override async remove(key: Key, options: CallOptions): Promise<void> {
    if (this.isGuarded(key)) {
      throw new BackupError("NOT_PERMITTED", `Cannot remove "${key}": it is locked`, {
        hint: "Wait until its lock ends.",
      });
    }
    return super.remove(key, options);
  }
}

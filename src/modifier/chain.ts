import type { ByteStream } from "../lib/bytes.ts";
import { type Finished, type RunOptions, through } from "../lib/command.ts";
import type { Modifier, Tap } from "./modifier.ts";

export type PassOptions = Pick<RunOptions, "signal" | "idleSeconds">;

export type ApplyOptions = PassOptions & {
  /** How a tap ended, once the whole chain has succeeded. After a warning its second copy must not be published. */
  readonly onTap?: (finished: Finished) => void;
};

/** `content` through every step, first one first. The programs are joined by pipes of the kernel. */
export function applyAll(content: ByteStream, steps: readonly (Modifier | Tap)[], options: ApplyOptions): ByteStream {
  const { onTap, ...run } = options;
  const tap: RunOptions = onTap === undefined ? run : { ...run, onFinish: onTap };
  return steps.reduce(
    (bytes, step) => ("command" in step ? through(bytes, step.command, tap) : through(bytes, step.apply, run)),
    content,
  );
}

/** `content` with every step undone, in the order given: what was applied last comes first. */
export function revertAll(
  content: ByteStream,
  decoders: readonly Pick<Modifier, "revert">[],
  options: PassOptions,
): ByteStream {
  return decoders.reduce((bytes, { revert }) => through(bytes, revert, options), content);
}

/** What the steps add to the stored name, in the order they are applied: `[".zst", ".gpg"]`. */
export function suffixesOf(steps: readonly (Modifier | Tap)[]): string[] {
  return steps.flatMap((step) => ("suffix" in step ? [step.suffix] : []));
}

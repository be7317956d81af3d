import type { CallOptions, Destination } from "../destination/destination.ts";
import type { Key } from "../domain/key.ts";

/**
 * Make `content` the content of a small object, whatever it was; nothing is written when it is that already.
 * @throws {ConflictError} when somebody else changed it at the same moment.
 */
export async function replaceText(
  destination: Destination,
  key: Key,
  { content, signal }: CallOptions & { readonly content: Uint8Array },
): Promise<void> {
  const existing = await destination.readSmall(key, { signal });
  if (existing !== undefined && Buffer.from(existing.content).equals(content)) return;
  await destination.replaceSmall(key, content, { expected: existing?.version, signal });
}

import type { Copy, CopyOf, Media } from "../domain/copy.ts";
import { findCopy } from "../domain/find.ts";
import { amendCopy } from "../job/amend-copy.ts";
import { listCopies } from "../job/list.ts";
import { openContext, openDestination, shelfOf } from "./context.ts";
import type { Invocation } from "./invocation.ts";

/** A change to what is recorded of a copy; it touches no field that only one kind of copies has. */
type Change = <C extends Copy>(copy: C) => C;

/** Change what is recorded of the one copy a user named, of whatever host and kind it is. @returns the copy as it is recorded now. */
export async function amendNamed(typed: string, change: Change, invocation: Invocation): Promise<Copy> {
  const { signal } = invocation;
  const { config, log } = await openContext(invocation);
  await using destination = await openDestination(config);
  const { listed, warnings } = await listCopies(destination, { host: undefined, media: undefined, signal });
  for (const warning of warnings) log.warn(warning);
  const copy = findCopy(
    typed,
    listed.map((each) => each.copy),
  );
  const amend = <M extends Media>(media: M): Promise<CopyOf<M>> =>
    amendCopy(shelfOf(destination, copy.host, media), copy.key, { change, signal });
  return await amend(copy.media);
}

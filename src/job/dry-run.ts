import type { MysqlCopy } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import type { MysqlRestore } from "./restore-mysql.ts";
import { freeBytesAt, requireSpace } from "./space.ts";
import { requireFree } from "./staging.ts";

/** Whether a part could be read and prepared here. */
type Tooling = {
  readonly copy: MysqlCopy;
  /** What would be used: programs that decode, then the tool with its version. */
  readonly found: readonly string[];
  /** What is missing, each with what to do. */
  readonly missing: readonly BackupError[];
};

/** What a restore would meet. */
export type Outlook = {
  readonly freeBytes: number | undefined;
  readonly tooling: readonly Tooling[];
  /** Everything that would keep it from succeeding, as far as that shows beforehand. */
  readonly problems: readonly BackupError[];
};

type Asked = Pick<MysqlRestore, "plan" | "openPart" | "openRestorer"> & {
  readonly target: string;
  /** What else has to hold there. */
  readonly checkTarget?: () => Promise<unknown>;
};

/** Look whether a restore would work: target, room, programs, keys. Changes nothing, and reads no more than the first bytes of each part. */
export async function lookAhead(restore: Asked): Promise<Outlook> {
  const { target, checkTarget } = restore;
  const freeBytes = await freeBytesAt(target);
  const tooling: Tooling[] = [];
  for (const { copy } of restore.plan.parts) tooling.push(await toolingFor(copy, restore));
  const problems = [
    ...(await problemOf(() => requireFree(target))),
    ...(await problemOf(async () => checkTarget?.())),
    ...(await problemOf(async () => requireSpace(restore.plan, freeBytes, target))),
    ...tooling.flatMap(({ missing }) => missing),
  ];
  return { freeBytes, tooling, problems };
}

async function toolingFor(copy: MysqlCopy, { openPart, openRestorer }: Asked): Promise<Tooling> {
  const found: string[] = [];
  const unreadable = await problemOf(async () => {
    await using part = await openPart(copy);
    found.push(...part.decoders.map(({ revert }) => revert.file));
  });
  const toolless = await problemOf(async () => {
    const { name, version } = await openRestorer(copy);
    found.push(`${name} ${version}`);
  });
  return { copy, found, missing: [...unreadable, ...toolless] };
}

async function problemOf(work: () => Promise<unknown>): Promise<BackupError[]> {
  try {
    await work();
    return [];
  } catch (error) {
    if (error instanceof BackupError) return [error];
    throw error;
  }
}

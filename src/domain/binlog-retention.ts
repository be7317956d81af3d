import type { BinlogCatalogue, Timeline } from "./binlog-catalogue.ts";
import { lastTakeover } from "./binlog-writer.ts";
import type { BinlogCopy, MysqlCopy } from "./copy.ts";
import type { Key } from "./key.ts";
import { isPreserved } from "./preservation.ts";
import { neededBy } from "./recoverable-window.ts";

/** What decides which archived logs go, besides the logs. */
export type BinlogRetention = {
  /** The host whose logs these are; the catalogue may hold those of others. */
  readonly host: string;
  /** All MySQL copies that stay: of the host, and of those that it took over from. */
  readonly copies: Iterable<MysqlCopy>;
  /** Age in days from which on a log goes that no copy needs. */
  readonly days: number;
  readonly now: Date;
};

const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * Choose the archived logs that go: older than so many days and needed by no copy that stays. What the user preserved stays, and the newest
 * log of the newest timeline, which tells where archiving goes on, and the one with the last takeover, which tells who may. When a log is from over a day after the clock, all stay.
 * @returns oldest first, which is the order to remove them in.
 */
export function expiredBinlogs(catalogue: BinlogCatalogue, { host, copies, days, now }: BinlogRetention): BinlogCopy[] {
  const timelines = catalogue.timelines.filter((timeline) => timeline.host === host);
  const logs = timelines.flatMap((timeline) => timeline.logs);
  if (logs.some(({ createdAt }) => createdAt.getTime() - now.getTime() > DAY_MS)) return [];
  const needed = neededBy(copies, catalogue);
  const newest = newestTimeline({ timelines })?.logs.at(-1)?.key;
  const oldest = now.getTime() - days * DAY_MS;
  const takeover = lastTakeover(logs)?.key;
  const stays = (key: Key): boolean => key === newest || key === takeover || needed.has(key);
  return logs.filter((log) => !isPreserved(log, now) && log.createdAt.getTime() < oldest && !stays(log.key));
}

/** The timeline that was written to last. */
export function newestTimeline({ timelines }: Pick<BinlogCatalogue, "timelines">): Timeline | undefined {
  const lastAt = ({ logs }: Timeline): number => logs.at(-1)?.createdAt.getTime() ?? 0;
  return timelines.reduce<Timeline | undefined>(
    (newest, timeline) => (newest === undefined || lastAt(timeline) >= lastAt(newest) ? timeline : newest),
    undefined,
  );
}

import { type BinlogCatalogue, type BinlogGap, catalogueOf } from "../domain/binlog-catalogue.ts";
import { describeGap } from "../domain/binlog-gap.ts";
import type { Key } from "../domain/key.ts";
import { type RecoverableWindow, recoverableWindow } from "../domain/recoverable-window.ts";
import type { Listed } from "../job/list.ts";
import { listedOf } from "./find-copies.ts";

/** How far each MySQL copy can be brought forward with the listed binary logs, by its key. */
export type Windows = ReadonlyMap<Key, RecoverableWindow>;

/** The binary logs of each host of a listing. */
export function cataloguesOf(listed: readonly Listed[]): ReadonlyMap<string, BinlogCatalogue> {
  const hosts = Map.groupBy(listedOf("binlog", listed), ({ copy }) => copy.host);
  return new Map(
    [...hosts].map(([host, logs]) => {
      const doubts = new Set(logs.flatMap(({ copy, doubt }) => (doubt === undefined ? [] : [copy.key])));
      return [
        host,
        catalogueOf(
          logs.map(({ copy }) => copy),
          doubts,
        ),
      ] as const;
    }),
  );
}

/** The windows of the MySQL copies of a listing that holds the binary logs as well. Those without any are absent. */
export function windowsOf(listed: readonly Listed[]): Windows {
  const catalogues = cataloguesOf(listed);
  return new Map(
    listedOf("mysql", listed).flatMap(({ copy }) => {
      const catalogue = catalogues.get(copy.host);
      const window = catalogue && recoverableWindow(copy, catalogue);
      return window === undefined ? [] : [[copy.key, window] as const];
    }),
  );
}

/** A gap as `--json` prints it. Field names are stable. */
export function gapJson(gap: BinlogGap): Record<string, unknown> {
  const { reason, incarnation = null, after = null, before = null, missing, gtid = null, from, to } = gap;
  const times = { from: from.toISOString(), to: to.toISOString() };
  return { reason, incarnation, after, before, missing, gtid, ...times, text: describeGap(gap) };
}

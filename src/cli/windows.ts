import { type BinlogCatalogue, type BinlogGap, catalogueOf } from "../domain/binlog-catalogue.ts";
import { describeGap } from "../domain/binlog-gap.ts";
import { hostsFrom } from "../domain/binlog-heirs.ts";
import type { Key } from "../domain/key.ts";
import type { RecoverableWindow } from "../domain/recoverable-window.ts";
import { knownWindow } from "../domain/recovery-logs.ts";
import type { Listed } from "../job/list.ts";
import { type ListedOf, listedOf } from "./find-copies.ts";

/** How far each MySQL copy can be brought forward with the listed binary logs, by its key. */
export type Windows = ReadonlyMap<Key, RecoverableWindow>;

/** What is listed, and the logs of hosts that took over. */
type Seen = { readonly listed: readonly Listed[]; readonly heirs?: readonly Listed[] };

/** The binary logs that copies of each listed host can be brought forward with. */
function cataloguesOf({ listed, heirs = [] }: Seen): ReadonlyMap<string, BinlogCatalogue> {
  const logs = [...listedOf("binlog", listed), ...listedOf("binlog", heirs)];
  const hosts = Map.groupBy(logs, ({ copy }) => copy.host);
  const own = new Set(listedOf("binlog", listed).map(({ copy }) => copy.host));
  return new Map([...own].map((host) => [host, catalogueFrom(host, hosts)] as const));
}

function catalogueFrom(host: string, hosts: ReadonlyMap<string, readonly ListedOf<"binlog">[]>): BinlogCatalogue {
  const known = [...hosts.values()].flat().map(({ copy }) => copy);
  const rows = [...hostsFrom(host, known)].flatMap((each) => hosts.get(each) ?? []);
  const doubts = new Set(rows.flatMap(({ copy, doubt }) => (doubt === undefined ? [] : [copy.key])));
  return catalogueOf(
    rows.map(({ copy }) => copy),
    doubts,
  );
}

/** The archived binary logs of one host, with those of hosts that took over. */
export function catalogueIn(host: string, { listed, heirs = [] }: Seen): BinlogCatalogue {
  const rows = [...listedOf("binlog", listed), ...listedOf("binlog", heirs)];
  return catalogueFrom(
    host,
    Map.groupBy(rows, ({ copy }) => copy.host),
  );
}

/** The windows of the MySQL copies of a listing that holds the binary logs as well. Those without any are absent. */
export function windowsOf(seen: Seen): Windows {
  const catalogues = cataloguesOf(seen);
  return new Map(
    listedOf("mysql", seen.listed).flatMap(({ copy }) => {
      const catalogue = catalogues.get(copy.host);
      const window = catalogue && knownWindow(copy, catalogue);
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

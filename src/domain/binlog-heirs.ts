import { replacementOf } from "./binlog-writer.ts";
import type { BinlogCopy } from "./copy.ts";
import { knownOf } from "./logged.ts";

/** A host, and those whose servers took over from it, one after the other, as far as their logs are known. */
export function hostsFrom(host: string, copies: Iterable<BinlogCopy>): Set<string> {
  const heirs = Map.groupBy(copies, (copy) => copy.host);
  const hosts = new Set([host]);
  // A set hands out what is added to it meanwhile.
  for (const each of hosts) for (const copy of heirs.get(each) ?? []) hosts.add(replacementOf(copy)?.to.host ?? each);
  return hosts;
}

/** Whether a server has ever logged what another one wrote, so that copies of that one may need its logs. */
export function hasFollowed(copies: Iterable<BinlogCopy>): boolean {
  for (const copy of copies) {
    const isOwn = ownSource(copy);
    const sources = [...knownOf(copy).keys()];
    if (!sources.every(isOwn)) return true;
  }
  return false;
}

function ownSource({ serverUuid, log }: BinlogCopy): (source: string) => boolean {
  if (log?.flavour === "mariadb") return (source) => source.endsWith(`-${log.serverId}`);
  return (source) => source.split(":")[0] === serverUuid?.toLowerCase();
}

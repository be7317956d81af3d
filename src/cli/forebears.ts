import type { CallOptions, Destination } from "../destination/destination.ts";
import { hostsFrom } from "../domain/binlog-heirs.ts";
import type { Forebears } from "../job/expire-binlogs.ts";
import { listCopies } from "../job/list.ts";
import { listedOf } from "./find-copies.ts";

/** Look through all hosts of a destination for those that the server of one took over from. */
export async function forebearsOf(destination: Destination, host: string, { signal }: CallOptions): Promise<Forebears> {
  const { listed, hosts, troubles } = await listCopies(destination, {
    host: undefined,
    media: undefined,
    isTolerant: true,
    signal,
  });
  const logs = listedOf("binlog", listed).map(({ copy }) => copy);
  const others = new Set(hosts.filter((each) => each !== host && hostsFrom(each, logs).has(host)));
  return {
    copies: listedOf("mysql", listed).flatMap(({ copy }) => (others.has(copy.host) ? [copy] : [])),
    logs: logs.filter((log) => others.has(log.host)),
    doubtful: troubles.some((trouble) => trouble.host !== host && trouble.media !== "files"),
  };
}

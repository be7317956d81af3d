import type { Config } from "../config/options.ts";
import type { Destination } from "../destination/destination.ts";
import { fleetOf } from "../domain/fleet.ts";
import { listCopies, type StatusTrouble } from "../job/list.ts";
import { readSpool } from "../source/spool-view.ts";
import { exitStatusOf } from "./exit-status.ts";
import { type FleetHost, fleetHosts } from "./fleet-rows.ts";
import type { Invocation } from "./invocation.ts";
import { pauseState } from "./paused.ts";

/** All hosts of a destination, or one of them. */
export type Fleet = {
  readonly hosts: readonly FleetHost[];
  readonly now: Date;
  /** 0, or that of the first status that is not as it should be. */
  readonly exitStatus: number;
};

type Wanted = { readonly host: string; readonly invocation: Invocation };

/** Look at every host that has anything on the destination (`all`), or at one. A status that cannot be read is told, and hides no other. */
export async function readFleet(
  destination: Destination,
  config: Config,
  { host, invocation: { terminal, signal } }: Wanted,
): Promise<Fleet> {
  const one = host === "all" ? undefined : host;
  const found = await listCopies(destination, { host: one, media: undefined, isTolerant: true, signal });
  const now = new Date();
  const { pause } = await pauseState(config, now);
  const stream = config.mysql && (await readSpool(config.mysql.binlogSpool));
  const here = { host: config.hostname, pausedUntil: pause?.until, stream };
  for (const { error } of found.troubles) terminal.fail(error);
  const hosts = one !== undefined && found.hosts.length === 0 ? [one] : found.hosts;
  return {
    hosts: fleetHosts(fleetOf(found.listed, now, found.heirs), { ...found, hosts }, here),
    now,
    exitStatus: statusOf(found.troubles),
  };
}

function statusOf(troubles: readonly StatusTrouble[]): number {
  const worst = troubles.find(({ kind }) => kind === "unreadable") ?? troubles[0];
  return worst === undefined ? 0 : exitStatusOf(worst.error);
}

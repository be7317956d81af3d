import { openConfig, openDestination } from "../context.ts";
import { readFleet } from "../fleet.ts";
import { fleetTable, hostJson } from "../fleet-rows.ts";
import type { Invocation } from "../invocation.ts";

type FleetOptions = { readonly host: string; readonly json?: true };

/** Show how every host of the destination is, or one: what was last copied well, how large, when verified, and what is late. */
export async function fleet({ host, json }: FleetOptions, invocation: Invocation): Promise<number> {
  const { terminal } = invocation;
  const { config } = await openConfig(invocation);
  await using destination = await openDestination(config, { isReadOnly: true });
  const { hosts, now, exitStatus } = await readFleet(destination, config, { host, invocation });
  if (json === true) {
    const rows = hosts.map((each) => hostJson(each, now));
    const at = now.toISOString();
    terminal.print(JSON.stringify({ destination: destination.url, at, hosts: rows }, null, 2));
  } else if (hosts.length > 0) {
    terminal.print(fleetTable(hosts, now).join("\n"));
  }
  return exitStatus;
}

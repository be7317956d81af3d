import type { Destination } from "../../destination/destination.ts";
import type { Finding } from "../../job/check.ts";
import { look } from "../../job/check.ts";
import { tryDestination } from "../../job/check-destination.ts";
import { openContext, openDestination } from "../context.ts";
import { exitStatusOf } from "../exit-status.ts";
import { findingTable, jsonOf } from "../finding-row.ts";
import type { Invocation } from "../invocation.ts";

/** Try the destination, and all that copies need of it. */
export async function checkDestination({ json }: { readonly json?: true }, invocation: Invocation): Promise<number> {
  const { terminal, signal } = invocation;
  const { config } = await openContext(invocation);
  process.umask(0o077);
  const findings: Finding[] = [];
  let destination: Destination | undefined;
  findings.push(
    await look("destination", async () => {
      destination = await openDestination(config);
      const { transport } = await destination.capabilities({ signal });
      return `${destination.url}, by ${transport}`;
    }),
  );
  await using open = destination;
  if (open !== undefined && findings[0]?.result === "ok") {
    findings.push(...(await tryDestination(open, config.hostname, { signal })));
  }
  const lines = json === true ? [JSON.stringify(findings.map(jsonOf), null, 2)] : findingTable(findings);
  terminal.print(lines.join("\n"));
  const failed = findings.find(({ result }) => result === "failed");
  return failed === undefined ? 0 : exitStatusOf(failed.error);
}

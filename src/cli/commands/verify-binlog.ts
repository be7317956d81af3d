import { type Listed, listCopies } from "../../job/list.ts";
import { type VerifiedBinlog, verifyBinlog as verify } from "../../job/verify-binlog.ts";
import { openContext, openDestination, shelfOf } from "../context.ts";
import { decodingOf } from "../decoding.ts";
import { findListed, type ListedOf, requireListed } from "../find-copies.ts";
import type { Invocation } from "../invocation.ts";
import { printVerified, tellVerified } from "../verified-row.ts";

type VerifyOptions = { readonly copy: string; readonly hostname?: string; readonly json?: true };

/** Verify one archived log, the latest, or all of a host; the worst result is the exit status. */
export async function verifyBinlog({ copy, hostname, json }: VerifyOptions, invocation: Invocation): Promise<number> {
  const { terminal, signal } = invocation;
  const { config, log } = await openContext(invocation);
  await using destination = await openDestination(config);
  const { listed, warnings } = await listCopies(destination, { host: hostname, media: "binlog", signal });
  for (const warning of warnings) log.warn(warning);
  const results: VerifiedBinlog[] = [];
  for (const { copy: each, doubt } of chosen(copy, hostname ?? config.hostname, listed)) {
    terminal.draw(`verifying ${each.key}`);
    const found = await verify(each, doubt, {
      shelf: shelfOf(destination, each.host, "binlog"),
      open: (stored) => decodingOf(destination, stored, { gpg: config.gpg, signal }),
      idleSeconds: config.run.idleSeconds,
      signal,
    });
    results.push(found);
    tellVerified(found, terminal, log);
  }
  return printVerified(results, json === true, terminal);
}

function chosen(typed: string, host: string, listed: readonly Listed[]): readonly ListedOf<"binlog">[] {
  if (typed !== "latest" && typed !== "all") return [findListed(typed, "binlog", listed)];
  const own = requireListed({ media: "binlog", host, verb: "verify" }, listed);
  return typed === "all" ? own : own.slice(-1);
}

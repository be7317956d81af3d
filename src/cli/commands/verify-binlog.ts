import { humanSeconds } from "../../domain/human.ts";
import { type Listed, listCopies } from "../../job/list.ts";
import { type VerifiedBinlog, verifyBinlog as verify } from "../../job/verify-binlog.ts";
import { openContext, openDestination, shelfOf } from "../context.ts";
import { decodingOf } from "../decoding.ts";
import { exitStatusOf } from "../exit-status.ts";
import { findListed, type ListedOf, requireListed } from "../find-copies.ts";
import type { Invocation } from "../invocation.ts";
import { tableOf } from "../table.ts";

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
    if (found.error !== undefined) terminal.fail(found.error);
    if (found.unrecorded !== undefined) log.warn(`the result is not recorded: ${messageOf(found.unrecorded)}`);
  }
  terminal.draw("");
  if (json === true) terminal.print(JSON.stringify(results.map(jsonOf), null, 4));
  else terminal.print(table(results).join("\n"));
  const bad = results.find(({ error }) => error !== undefined);
  return bad === undefined ? 0 : exitStatusOf(bad.error);
}

function chosen(typed: string, host: string, listed: readonly Listed[]): readonly ListedOf<"binlog">[] {
  if (typed !== "latest" && typed !== "all") return [findListed(typed, "binlog", listed)];
  const own = requireListed({ media: "binlog", host, verb: "verify" }, listed);
  return typed === "all" ? own : own.slice(-1);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The fields of the other kinds of verify. */
function jsonOf({ copy, seconds, error }: VerifiedBinlog): Record<string, unknown> {
  return {
    backup_copy: copy.key,
    error: error === undefined ? null : messageOf(error),
    restore_time: seconds,
    sha256: copy.sha256 ?? null,
    success: error === undefined,
  };
}

function table(results: readonly VerifiedBinlog[]): string[] {
  return tableOf(
    [
      { title: "RESULT", value: ({ error }: VerifiedBinlog) => (error === undefined ? "ok" : "FAILED") },
      { title: "TOOK", value: ({ seconds }) => humanSeconds(seconds), align: "right" },
      { title: "COPY", value: ({ copy }) => copy.key },
    ],
    results,
  );
}

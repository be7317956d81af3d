import { humanSeconds } from "../../domain/human.ts";
import { listCopies } from "../../job/list.ts";
import { type Verified, verifyFile as verify } from "../../job/verify-file.ts";
import { listCommand, openTar } from "../../source/tar.ts";
import { openContext, openDestination, shelfOf } from "../context.ts";
import { decodingOf } from "../decoding.ts";
import { exitStatusOf } from "../exit-status.ts";
import { chooseFiles } from "../find-files.ts";
import type { Invocation } from "../invocation.ts";
import { tableOf } from "../table.ts";

type VerifyOptions = { readonly copy: string; readonly hostname?: string; readonly json?: true };

/** Verify one copy, the latest of each directory, or all; the worst result is the exit status. */
export async function verifyFile({ copy, hostname, json }: VerifyOptions, invocation: Invocation): Promise<number> {
  const { terminal, signal } = invocation;
  const { config, log } = await openContext(invocation);
  await using destination = await openDestination(config);
  const { listed, warnings } = await listCopies(destination, { host: hostname, media: "files", signal });
  for (const warning of warnings) log.warn(warning);
  const tar = await openTar({ signal });
  const results: Verified[] = [];
  for (const wanted of chooseFiles(copy, hostname ?? config.hostname, listed)) {
    terminal.draw(`verifying ${wanted.copy.key}`);
    const found = await verify(wanted.copy, wanted.doubt, {
      shelf: shelfOf(destination, wanted.copy.host, "files"),
      open: (copy) => decodingOf(destination, copy, { gpg: config.gpg, signal }),
      list: listCommand(tar),
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

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** As the predecessor's verify of MySQL prints it, with more fields. */
function jsonOf({ copy, seconds, error }: Verified): Record<string, unknown> {
  return {
    backup_copy: copy.key,
    error: error === undefined ? null : messageOf(error),
    restore_time: seconds,
    sha256: copy.sha256 ?? null,
    success: error === undefined,
  };
}

function table(results: readonly Verified[]): string[] {
  return tableOf(
    [
      { title: "RESULT", value: ({ error }: Verified) => (error === undefined ? "ok" : "FAILED") },
      { title: "TOOK", value: ({ seconds }) => humanSeconds(seconds), align: "right" },
      { title: "COPY", value: ({ copy }) => copy.key },
    ],
    results,
  );
}

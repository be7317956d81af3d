import { listCopies } from "../../job/list.ts";
import { type Verified, verifyFile as verify } from "../../job/verify-file.ts";
import { listCommand, openTar } from "../../source/tar.ts";
import { openContext, openDestination, shelfOf } from "../context.ts";
import { decodingOf } from "../decoding.ts";
import { chooseFiles } from "../find-files.ts";
import type { Invocation } from "../invocation.ts";
import { printVerified, tellVerified } from "../verified-row.ts";

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
    tellVerified(found, terminal, log);
  }
  return printVerified(results, json === true, terminal);
}

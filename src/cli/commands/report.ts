import { randomBytes } from "node:crypto";
import { rename, rm, writeFile } from "node:fs/promises";
import { BackupError } from "../../domain/errors.ts";
import { meaningOf } from "../../lib/system-error.ts";
import { openConfig, openDestination } from "../context.ts";
import { readFleet } from "../fleet.ts";
import { reportPage } from "../html/page.ts";
import type { Invocation } from "../invocation.ts";

type ReportOptions = { readonly html: string; readonly host?: string };

/** Write what `status --host` shows, with charts, as one HTML file; `-` is stdout. */
export async function report({ html: path, host }: ReportOptions, invocation: Invocation): Promise<number> {
  const { terminal } = invocation;
  const { config } = await openConfig(invocation);
  await using destination = await openDestination(config, { isReadOnly: true });
  const { hosts, now, exitStatus } = await readFleet(destination, config, { host: host ?? "all", invocation });
  const page = reportPage({ hosts, destination: destination.url, now, redact: terminal.redact });
  if (path === "-") terminal.print(page.trimEnd());
  else await replaceFile(path, page);
  return exitStatus;
}

/** Whoever reads the page meanwhile sees all of the old one or all of the new one. */
async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString("hex")}`;
  try {
    await writeFile(temporary, text, { flag: "wx" });
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    const { code, what } = meaningOf(cause);
    throw new BackupError(code, `Cannot write "${path}": ${what}`, {
      hint: "Name a file in a directory that this user may write to.",
      cause,
    });
  }
}

import { randomUUID } from "node:crypto";
import { shellCommand } from "../lib/shell-quote.ts";
import type { SshSession } from "../lib/ssh.ts";

/** What the shell of a far account has to offer. */
export type FarShell = {
  /** Command that reads stdin and prints its SHA-256 first. */
  readonly hasher: string;
  /** Command that copies stdin to a file and stdout, and stops at a write error where it can. */
  readonly tee: string;
  readonly canSync: boolean;
};

/** An account that only speaks SFTP may leave a command without an answer. */
const PROBE_TIMEOUT_MS = 10_000;

/** Prints the tools that work between two markers. `openssl` hashes about twice as fast as `sha256sum`. */
export const PROBE = [
  'printf "\\n%s\\n" "$1"',
  'openssl dgst -sha256 -r </dev/null >/dev/null 2>&1 && echo "hasher=openssl dgst -sha256 -r"',
  'sha256sum </dev/null >/dev/null 2>&1 && echo "hasher=sha256sum"',
  'tee --output-error=exit </dev/null >/dev/null 2>&1 && echo "tee=tee --output-error=exit"',
  'tee </dev/null >/dev/null 2>&1 && echo "tee=tee"',
  "cat </dev/null >/dev/null 2>&1 && wc -c </dev/null >/dev/null 2>&1 && echo cat=cat",
  "command -v sync >/dev/null 2>&1 && echo sync=sync",
  'printf "%s\\n" "$1"',
].join("; ");

/** A line that no banner and no login file prints. */
export function newMarker(): string {
  return `twindb-${randomUUID()}`;
}

/** The text between two lines that are `marker`; `undefined` when one is missing. */
export function betweenMarkers(text: string, marker: string): string | undefined {
  const [, found, after] = text.split(`${marker}\n`);
  return after === undefined ? undefined : found;
}

/** Find out whether a session has a shell, and its tools. Never throws because there is none. */
export async function probeShell(session: SshSession): Promise<FarShell | undefined> {
  const marker = newMarker();
  const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS);
  try {
    const answer = await session.exec(shellCommand(PROBE, [marker]), { signal });
    return readProbe(betweenMarkers(answer.stdout, marker) ?? "");
  } catch (error) {
    session.lost.throwIfAborted();
    if (error instanceof Error) return undefined;
    throw error;
  }
}

/** The shell that a probe found; `undefined` when a tool that is needed is missing. */
export function readProbe(lines: string): FarShell | undefined {
  const found = (name: string) => new RegExp(`^${name}=(.*)$`, "m").exec(lines)?.[1];
  const [hasher, tee, cat] = ["hasher", "tee", "cat"].map(found);
  if (hasher === undefined || tee === undefined || cat === undefined) return undefined;
  return { hasher, tee, canSync: found("sync") !== undefined };
}

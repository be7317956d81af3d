import { text } from "../lib/command.ts";
import { findProgram } from "../lib/programs.ts";
import { shellCommand } from "../lib/shell-quote.ts";
import { sshProgram } from "../lib/ssh-program.ts";
import type { CallOptions } from "./destination.ts";
import type { Far } from "./ssh-far.ts";
import { programTransport } from "./ssh-program-transport.ts";
import { sftpTransport } from "./ssh-sftp-transport.ts";
import { betweenMarkers, newMarker } from "./ssh-shell.ts";
import type { FileTransport } from "./ssh-transport.ts";

/** The fastest transport that works here: the system's ssh, whose bytes stay in the kernel, or else SFTP. */
export async function chooseTransport(far: Far, options: CallOptions): Promise<FileTransport> {
  const shell = await far.shell();
  if (shell === undefined || findProgram("ssh") === undefined) return sftpTransport(far, shell);
  return (await programWorks(far, options)) ? programTransport(far, shell) : sftpTransport(far, shell);
}

/** The program may refuse what the library accepts, such as a key file that others can read. */
async function programWorks(far: Far, options: CallOptions): Promise<boolean> {
  const marker = newMarker();
  const commandLine = shellCommand('printf "\\n%s\\n%s\\n" "$1" "$1"', [marker]);
  try {
    const said = await text(sshProgram(far.place.target, commandLine), { ...options, idleSeconds: 30 });
    return betweenMarkers(said, marker) !== undefined;
  } catch (error) {
    options.signal.throwIfAborted();
    if (error instanceof Error) return false;
    throw error;
  }
}

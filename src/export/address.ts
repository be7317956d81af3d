import { isIP } from "node:net";
import { BackupError } from "../domain/errors.ts";
import { text } from "../lib/command.ts";

/** An address as sockets take it. */
export type Address = { readonly address: string; readonly family: 4 | 6 };

/**
 * The first address of a host, as the system knows it. A look-up of Node itself cannot be given up, and would hold the program; one of
 * `getent` can.
 * @throws {BackupError} UNREACHABLE when there is none, or the signal is aborted first.
 */
export async function addressOf(host: string, { signal }: { readonly signal: AbortSignal }): Promise<Address> {
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  const found = isIP(bare) === 0 ? await lookUp(bare, signal) : bare;
  return { address: found, family: isIP(found) === 6 ? 6 : 4 };
}

async function lookUp(host: string, signal: AbortSignal): Promise<string> {
  let output: string;
  try {
    output = await text({ file: "getent", args: ["ahosts", "--", host] }, { signal });
  } catch (cause) {
    const what = signal.aborted ? "its address could not be found out in time" : "it has no address";
    throw new BackupError("UNREACHABLE", `Cannot reach "${host}": ${what}`, { cause });
  }
  const [address = ""] = output.split(/\s/);
  if (isIP(address) !== 0) return address;
  throw new BackupError("UNREACHABLE", `Cannot reach "${host}": it has no address`);
}

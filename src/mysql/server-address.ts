import { stat } from "node:fs/promises";
import type { LoginOptions } from "./defaults-file.ts";

/** Where a server listens. */
export type ServerAddress =
  | { readonly kind: "socket"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

/** What the config says about it; each wins over the option file. */
export type ServerChoice = {
  readonly hostname?: string | undefined;
  readonly port?: number | undefined;
  readonly socket?: string | undefined;
};

const DEFAULT_PORT = 3306;

/** Where the packages of the vendors put the socket. */
const USUAL_SOCKETS = ["/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock"];

/** The socket of a server on this host; `undefined` when none lies where it usually does. */
export async function findSocket(): Promise<string | undefined> {
  for (const path of USUAL_SOCKETS) {
    const stats = await stat(path).catch(() => undefined);
    if (stats?.isSocket()) return path;
  }
  return undefined;
}

/**
 * Where to look for the server, best place first. There is a second place only when nothing names one: the socket that was found,
 * then the address that the predecessor used.
 */
export function addressesOf(
  choice: ServerChoice,
  file: Pick<LoginOptions, "host" | "port" | "socket">,
  found: string | undefined,
): readonly ServerAddress[] {
  const { host, port, socket } = named(choice, file);
  if (socket !== undefined) return [{ kind: "socket", path: socket }];
  const tcp = { kind: "tcp", host: host ?? "127.0.0.1", port: port ?? DEFAULT_PORT } as const;
  // A port that is named is that of one server among several; whose the socket is, nobody knows.
  if (!isLocal(host) || port !== undefined || found === undefined) return [tcp];
  const local = { kind: "socket", path: found } as const;
  return host === undefined ? [local, tcp] : [local];
}

/** Such as `127.0.0.1:3306`, or a path. */
export function showAddress(address: ServerAddress): string {
  if (address.kind === "socket") return address.path;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

function isLocal(host: string | undefined): boolean {
  return host === undefined || host.toLowerCase() === "localhost";
}

function named(choice: ServerChoice, file: Pick<LoginOptions, "host" | "port" | "socket">) {
  const host = choice.hostname ?? file.host;
  const port = choice.port ?? file.port;
  if (choice.socket !== undefined) return { host, port, socket: choice.socket };
  const isTcp = !isLocal(host) || choice.port !== undefined;
  return { host, port, socket: isTcp ? undefined : file.socket };
}

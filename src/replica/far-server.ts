import { BackupError } from "../domain/errors.ts";
import type { FarHost } from "../lib/far-host.ts";
import { type OpenedClient, openClient } from "../mysql/client.ts";
import type { LoginOptions } from "../mysql/defaults-file.ts";
import type { ServerAddress } from "../mysql/server-address.ts";

type CallOptions = { readonly signal: AbortSignal };

/** Where the packages of the vendors put the socket. */
const USUAL_SOCKETS = ["/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock"];

/** Which server of a host is meant. */
export type FarServer = {
  readonly login: LoginOptions;
  /** `undefined` takes the one that is found. */
  readonly port: number | undefined;
  /** Where it is known to listen; looked for in the usual places otherwise. */
  readonly socket?: string | undefined;
};

/** A login as another host's server sees it: from a place of its own host, and encrypted where it wants that. */
function localLogin(login: LoginOptions): LoginOptions {
  const mode = login.tls.mode === "DISABLED" ? "DISABLED" : "PREFERRED";
  // SSH has proved which host it is; the certificate may be for another name.
  return { ...login, host: undefined, port: undefined, socket: undefined, tls: { ...login.tls, mode } };
}

/** Log in to one address of a host, through SSH. */
export async function dialClient(
  host: FarHost,
  { login, address }: { readonly login: LoginOptions; readonly address: ServerAddress },
  { signal }: CallOptions,
): Promise<OpenedClient> {
  const place = address.kind === "socket" ? { socket: address.path } : { hostname: address.host, port: address.port };
  return openClient({ ...place, login, dial: (at) => host.openStream(at, { signal }) }, { signal });
}

/**
 * Log in to a server of another host, through SSH: over its socket, else over its port there.
 * @throws {BackupError} UNREACHABLE when none answers or the one that does has another port, NOT_PERMITTED when the login is refused.
 */
export async function openFarClient(host: FarHost, server: FarServer, { signal }: CallOptions): Promise<OpenedClient> {
  const login = localLogin(server.login);
  let failure: unknown;
  for (const address of await addressesOn(host, server, { signal })) {
    try {
      const client = await dialClient(host, { login, address }, { signal });
      if (server.port === undefined || (await client.value("SELECT @@port")) === String(server.port)) return client;
      await client[Symbol.asyncDispose]();
    } catch (error) {
      signal.throwIfAborted();
      failure ??= error;
    }
  }
  if (failure !== undefined) throw onHost(failure, host);
  throw new BackupError("UNREACHABLE", `Cannot find the server on "${host.name}": none there has port ${server.port}`, {
    hint: "Correct the port behind the name of the host.",
  });
}

async function addressesOn(
  host: FarHost,
  { login, port, socket }: FarServer,
  options: CallOptions,
): Promise<ServerAddress[]> {
  const wanted = [...new Set([socket, login.socket, ...USUAL_SOCKETS].filter((path) => path !== undefined))];
  const found = await host.run('for s in "$@"; do if [ -S "$s" ]; then printf "%s\\n" "$s"; fi; done', wanted, options);
  const sockets = found.split("\n").filter((path) => path !== "");
  return [
    ...sockets.map((path): ServerAddress => ({ kind: "socket", path })),
    { kind: "tcp", host: "127.0.0.1", port: port ?? 3306 },
  ];
}

/** The same error, which says on which host. */
function onHost(error: unknown, { name }: FarHost): unknown {
  if (!(error instanceof BackupError) || error.message.includes(name)) return error;
  const { code, hint, retryable } = error;
  return new BackupError(code, `${error.message}, on "${name}"`, { hint, retryable, cause: error });
}

/** The text of an option file that logs in as `login` at `address`, for programs of that host. Holds the password. */
export function optionFileText(login: LoginOptions, address: ServerAddress): string {
  const quoted = (text: string) => `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
  const place =
    address.kind === "socket"
      ? [`socket=${quoted(address.path)}`]
      : [`host=${quoted(address.host)}`, `port=${address.port}`, "protocol=tcp"];
  return [
    "[client]",
    ...(login.user === undefined ? [] : [`user=${quoted(login.user)}`]),
    ...(login.password === undefined ? [] : [`password=${quoted(login.password.reveal())}`]),
    ...place,
    "",
  ].join("\n");
}

/** What a program of another host says of itself, for the choice of tools. */
export function programsOf(host: FarHost, { signal }: CallOptions) {
  return {
    name: host.name,
    ask: async (file: string, args: readonly string[]): Promise<string | undefined> => {
      const script = 'f=$1; shift; command -v "$f" >/dev/null 2>&1 || exit 127; "$f" "$@" 2>&1';
      const { status, stdout } = await host.ask(script, [file, ...args], { signal });
      return status === 127 ? undefined : stdout;
    },
  };
}

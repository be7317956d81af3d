import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BackupError } from "../domain/errors.ts";
import type { FollowedSource, ReplicationTls } from "../domain/replication.ts";
import type { Secret } from "../domain/secret.ts";
import type { FarHost } from "../lib/far-host.ts";
import { makeTemporaryDirectory } from "../lib/temporary-directory.ts";
import type { LoginOptions } from "../mysql/defaults-file.ts";
import { parseGrant } from "../mysql/grants.ts";
import { dialClient } from "./far-server.ts";
import type { SourceFacts } from "./source-end.ts";

type CallOptions = { readonly signal: AbortSignal };

/** As whom the replica logs in to its source, and how. */
export type ReplicationRequest = {
  /** Name or address of the source, as the replica's host knows it. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: Secret;
  /** `undefined` encrypts where the source can, and checks no certificate. */
  readonly tls: ReplicationTls | undefined;
};

const PREFIX = "twindb-backup-tls-";

type TlsLogin = LoginOptions["tls"] & AsyncDisposable;

/** The files for TLS lie on the replica's host; they are fetched for as long as a login takes. */
async function tlsLogin(host: FarHost, tls: ReplicationTls | undefined, { signal }: CallOptions): Promise<TlsLogin> {
  const directory = await makeTemporaryDirectory(PREFIX);
  const remove = () => rm(directory, { recursive: true, force: true });
  try {
    const fetched: { ca?: string; cert?: string; key?: string } = {};
    for (const name of ["ca", "cert", "key"] as const) {
      const path = tls?.[name];
      if (path === undefined) continue;
      fetched[name] = join(directory, name);
      await writeFile(fetched[name], await host.run('cat -- "$1"', [path], { signal }), { mode: 0o600 });
    }
    const { ca, cert, key } = fetched;
    const verified = tls?.verifiesIdentity === true ? "VERIFY_IDENTITY" : ca === undefined ? "REQUIRED" : "VERIFY_CA";
    return { mode: tls === undefined ? "PREFERRED" : verified, ca, cert, key, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/**
 * Log in to the source from the host of the replica, as replication will.
 * @returns what is followed, encrypted if that worked.
 * @throws {BackupError} when the login is refused, lacks the privilege, or reaches another server than `facts` are of.
 */
export async function tryReplication(
  host: FarHost,
  request: ReplicationRequest,
  { facts, signal }: CallOptions & { readonly facts: SourceFacts },
): Promise<FollowedSource> {
  await using tls = await tlsLogin(host, request.tls, { signal });
  const { user, password, port } = request;
  const login: LoginOptions = { user, password, host: undefined, port: undefined, socket: undefined, tls };
  const address = { kind: "tcp", host: request.host, port } as const;
  await using client = await dialClient(host, { login, address }, { signal }).catch((error: unknown) => {
    signal.throwIfAborted();
    throw refused(error, host, request);
  });
  const grants = (await client.rows("SHOW GRANTS")).flatMap((row) => parseGrant(Object.values(row)[0] ?? ""));
  const names = grants.filter(({ on }) => on === "*.*").map(({ name }) => name);
  if (!["REPLICATION SLAVE", "REPLICATION REPLICA", "ALL PRIVILEGES"].some((name) => names.includes(name))) {
    throw new BackupError("NOT_PERMITTED", `Cannot replicate as "${user}": it lacks REPLICATION SLAVE`, {
      hint: `Run on the source: GRANT REPLICATION SLAVE ON *.* TO ${user}.`,
    });
  }
  await requireSame(client, request, facts);
  const cipher = (await client.rows("SHOW SESSION STATUS LIKE 'Ssl_cipher'"))[0]?.["Value"];
  const plain: ReplicationTls = { ca: undefined, cert: undefined, key: undefined, verifiesIdentity: false };
  return { host: request.host, port, user, tls: request.tls ?? (cipher ? plain : undefined) };
}

async function requireSame(
  client: { value(sql: string): Promise<string | undefined> },
  { host, port }: ReplicationRequest,
  { variables, uuid }: SourceFacts,
): Promise<void> {
  const isSame =
    (await client.value("SELECT @@server_id")) === variables.get("server_id") &&
    (uuid === undefined || (await client.value("SELECT @@server_uuid")) === uuid);
  if (isSame) return;
  throw new BackupError("USAGE", `Cannot follow "${host}:${port}": another server answers there`, {
    hint: "Name the source by an address under which the destination reaches it: --replication-host.",
  });
}

function refused(error: unknown, { name }: FarHost, { host, port, user }: ReplicationRequest): unknown {
  if (!(error instanceof BackupError)) return error;
  const what = `Cannot follow "${host}:${port}" on "${name}": ${error.message}`;
  const hint =
    error.code === "NOT_PERMITTED"
      ? `Correct --replication-user and its password, or let "${user}" in from there.`
      : "Check bind-address of the source, firewalls, and whether that name means the source there; else give --replication-host.";
  return new BackupError(error.code, what, { hint, cause: error });
}

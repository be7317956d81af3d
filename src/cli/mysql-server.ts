import type { MysqlOptions } from "../config/options.ts";
import type { Vendor } from "../domain/copy.ts";
import type { BackupRequest, Engine } from "../engine/engine.ts";
import { type Binaries, openEngine } from "../engine/open.ts";
import type { Log } from "../lib/log.ts";
import { type OpenedClient, openClient } from "../mysql/client.ts";
import { clusterState, clusterWarning, refusal, undoDesync } from "../mysql/galera.ts";
import { checkGrants } from "../mysql/grants.ts";
import { vendorOf } from "../mysql/server-facts.ts";

/** What reaching a server needs besides its options. */
export type Opening = { readonly binaries: Binaries; readonly log: Log; readonly signal: AbortSignal };

/** Sessions with the server of the config; each does little and is closed again, for hours may lie between two. */
export type Sessions = Opening & {
  readonly mysql: MysqlOptions;
  readonly open: (options: { readonly signal: AbortSignal }) => Promise<OpenedClient>;
  readonly ask: <T>(work: (client: OpenedClient) => Promise<T>) => Promise<T>;
};

export function sessionsOf(mysql: MysqlOptions | undefined, opening: Opening): Sessions {
  if (mysql === undefined) throw new TypeError("a config with a server has options for it");
  const open: Sessions["open"] = (options) => openClient(mysql, options);
  return {
    ...opening,
    mysql,
    open,
    async ask(work) {
      await using client = await open({ signal: opening.signal });
      return await work(client);
    },
  };
}

/** What the first session found. */
export type InspectedServer = {
  readonly engine: Engine | "clone";
  readonly version: string;
  readonly request: Pick<BackupRequest, "hostname" | "port" | "socket" | "galera">;
};

/** Prove that the server can be copied, and choose by what. Undoes what a killed run did to a cluster's node. */
export async function inspectServer(
  client: OpenedClient,
  { mysql, binaries, log, signal }: Sessions,
): Promise<InspectedServer> {
  const server = await identityOf(client);
  const engine = await openEngine({ server, wanted: mysql.engine, binaries }, { signal });
  const galera = await inspectCluster(client, log);
  await checkGrants(client, { ...server, engine: engine === "clone" ? "clone" : engine.name, galera });
  const { address } = client;
  const place =
    address.kind === "socket"
      ? { socket: address.path, hostname: undefined, port: undefined }
      : { socket: undefined, hostname: address.host, port: address.port };
  return { engine, version: server.version, request: { ...place, galera } };
}

async function identityOf(client: OpenedClient): Promise<{ vendor: Vendor; version: string }> {
  const version = (await client.value("SELECT @@version")) ?? "";
  return { vendor: vendorOf(version, (await client.value("SELECT @@version_comment")) ?? ""), version };
}

/** Whether the server is a cluster's node. @throws {BackupError} when no copy can be taken of the node now. */
async function inspectCluster(client: OpenedClient, log: Log): Promise<boolean> {
  if (await undoDesync(client, {})) log.warn(`"${client.target}" was left desynced by a run that was killed; undone`);
  const state = await clusterState(client);
  if (state === undefined) return false;
  const problem = refusal(state, client.target);
  if (problem !== undefined) throw problem;
  const warning = clusterWarning(state);
  if (warning !== undefined) log.info(warning);
  return true;
}

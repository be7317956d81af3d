import type { MysqlOptions } from "../config/options.ts";
import type { Vendor } from "../domain/copy.ts";
import type { Interval } from "../domain/interval.ts";
import type { ServerFacts } from "../domain/server.ts";
import type { BackupRequest, Engine } from "../engine/engine.ts";
import { openEngine } from "../engine/open.ts";
import { backupMysql, type MysqlBackup } from "../job/backup-mysql.ts";
import type { Part } from "../job/run.ts";
import type { Log } from "../lib/log.ts";
import { type OpenedClient, openClient } from "../mysql/client.ts";
import { clusterState, clusterWarning, desync, refusal, undoDesync } from "../mysql/galera.ts";
import { checkGrants } from "../mysql/grants.ts";
import { maskSecrets, readServerConfig } from "../mysql/server-config.ts";
import { binlogGtidAt, readServerFacts, vendorOf } from "../mysql/server-facts.ts";
import { explainBackup, isClusterAbort, isRefusedIncrement, mysqlSource } from "../source/mysql.ts";
import { cloneSource } from "../source/mysql-clone.ts";
import { backupServices, type PartOptions } from "./backup-services.ts";
import { type Context, openDestination } from "./context.ts";

type Request = { readonly runType: Interval; readonly full?: true };

/** The part of a run that backs up the server. */
export function mysqlPart({ runType, full }: Request, context: Context, options: PartOptions): Part {
  return {
    name: "mysql",
    async run() {
      const { config, log } = context;
      const server = await openServer(config.mysql, { log, signal: options.invocation.signal });
      await using destination = await openDestination(config);
      await backupMysql({
        ...(await backupServices(context, { ...options, media: "mysql", interval: runType, destination })),
        ...server,
        isForced: full === true,
        openSource: (capturing) => server.openSource({ ...capturing, idleSeconds: config.run.idleSeconds }),
      });
    },
  };
}

type Opening = { readonly log: Log; readonly signal: AbortSignal };

/** Sessions with the server of the config; each does little and is closed again, for hours may lie between two. */
type Sessions = Opening & {
  readonly mysql: MysqlOptions;
  readonly open: (options: { readonly signal: AbortSignal }) => Promise<OpenedClient>;
  readonly ask: <T>(work: (client: OpenedClient) => Promise<T>) => Promise<T>;
};

function sessionsOf(mysql: MysqlOptions | undefined, { log, signal }: Opening): Sessions {
  if (mysql === undefined) throw new TypeError("a config with a server has options for it");
  const open: Sessions["open"] = (options) => openClient(mysql, options);
  return {
    mysql,
    log,
    signal,
    open,
    async ask(work) {
      await using client = await open({ signal });
      return await work(client);
    },
  };
}

/** What the first session found. */
type Found = {
  readonly engine: Engine | "clone";
  readonly version: string;
  readonly request: Pick<BackupRequest, "hostname" | "port" | "socket" | "galera">;
};

/** Prove that the server can be copied, and choose by what. */
async function openServer(options: MysqlOptions | undefined, opening: Opening) {
  const sessions = sessionsOf(options, opening);
  const { mysql, ask } = sessions;
  const found = await ask((client) => inspect(client, sessions));
  const { engine } = found;
  const serverFacts = (): Promise<ServerFacts> => ask(readServerFacts);
  return {
    fullBackup: mysql.fullBackup,
    fullBackupDays: mysql.fullBackupDays,
    incrementalFrom: mysql.incrementalFrom,
    tool: toolOf(found),
    serverFacts,
    serverConfig: () => configOf(sessions),
    openSource: sourceOf(sessions, found, serverFacts),
    isTransient: (error: unknown) => found.request.galera && isClusterAbort(error),
    isRefused: isRefusedIncrement,
    explain: (error: unknown) => (engine === "clone" ? error : explainBackup(error, engine)),
  };
}

async function inspect(client: OpenedClient, { mysql, log, signal }: Sessions): Promise<Found> {
  const server = await identityOf(client);
  const { xtrabackupBinary: xtrabackup, xbstreamBinary: xbstream } = mysql;
  const binaries = { xtrabackup, xbstream };
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

function toolOf({ engine, version }: Found): MysqlBackup["tool"] {
  if (engine === "clone") return { name: "clone", version, canIncrement: false, format: "tar" };
  const { name, version: ofTool, canIncrement, format } = engine;
  return { name, version: ofTool, canIncrement, format };
}

/** The server's config files as they are recorded. What is recorded is never encrypted, so their secrets stay out of it. */
async function configOf({ mysql, log }: Sessions): Promise<ReadonlyMap<string, string>> {
  const texts = await readServerConfig({ warn: (text) => log.warn(text) });
  if (!mysql.maskSecrets) return texts;
  return new Map([...texts].map(([path, text]) => [path, maskSecrets(text)]));
}

type Capturing = Parameters<MysqlBackup["openSource"]>[0] & { readonly idleSeconds: number };

function sourceOf(sessions: Sessions, { engine, request }: Found, serverFacts: () => Promise<ServerFacts>) {
  const { mysql, ask, open, log, signal } = sessions;
  return ({ incrementalLsn, ...capturing }: Capturing) => {
    if (engine === "clone") {
      return cloneSource({ ...capturing, openClient: open, serverFacts, log });
    }
    const { defaultsFile, parallel, galeraWaitSeconds: waitSeconds } = mysql;
    const enter = () => desync(open, { waitSeconds, signal, warn: (text) => log.warn(text) });
    return mysqlSource({
      ...capturing,
      engine,
      request: { ...request, defaultsFile, parallel, incrementalLsn },
      serverFacts,
      gtidAt: (position) => ask((client) => binlogGtidAt(client, position)),
      ...(request.galera && { enter }),
    });
  };
}

import type { MysqlOptions } from "../config/options.ts";
import type { Interval } from "../domain/interval.ts";
import type { ServerFacts } from "../domain/server.ts";
import { backupMysql, type MysqlBackup } from "../job/backup-mysql.ts";
import type { Part } from "../job/run.ts";
import { desync } from "../mysql/galera.ts";
import { maskSecrets, readServerConfig } from "../mysql/server-config.ts";
import { binlogGtidAt, readServerFacts } from "../mysql/server-facts.ts";
import { tableChecksums } from "../mysql/table-checksums.ts";
import { explainBackup, isClusterAbort, isRefusedIncrement, mysqlSource } from "../source/mysql.ts";
import { cloneSource } from "../source/mysql-clone.ts";
import { backupServices, type PartOptions } from "./backup-services.ts";
import { type Context, openDestination } from "./context.ts";
import { mysqlBinaries } from "./mysql-reading.ts";
import { type InspectedServer, inspectServer, type Opening, type Sessions, sessionsOf } from "./mysql-server.ts";

type Request = { readonly runType: Interval; readonly full?: true };

/** The part of a run that backs up the server. */
export function mysqlPart({ runType, full }: Request, context: Context, options: PartOptions): Part {
  return {
    name: "mysql",
    async run() {
      const { config, log } = context;
      const { invocation } = options;
      const binaries = mysqlBinaries(config, invocation);
      const server = await openServer(config.mysql, { binaries, log, signal: invocation.signal });
      await using destination = await openDestination(config, { log });
      await backupMysql({
        ...(await backupServices(context, { ...options, media: "mysql", interval: runType, destination })),
        ...server,
        isForced: full === true,
        openSource: (capturing) => server.openSource({ ...capturing, idleSeconds: config.run.idleSeconds }),
      });
    },
  };
}

/** Prove that the server can be copied, and choose by what. */
async function openServer(options: MysqlOptions | undefined, opening: Opening) {
  const sessions = sessionsOf(options, opening);
  const { mysql, ask } = sessions;
  const found = await ask((client) => inspectServer(client, sessions));
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

function toolOf({ engine, version }: InspectedServer): MysqlBackup["tool"] {
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

function sourceOf(sessions: Sessions, { engine, request }: InspectedServer, serverFacts: () => Promise<ServerFacts>) {
  const { mysql, ask, open, log, signal } = sessions;
  const checksums = () => ask((client) => tableChecksums(client, { signal }));
  return ({ incrementalLsn, ...rest }: Capturing) => {
    const capturing = { ...rest, serverFacts, ...(mysql.recordChecksums && { checksums }) };
    if (engine === "clone") return cloneSource({ ...capturing, openClient: open, log });
    const { defaultsFile, parallel, galeraWaitSeconds: waitSeconds } = mysql;
    const enter = () => desync(open, { waitSeconds, signal, warn: (text) => log.warn(text) });
    return mysqlSource({
      ...capturing,
      engine,
      request: { ...request, defaultsFile, parallel, incrementalLsn },
      gtidAt: (position) => ask((client) => binlogGtidAt(client, position)),
      ...(request.galera && { enter }),
    });
  };
}

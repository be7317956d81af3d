import { BackupError } from "../domain/errors.ts";
import type { FollowedSource } from "../domain/replication.ts";
import type { Engine, EngineName, Restorer } from "../engine/engine.ts";
import { type FarBinaries, openFarEngine, openFarRestorer } from "../engine/open-far.ts";
import { FarHost } from "../lib/far-host.ts";
import type { Log } from "../lib/log.ts";
import type { SshTarget } from "../lib/ssh-target.ts";
import type { OpenedClient } from "../mysql/client.ts";
import type { LoginOptions } from "../mysql/defaults-file.ts";
import { checkGrants } from "../mysql/grants.ts";
import { readVersion } from "../mysql/server-facts.ts";
import { openFarClient, programsOf } from "./far-server.ts";
import { type ReplicaFacts, replicaProblems, sourceProblems, together } from "./problems.ts";
import { readReplicaFacts, removeLeftovers, type ServerCommands } from "./replica-end.ts";
import { type ReplicationRequest, tryReplication } from "./replication-login.ts";
import { readSourceConfig, readSourceFacts, type SourceConfig, type SourceFacts } from "./source-end.ts";

/** What is to be cloned where. */
export type CloneRequest = {
  readonly source: { readonly target: SshTarget; readonly port: number | undefined };
  readonly destination: { readonly target: SshTarget };
  /** Of the backup's user, who is in the data and so on both servers. */
  readonly login: LoginOptions;
  /** The port of the source is known when it was asked. */
  readonly replication: Omit<ReplicationRequest, "port">;
  readonly engine: "auto" | EngineName;
  readonly binaries: FarBinaries;
  readonly commands: ServerCommands;
  readonly log: Log;
  readonly signal: AbortSignal;
};

/** All that a clone needs, and that it can be done. */
export type Checked = {
  readonly source: FarHost;
  readonly destination: FarHost;
  readonly facts: SourceFacts;
  readonly config: SourceConfig;
  readonly engine: Engine | "clone";
  readonly replica: ReplicaFacts;
  readonly restorer: Restorer;
  readonly followed: FollowedSource;
};

/** What stands in the way, collected as far as it can be seen. */
class Problems {
  readonly found: BackupError[] = [];

  /** Do something that may fail. `undefined` where it did, or where what it needs has. */
  async attempt<T>(work: () => Promise<T> | undefined): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof BackupError)) throw error;
      this.found.push(error);
      return undefined;
    }
  }
}

/**
 * Prove that a server can be cloned to a host. Changes nothing there, but removes what a killed clone left.
 * @param hosts closes the connections when the clone is done.
 * @throws {BackupError} with everything that stands in the way, on both hosts.
 */
export async function checkClone(request: CloneRequest, hosts: AsyncDisposableStack): Promise<Checked> {
  const { signal } = request;
  const problems = new Problems();
  const connect = (target: SshTarget) =>
    problems.attempt(async () => hosts.use(await FarHost.connect(target, { signal })));
  const [source, destination] = await Promise.all([
    connect(request.source.target),
    connect(request.destination.target),
  ]);
  const ofSource = source && (await problems.attempt(() => checkSource(request, source, problems)));
  const ofReplica =
    destination &&
    ofSource &&
    (await problems.attempt(() => checkReplica(request, { destination, ...ofSource }, problems)));
  const names = `"${request.source.target.host}" to "${request.destination.target.host}"`;
  const problem = together(problems.found, `clone ${names}`);
  if (problem !== undefined) throw problem;
  return complete({ source, destination, ...ofSource, ...ofReplica });
}

type Partly = { readonly [Name in keyof Checked]?: Checked[Name] | undefined };

/** Where nothing stands in the way, nothing is missing. */
function complete(checked: Partly): Checked {
  const missing = Object.entries(checked).filter(([, value]) => value === undefined);
  if (missing.length > 0)
    throw new TypeError(`a check failed without a problem: ${missing.map(([name]) => name).join(", ")}`);
  return checked as Checked;
}

async function checkSource(request: CloneRequest, host: FarHost, problems: Problems) {
  const { signal, log, login, engine: wanted, binaries } = request;
  await using client = await openFarClient(host, { login, port: request.source.port }, { signal });
  const server = await readVersion(client);
  const engine = await problems.attempt(() =>
    openFarEngine(programsOf(host, { signal }), server, { wanted, ...binaries }),
  );
  await requireGrants(client, {
    ...server,
    engine: typeof engine === "string" ? engine : (engine?.name ?? "mariadb-backup"),
  });
  const facts = await readSourceFacts(client, host, { signal });
  problems.found.push(...sourceProblems(facts, host.name));
  const config = await readSourceConfig(host, facts, { log, signal });
  return { facts, config, engine };
}

type Server = Awaited<ReturnType<typeof readVersion>> & { readonly engine: EngineName };

/** Nothing more can be asked of a server by somebody who may not. */
async function requireGrants(client: OpenedClient, server: Server): Promise<void> {
  await checkGrants(client, { ...server, galera: false, replica: true });
}

type OfSource = NonNullable<Awaited<ReturnType<typeof checkSource>>>;

async function checkReplica(
  request: CloneRequest,
  { destination, facts, engine }: OfSource & { readonly destination: FarHost },
  problems: Problems,
) {
  const { signal, commands, binaries, log } = request;
  let replica = await readReplicaFacts(destination, facts, { signal });
  const left = { facts: replica, datadir: facts.datadir, stop: commands.stop };
  if (await removeLeftovers(destination, left, { signal })) {
    log.warn(`removed what a killed clone had left on "${destination.name}"`);
    replica = await readReplicaFacts(destination, facts, { signal });
  }
  problems.found.push(...replicaProblems(replica, facts, { startCommand: commands.start }));
  const programs = programsOf(destination, { signal });
  const restorer = await problems.attempt(() =>
    engine === undefined
      ? undefined
      : openFarRestorer(programs, facts, { engine: engine === "clone" ? "clone" : engine.name, ...binaries }),
  );
  const port = Number(facts.variables.get("port"));
  const followed = await problems.attempt(() =>
    tryReplication(destination, { ...request.replication, port }, { facts, signal }),
  );
  return { replica, restorer, followed };
}

import { BackupError } from "../domain/errors.ts";
import { freeServerId } from "../domain/replica-config.ts";
import type { FollowedSource, StartPoint } from "../domain/replication.ts";
import { CommandError, into, run } from "../lib/command.ts";
import { FarHost } from "../lib/far-host.ts";
import type { Log } from "../lib/log.ts";
import type { SshTarget } from "../lib/ssh-target.ts";
import { meaningOf } from "../lib/system-error.ts";
import { checkStarted, follow } from "../replica/follow.ts";
import { type Checked, type CloneRequest, checkClone } from "../replica/preflight.ts";
import { ReplicaEnd } from "../replica/replica-end.ts";
import { SourceEnd, type SourceStream } from "../replica/source-end.ts";

/** What a clone works with. */
export type Clone = CloneRequest & {
  readonly timeoutSeconds: number;
  readonly idleSeconds: number;
  readonly compress: boolean;
  readonly parallel: number | undefined;
  readonly log: Log;
  readonly onProgress: (what: string, bytes: number) => void;
  readonly signal: AbortSignal;
};

/** A replica that works. */
export type Cloned = {
  readonly serverId: number;
  readonly secondsBehind: number;
  /** Whether replication is encrypted. */
  readonly isEncrypted: boolean;
};

/** The longest that the hosts may take to be as they were. */
const UNDO_MS = 180_000;

/**
 * Make a server of another host a replica of a running one. Whatever fails or is aborted, the destination is left as it was found; after a kill
 * the next clone to it does that first.
 * @throws {BackupError} that names the step; before anything is made, with all that stands in the way.
 */
export async function cloneMysql(clone: Clone): Promise<Cloned> {
  await using hosts = new AsyncDisposableStack();
  const checked = await checkClone(clone, hosts);
  const serverId = freeServerId(Math.random, checked.facts.serverIds);
  const replica = ReplicaEnd.of(checked.destination, {
    source: checked.facts,
    facts: checked.replica,
    config: checked.config,
    restorer: checked.restorer,
    serverId,
    commands: clone.commands,
    server: { login: clone.login, port: undefined },
    timeoutSeconds: clone.timeoutSeconds,
  });
  try {
    const start = await copyData(clone, checked, replica);
    const secondsBehind = await startReplica(clone, { checked, replica, serverId, start });
    return { serverId, secondsBehind, isEncrypted: checked.followed.tls !== undefined };
  } catch (error) {
    await undo(clone, clone.destination.target, (host, options) => replica.remove(host, options));
    throw error;
  }
}

/** Stream the data, and prepare it. @returns where the copy ends. */
async function copyData(clone: Clone, checked: Checked, replica: ReplicaEnd): Promise<StartPoint | undefined> {
  const { signal } = clone;
  const source = await atStep(clone, "making room on the source", () =>
    SourceEnd.open(checked.source, checked.facts, { signal }),
  );
  try {
    await atStep(clone, "making room on the destination", () => replica.begin({ signal }));
    const start = await atStep(clone, "streaming the data", async () => {
      const { facts, engine } = checked;
      const { compress, parallel, log } = clone;
      const server = { login: clone.login, port: clone.source.port };
      const stream = await source.stream({ server, facts, engine, parallel, compress, log }, { signal });
      return transfer(clone, { checked, replica, stream });
    });
    await atStep(clone, "preparing the data", () => replica.prepare({ signal }));
    return start;
  } finally {
    await undo(clone, clone.source.target, (host, options) => source.remove(host, options));
  }
}

type Transfer = { readonly checked: Checked; readonly replica: ReplicaEnd; readonly stream: SourceStream };

/** From the one host to the other; the bytes pass through a pipe of the kernel here, both ways inside of SSH. */
async function transfer(clone: Clone, { checked, replica, stream }: Transfer): Promise<StartPoint | undefined> {
  const { signal, idleSeconds, compress } = clone;
  const { source, destination, engine } = checked;
  const unpack = replica.unpack({ compress });
  let stderr = "";
  const content = run(stream.command, {
    signal,
    idleSeconds,
    onProgress: (bytes) => clone.onProgress("streaming", bytes),
    onFinish: (finished) => {
      stderr = finished.stderr;
    },
  });
  try {
    await into(content, unpack, { signal, idleSeconds });
  } catch (error) {
    signal.throwIfAborted();
    const tool = engine === "clone" ? "tar" : engine.name;
    throw advised(destination.explain(source.explain(error, stream.command, tool), unpack, "what unpacks"), engine);
  }
  return stream.end(stderr);
}

/** With what to do, where the tool of the source said something that is known. */
function advised(error: unknown, engine: Checked["engine"]): unknown {
  if (engine === "clone" || !(error instanceof BackupError) || !(error.cause instanceof CommandError)) return error;
  const hint = engine.hintFor(error.cause.stderrTail);
  return hint === undefined ? error : new BackupError(error.code, error.message, { hint, cause: error });
}

type Starting = {
  readonly checked: Checked & { readonly followed: FollowedSource };
  readonly replica: ReplicaEnd;
  readonly serverId: number;
  readonly start: StartPoint | undefined;
};

/** Start a server on the data, and have it follow the source. @returns how far it is behind. */
async function startReplica(clone: Clone, { checked, replica, serverId, start }: Starting): Promise<number> {
  const { signal, timeoutSeconds } = clone;
  const { facts, followed: source } = checked;
  await atStep(clone, "putting data and config in place", () => replica.place({ signal }));
  await atStep(clone, "starting the server", () => replica.start({ signal }));
  return atStep(clone, "setting up replication", async () => {
    await using client = await replica.openClient({ signal });
    await checkStarted(client, { facts, serverId });
    const { password } = clone.replication;
    const behind = await follow(client, { source, facts, password, start, serverId, timeoutSeconds }, { signal });
    await replica.finish({ signal });
    return behind;
  });
}

/** Do one step, and say in its failure which it was. */
async function atStep<T>(
  { log, signal, source, destination }: Clone,
  what: string,
  work: () => Promise<T>,
): Promise<T> {
  log.info(what);
  try {
    signal.throwIfAborted();
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof BackupError)) throw error;
    const names = `"${source.target.host}" to "${destination.target.host}"`;
    throw new BackupError(error.code, `Cannot clone ${names}, ${what}: ${error.message}`, {
      hint: error.hint,
      cause: error,
    });
  }
}

/** Remove what was made on a host. The connection may be what failed, and the run may be what was aborted: so by another one. */
async function undo(
  { log }: Clone,
  target: SshTarget,
  remove: (host: FarHost, options: { readonly signal: AbortSignal }) => Promise<void>,
): Promise<void> {
  const signal = AbortSignal.timeout(UNDO_MS);
  try {
    await using host = await FarHost.connect(target, { signal });
    await remove(host, { signal });
  } catch (error) {
    log.warn(
      `What the clone made on "${target.host}" is still there, the next clone removes it: ${meaningOf(error).what}`,
    );
  }
}

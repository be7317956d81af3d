import type { Vendor } from "../domain/copy.ts";
import { type OpenedClient, openClient } from "./client.ts";
import { type PrivateServer, startPrivateServer } from "./private-server.ts";
import { Replay, type ReplaySegment } from "./replay.ts";
import { executedGtids, isTransactional, settle, takeUpGtids } from "./replay-state.ts";

/** A server of our own on restored data that binary logs are replayed on. Disposing it ends it, complete or not. */
export interface ReplayServer extends AsyncDisposable {
  /** The GTID set it had executed when it was opened (MySQL); `undefined` for MariaDB. */
  readonly executed: string | undefined;
  /** Whether a replay that was killed can go on here: what is applied is whole transactions, and the server skips those by itself. */
  readonly isResumable: boolean;

  /** See `Replay.apply()`. */
  apply(segment: ReplaySegment, onRead?: (bytes: number) => void): Promise<void>;

  /**
   * All was applied: end the session, set the GTID state and shut down cleanly.
   * @param position where the replay ended, of MariaDB.
   * @returns the GTIDs the server holds then.
   */
  complete(position: string | undefined): Promise<string | undefined>;
}

export type ReplayServerRequest = {
  /** See `PrivateServerRequest`. */
  readonly directory: string;
  readonly vendor: Vendor;
  readonly serverVersion: string;
  readonly binary?: string | undefined;
  /** GTIDs of the copy, as recorded. */
  readonly held: string | undefined;
  /** See `ReplayRequest`. */
  readonly loadsFiles: boolean;
  readonly memoryBytes: number;
  readonly signal: AbortSignal;
};

/** Start a server on restored data, and a session that replays on it. @throws {BackupError} as `startPrivateServer()`. */
export async function openReplayServer(request: ReplayServerRequest): Promise<ReplayServer> {
  const { vendor, held, loadsFiles, memoryBytes, binary, signal, ...data } = request;
  await using stack = new AsyncDisposableStack();
  const writing = { memoryBytes };
  const server = stack.use(
    await startPrivateServer({ ...data, vendor, writing, signal, ...(binary !== undefined && { binary }) }),
  );
  try {
    const { socket, defaultsFile } = server;
    const client = stack.use(await openClient({ socket, defaultsFile }, { signal }));
    const executed = vendor === "mariadb" ? undefined : await takeUpGtids(client, held);
    const isResumable = vendor !== "mariadb" && executed !== "" && (await isTransactional(client));
    const replay = stack.use(await Replay.open({ server, vendor, loadsFiles, signal }));
    return new OwnReplayServer({ server, client, replay, vendor, executed, isResumable, resources: stack.move() });
  } catch (error) {
    signal.throwIfAborted();
    throw await server.explain(error);
  }
}

type Parts = Pick<ReplayServer, "executed" | "isResumable"> & {
  readonly server: PrivateServer;
  readonly client: OpenedClient;
  readonly replay: Replay;
  readonly vendor: Vendor;
  readonly resources: AsyncDisposableStack;
};

class OwnReplayServer implements ReplayServer {
  readonly executed: string | undefined;
  readonly isResumable: boolean;
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.executed = parts.executed;
    this.isResumable = parts.isResumable;
    this.#parts = parts;
  }

  apply(segment: ReplaySegment, onRead?: (bytes: number) => void): Promise<void> {
    return this.#parts.replay.apply(segment, onRead);
  }

  async complete(position: string | undefined): Promise<string | undefined> {
    const { server, client, replay, vendor } = this.#parts;
    let gtid = position;
    try {
      await replay.finish();
      if (vendor !== "mariadb") gtid = (await executedGtids(client)) || undefined;
      await settle(client, vendor, position);
      await client[Symbol.asyncDispose]();
    } catch (error) {
      throw await server.explain(error);
    }
    await server.shutDown();
    return gtid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.resources.disposeAsync();
  }
}

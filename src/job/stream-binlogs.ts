import { setTimeout as sleep } from "node:timers/promises";
import type { ClosedLog } from "../domain/binlog-incarnation.ts";
import { pauseAfter, resumptionOf, type StreamState } from "../domain/binlog-stream.ts";
import { BackupError, type ErrorCode } from "../domain/errors.ts";
import type { Log } from "../lib/log.ts";
import type { FollowFrom, FollowStep } from "../mysql/binlog-follower.ts";
import type { BinlogSpool, SpoolTail } from "../source/binlog-spool.ts";
import type { LogListing } from "./backup-binlogs.ts";

/** Everything a stream needs. */
export type BinlogStream = {
  readonly spool: BinlogSpool;
  readonly server: {
    /** `undefined` when the server keeps no logs. */
    readonly list: () => Promise<LogListing | undefined>;
    readonly follow: (from: FollowFrom) => AsyncGenerator<readonly FollowStep[], void>;
  };
  /** Archive what the server and the spool hold of logs that are complete, and remove it from the spool. */
  readonly archive: () => Promise<void>;
  /** How often to archive though no log was completed; 0 for never. */
  readonly archiveSeconds: number;
  readonly now: () => Date;
  readonly log: Log;
  /** One line for people: what is wrong, and what to do. */
  readonly explain: (error: unknown) => string;
  /** Told when the state has changed, for the service manager. */
  readonly onState: (state: StreamState) => void;
  readonly signal: AbortSignal;
};

/** At most so often the disk is told to keep what was written. */
const SYNC_MS = 100;
const STATE_MS = 1000;
const ARCHIVE_RETRY_MS = 60_000;

/** So much at once is not waited with: the server sends what it has. */
const MUCH_BYTES = 1024 * 1024;

/** So often a server that sends nothing is asked whether it has nothing: after a reset it may go on without a word. */
const LOOK_MS = 10_000;

/** Failures that will not go away by waiting, where nothing has worked yet. */
const FATAL: ReadonlySet<ErrorCode> = new Set(["CONFIG_INVALID", "NOT_PERMITTED", "USAGE"]);

/**
 * Write down the server's binary logs as it writes them, and archive each when it is complete. Whatever fails is told once and tried again.
 * @throws the reason of the signal; what cannot get better by waiting, when it fails from the start.
 */
export async function streamBinlogs(stream: BinlogStream): Promise<never> {
  const failed = new AbortController();
  const signal = AbortSignal.any([stream.signal, failed.signal]);
  const streaming = new Streaming({ ...stream, signal });
  const loops = [streaming.follow(), streaming.archive()];
  for (const loop of loops) loop.catch((error: unknown) => failed.abort(error));
  await Promise.allSettled(loops);
  await streaming.end();
  throw signal.reason;
}

type Channel = "follow" | "archive";

class Streaming {
  readonly #stream: BinlogStream;
  /** What was told of each part and still holds. */
  readonly #told = new Map<Channel, string>();
  #wakeArchive = (): void => {};
  #isFollowing = false;
  #hasWorked = false;
  #safeBytes = 0;
  #lastEventAt: number | undefined;
  #heardAt: Date | undefined;
  #savedAt = 0;
  #lookedAt = 0;
  #lagSeconds = 0;
  #foundElsewhere = "";

  constructor(stream: BinlogStream) {
    this.#stream = stream;
  }

  async follow(): Promise<never> {
    for (let failures = 0; ; ) {
      try {
        await this.#followOnce(() => (failures = 0));
      } catch (error) {
        await this.#retry("follow", error, pauseAfter(++failures));
      }
    }
  }

  async archive(): Promise<never> {
    const { signal, archiveSeconds, archive, spool } = this.#stream;
    for (let failures = 0; ; ) {
      const woken = new Promise<void>((resolve) => (this.#wakeArchive = resolve));
      try {
        await archive();
        await spool.measure();
        failures = 0;
        await this.#well("archive");
      } catch (error) {
        await this.#retry("archive", error, pauseAfter(++failures, ARCHIVE_RETRY_MS));
        continue;
      }
      const timer = new AbortController();
      const over = AbortSignal.any([signal, timer.signal]);
      const waited =
        archiveSeconds > 0 ? sleep(archiveSeconds * 1000, undefined, { signal: over }) : untilAborted(over);
      await Promise.race([woken, waited]).finally(() => timer.abort());
      waited.catch(() => {});
      signal.throwIfAborted();
    }
  }

  /** Say where it ended. */
  async end(): Promise<void> {
    const { spool } = this.#stream;
    try {
      await spool.sync();
      await spool[Symbol.asyncDispose]();
      await this.#saveState("stopped");
    } catch {
      // Told before, if it is a full disk; what was not kept is fetched again.
    }
  }

  async #followOnce(onHeard: () => void): Promise<void> {
    const { server, spool, signal } = this.#stream;
    const listing = await server.list();
    if (listing === undefined) throw noLogs();
    const from = await this.#resume(listing);
    for await (const steps of server.follow(from)) {
      const startedAt = performance.now();
      const bytes = await this.#write(steps);
      this.#hear(steps.length > 0);
      if (steps.length === 0 && (await this.#isElsewhere(startedAt))) return;
      await this.#begun(from.bytes);
      onHeard();
      if (bytes > 0) await spool.sync();
      this.#safeBytes = spool.position?.bytes ?? 0;
      await this.#maybeSaveState();
      const left = SYNC_MS - (performance.now() - startedAt);
      if (left > 0 && bytes < MUCH_BYTES) await sleep(left, undefined, { signal });
    }
  }

  /** Once the server sends anything at all. */
  async #begun(bytes: number): Promise<void> {
    if (this.#isFollowing) return;
    const { log, spool } = this.#stream;
    log.info(`following "${spool.position?.name}" from byte ${bytes}`);
    this.#isFollowing = true;
    this.#hasWorked = true;
    await this.#well("follow");
  }

  /** @param hasSaid whether it has sent more than that it is there. */
  #hear(hasSaid: boolean): void {
    this.#heardAt = this.#stream.now();
    const behind = this.#heardAt.getTime() / 1000 - (this.#lastEventAt ?? 0);
    this.#lagSeconds = hasSaid ? Math.max(0, Math.floor(behind)) : 0;
    if (hasSaid) this.#lookedAt = performance.now();
  }

  /** Whether an idle server is not where it seems to be: it has another log than the one that is followed, or less or more of it. */
  async #isElsewhere(at: number): Promise<boolean> {
    if (at - this.#lookedAt < LOOK_MS) return false;
    this.#lookedAt = at;
    const { server, spool } = this.#stream;
    const open = (await server.list())?.logs.at(-1);
    const [found, known] = [open, spool.position].map((each) => `${each?.name}:${each?.bytes}`);
    if (found === undefined || found === known || found === this.#foundElsewhere) return false;
    this.#foundElsewhere = found; // Once is enough to find out.
    return true;
  }

  /** @returns how many bytes were written. */
  async #write(steps: readonly FollowStep[]): Promise<number> {
    const { spool } = this.#stream;
    let events: Buffer[] = [];
    let written = 0;
    for (const step of steps) {
      if (step.kind === "bytes") {
        events.push(step.bytes);
        written += step.bytes.length;
        this.#lastEventAt = Math.max(step.at, this.#lastEventAt ?? 0);
        continue;
      }
      if (events.length > 0) await spool.append(events);
      events = [];
      await spool.begin(step.name);
      this.#wakeArchive();
    }
    if (events.length > 0) await spool.append(events);
    return written;
  }

  /** Look what the spool has, and whether the server goes on with it. */
  async #resume(listing: LogListing): Promise<FollowFrom> {
    const { spool } = this.#stream;
    const tail = await spool.tail();
    const known = await spool.server();
    const resumption = resumptionOf(tail && { ...tail, uuid: known?.uuid }, listing);
    if (resumption === undefined) throw noLogs();
    if (resumption.kind === "continue" && tail !== undefined) return this.#goOn(tail);
    if (resumption.kind === "anew") await this.#setAside(tail, resumption);
    const { uuid, serverId, version } = listing;
    await spool.saveServer({ uuid, serverId, version });
    await spool.begin(resumption.name);
    return { name: resumption.name, bytes: spool.position?.bytes ?? 0, first: undefined, last: undefined };
  }

  async #goOn(tail: SpoolTail): Promise<FollowFrom> {
    await this.#stream.spool.resume(tail);
    this.#lastEventAt ??= tail.last?.readUInt32LE(0);
    return tail;
  }

  /** What holds a transaction is never thrown away while nobody else has it. */
  async #setAside(tail: SpoolTail | undefined, { why, isAll }: { readonly why: string; readonly isAll: boolean }) {
    const { spool, log, now } = this.#stream;
    if (tail === undefined) return;
    const closed = isAll ? await spool.closed() : [];
    const holds = [...closed.map(nameOf), ...(tail.isBegun ? [tail.name] : [])];
    if (holds.length === 0) {
      // Such as one that a server began and began again, because it was killed in between.
      await spool.dropNewest();
      log.info(`${why}: "${tail.name}", which held no transaction, is fetched anew`);
      return;
    }
    const directory = await spool.setAside({ isAll, now: now() });
    log.warn(
      `${why}: what was written down of ${holds.map((name) => `"${name}"`).join(", ")} is put into "${directory}"`,
    );
  }

  /** Tell what failed, unless it was told and still holds, and wait. */
  async #retry(channel: Channel, error: unknown, pauseMs: number): Promise<void> {
    const { log, signal, explain } = this.#stream;
    signal.throwIfAborted();
    if (channel === "follow") {
      if (!this.#hasWorked && error instanceof BackupError && FATAL.has(error.code)) throw error;
      this.#isFollowing = false;
      await this.#diverge(error);
    }
    const text = explain(error);
    if (![...this.#told.values()].includes(text)) log.warn(text);
    this.#told.set(channel, text);
    await this.#saveState("waiting");
    await sleep(pauseMs, undefined, { signal });
  }

  async #diverge(error: unknown): Promise<void> {
    if (!(error instanceof Error) || error.name !== "DivergedError") return;
    await this.#setAside(await this.#stream.spool.tail(), { why: "the server has begun anew", isAll: true });
  }

  async #well(channel: Channel): Promise<void> {
    if (this.#told.delete(channel) && channel === "archive") this.#stream.log.info("archiving works again");
    await this.#saveState(this.#isFollowing ? "following" : "waiting");
  }

  async #maybeSaveState(): Promise<void> {
    if (performance.now() - this.#savedAt >= STATE_MS) await this.#saveState("following");
  }

  /** Not being able to write it down is no reason to stop. */
  async #saveState(state: StreamState["state"]): Promise<void> {
    this.#savedAt = performance.now();
    const { spool, onState } = this.#stream;
    const at = this.#lastEventAt;
    const saved: StreamState = {
      pid: process.pid,
      state,
      log: spool.position?.name,
      bytes: this.#safeBytes,
      lastEventAt: at === undefined ? undefined : new Date(at * 1000).toISOString(),
      heardAt: this.#heardAt?.toISOString(),
      lagSeconds: state === "following" && this.#isFollowing ? this.#lagSeconds : undefined,
      failure: this.#told.get("follow") ?? this.#told.get("archive"),
    };
    onState(saved);
    await spool.saveState(saved).catch(() => {});
  }
}

function nameOf({ name }: ClosedLog): string {
  return name;
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}

function noLogs(): BackupError {
  return new BackupError("CONFIG_INVALID", "Cannot follow the server's binary logs: it keeps none", {
    hint: "Set log_bin in the server's config, and restart it.",
  });
}

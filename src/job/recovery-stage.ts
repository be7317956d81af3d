import { createHash } from "node:crypto";
import { chmod, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { BackupError } from "../domain/errors.ts";
import { makeDirectories } from "../lib/directories.ts";
import { acquireLock } from "../lib/lock.ts";
import { meaningOf } from "../lib/system-error.ts";
import { RECOVERY_PREFIX, requireFree } from "./staging.ts";

/** The server that is started on the data may run as another user, who has to get through; what is inside stays private. */
const PASSABLE = 0o711;
const JOURNAL = "journal.json";

/** What a recovery notes down before it changes the restored data. */
export type RecoveryJournal = {
  /** Whether another run can go on with the data. */
  readonly isResumable: boolean;
  /** GTIDs the copy held, where the server knew. */
  readonly held: string | undefined;
};

type StageOptions = {
  /** What is recovered; a stage of anything else is not gone on with. */
  readonly identity: string;
  readonly signal: AbortSignal;
};

/**
 * The place beside a target, or in it where it is there, in which a recovery is made. It is called after the target, so that a run that follows
 * one that was killed finds it and goes on. Disposing it removes it, unless it is kept.
 */
export class RecoveryStage implements AsyncDisposable {
  readonly directory: string;
  /** The data; there once it is restored and prepared. */
  readonly data: string;
  /** Where logs lie for a while. */
  readonly logs: string;
  readonly #target: string;
  readonly #isInside: boolean;
  readonly #lock: AsyncDisposable;
  #journal: RecoveryJournal | undefined;
  #isKept = false;

  private constructor(target: string, isInside: boolean, lock: AsyncDisposable) {
    this.directory = stageOf(target, isInside);
    this.data = join(this.directory, "data");
    this.logs = join(this.directory, "logs");
    this.#target = target;
    this.#isInside = isInside;
    this.#lock = lock;
  }

  /**
   * Prepare to recover into `target`, which must be an empty directory or not exist, apart from what an earlier run left there.
   * @throws {BackupError} USAGE when it holds anything, LOCKED when another run recovers into it.
   */
  static async open(target: string, { identity, signal }: StageOptions): Promise<RecoveryStage> {
    const path = resolve(target);
    const isInside = await requireFree(path);
    const directory = stageOf(path, isInside);
    try {
      await makeDirectories(dirname(directory), 0o755);
      await mkdir(directory, { recursive: true, mode: PASSABLE });
      await chmod(directory, PASSABLE);
    } catch (cause) {
      const { code, what } = meaningOf(cause);
      const hint = "Give --dst a directory that the user who runs this can make or fill.";
      throw new BackupError(code, `Cannot restore into "${path}": ${what}`, { hint, cause });
    }
    const lock = await acquireLock(join(directory, "lock"), { waitSeconds: 0, signal, onLost: () => {} });
    const stage = new RecoveryStage(path, isInside, lock);
    await stage.#takeUp(identity);
    return stage;
  }

  /** What an earlier run noted down about the data that is here. */
  get journal(): RecoveryJournal | undefined {
    return this.#journal;
  }

  /** Whether an earlier run has restored the data. */
  async hasData(): Promise<boolean> {
    return (await stat(this.data).catch(() => undefined))?.isDirectory() === true;
  }

  /** Note down that the data is about to be changed; on disk when this resolves. */
  async note(journal: RecoveryJournal): Promise<void> {
    await writeDurably(join(this.directory, JOURNAL), JSON.stringify(journal));
    this.#journal = journal;
  }

  /** Begin anew: remove the data, but not the logs. */
  async discard(): Promise<void> {
    await rm(this.data, { recursive: true, force: true });
    await rm(join(this.directory, JOURNAL), { force: true });
    this.#journal = undefined;
  }

  /** Leave everything for another run. */
  keep(): void {
    this.#isKept = true;
  }

  /** Put the data in its place. @param mode of a target that was not there. */
  async promote(mode: number): Promise<void> {
    if (this.#isInside) {
      for (const name of await readdir(this.data)) await rename(join(this.data, name), join(this.#target, name));
    } else {
      await chmod(this.data, mode);
      await rename(this.data, this.#target);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lock[Symbol.asyncDispose]();
    if (!this.#isKept) await rm(this.directory, { recursive: true, force: true });
  }

  async #takeUp(identity: string): Promise<void> {
    const path = join(this.directory, "identity");
    const known = await readFile(path, "utf8").catch(() => undefined);
    if (known !== identity) {
      await this.discard();
      await rm(this.logs, { recursive: true, force: true });
      await writeDurably(path, identity);
      return;
    }
    this.#journal = readJournal(await readFile(join(this.directory, JOURNAL), "utf8").catch(() => undefined));
  }
}

function stageOf(target: string, isInside: boolean): string {
  const name = createHash("sha256").update(target).digest("hex").slice(0, 12);
  return join(isInside ? target : dirname(target), `${RECOVERY_PREFIX}${name}`);
}

/** What cannot be read tells nothing that could be gone on with, but that there was something. */
function readJournal(text: string | undefined): RecoveryJournal | undefined {
  if (text === undefined) return undefined;
  try {
    const { isResumable, held } = JSON.parse(text) as { isResumable?: unknown; held?: unknown };
    return { isResumable: isResumable === true, held: typeof held === "string" ? held : undefined };
  } catch {
    return { isResumable: false, held: undefined };
  }
}

async function writeDurably(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o600, flush: true });
  await rename(`${path}.new`, path);
  await using directory = await open(dirname(path));
  await directory.sync();
}

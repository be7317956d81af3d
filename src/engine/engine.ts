import type { BinlogPosition } from "../domain/copy.ts";
import type { Command } from "../lib/command.ts";

/** What made a copy, and the form of its stream: `xbstream`, or `tar` of a finished data directory. */
export type EngineName = "mariadb-backup" | "xtrabackup" | "clone";
export type StreamFormat = "xbstream" | "tar";

/** One streamed copy of a server. Directories exist and are empty. */
export type BackupRequest = {
  /** Option file with the credentials; goes first, and no secret into the arguments. */
  readonly defaultsFile: string;
  readonly hostname: string | undefined;
  readonly port: number | undefined;
  readonly socket: string | undefined;
  /** Where the tool writes its checkpoints and summary. */
  readonly lsnDirectory: string;
  /** Where the tool may put temporary files; nothing stays there. */
  readonly scratchDirectory: string;
  /** Checkpoint of the parent; `undefined` takes a full copy. */
  readonly incrementalLsn: bigint | undefined;
  /** Threads that read the data. */
  readonly parallel: number | undefined;
  /** Note down the position of the cluster. */
  readonly galera: boolean;
};

/** What a tool wrote down about the copy it took. */
export type StreamFacts = {
  readonly fromLsn: bigint;
  readonly toLsn: bigint;
  readonly binlog: BinlogPosition | undefined;
  readonly gtid: string | undefined;
  readonly serverVersion: string | undefined;
  readonly toolVersion: string | undefined;
};

/** How a tool ended, and what it left. */
export type Outcome = {
  readonly stderr: string;
  /** Text of each file in the directory of checkpoints, by name. */
  readonly files: ReadonlyMap<string, string>;
};

/** One step of making extracted copies bootable: the base, or an increment on it. */
export type PrepareStep = {
  /** Where the base was extracted. */
  readonly directory: string;
  /** Where the increment was extracted; `undefined` for the base itself. */
  readonly incremental: string | undefined;
  /** No other step follows. */
  readonly isLast: boolean;
  readonly memoryBytes: number;
};

/** Turns stored streams back into a data directory. Pure: commands out, no effect. */
export interface Restorer {
  readonly name: EngineName;
  /** Version of the tool, such as `10.11.14`. */
  readonly version: string;
  readonly format: StreamFormat;

  /** Reads the stream on stdin and unpacks it into an empty directory. */
  unpack(directory: string): Command;

  /**
   * What proves that a stream was unpacked to its end: one of these names has to be there, for the tool writes it last.
   * Empty where the format itself tells.
   */
  readonly lastFiles: readonly string[];

  /** `undefined` where nothing is to be done. */
  prepare(step: PrepareStep): Command | undefined;

  /**
   * Prove that a step succeeded, from what it said and from the checkpoints it left.
   * @throws {BackupError} DATA_DAMAGED or PROGRAM_FAILED.
   */
  checkPrepared(outcome: Outcome): void;
}

/** A tool that streams a running server. Pure: commands in, facts out. */
export interface Engine extends Restorer {
  /** Whether it can take increments. */
  readonly canIncrement: boolean;

  /** Writes the stream to stdout. */
  backup(request: BackupRequest): Command;

  /**
   * What the tool wrote down of a copy.
   * @throws {BackupError} PROGRAM_FAILED when anything says that the copy is not complete.
   */
  facts(outcome: Outcome): StreamFacts;

  /** What to do about a failure, in one sentence, by what the tool said; `undefined` when it says nothing known. */
  hintFor(stderr: string): string | undefined;
}

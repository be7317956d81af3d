import type { Config } from "../../config/options.ts";
import type { Destination } from "../../destination/destination.ts";
import type { MysqlCopy } from "../../domain/copy.ts";
import { BackupError } from "../../domain/errors.ts";
import { humanSeconds } from "../../domain/human.ts";
import { planRecovery } from "../../domain/recovery-plan.ts";
import { gtidFilter } from "../../domain/recovery-target.ts";
import type { Candidate } from "../../domain/restore-plan.ts";
import { openRestorer } from "../../engine/open.ts";
import { listCopies } from "../../job/list.ts";
import { prepareMemory } from "../../job/memory.ts";
import { openVerifyDirectory } from "../../job/verify-directory.ts";
import {
  type Level,
  type VerifiedMysql,
  type VerifyMysqlOptions as VerifyOptions,
  verifyMysql as verify,
} from "../../job/verify-mysql.ts";
import type { Log } from "../../lib/log.ts";
import { listCommand, openTar } from "../../source/tar.ts";
import { bootAndCheck, canBoot } from "../boot.ts";
import { openContext, openDestination, shelfOf } from "../context.ts";
import { exitStatusOf } from "../exit-status.ts";
import { listedOf } from "../find-copies.ts";
import { chooseMysql, isKept } from "../find-mysql.ts";
import type { Invocation } from "../invocation.ts";
import { mysqlBinaries, mysqlParts } from "../mysql-reading.ts";
import { catalogueFor, replayServices } from "../recovery-services.ts";
import { tableOf } from "../table.ts";

/** The options of the command, as typed. */
export type VerifyMysqlOptions = {
  readonly copy: string;
  readonly hostname?: string;
  readonly dst?: string;
  readonly level?: Level;
  readonly withBinlogs?: true;
  readonly json?: true;
};

type Noting = { readonly log: Log; readonly signal: AbortSignal };

/** Verify one copy, the latest, or all of a host; the worst result is the exit status. */
export async function verifyMysql(options: VerifyMysqlOptions, invocation: Invocation): Promise<number> {
  const { terminal, signal } = invocation;
  const { config, log } = await openContext(invocation);
  await using destination = await openDestination(config);
  const where = { host: options.hostname ?? config.hostname, keepLocalPath: config.keepLocalPath };
  const { listed, warnings } = await listCopies(destination, { host: undefined, media: "mysql", signal });
  for (const warning of warnings) log.warn(warning);
  const isLocal = isKept(options.copy, config.keepLocalPath);
  const binaries = mysqlBinaries(config, invocation);
  const listTar = listCommand(await openTar({ signal }));
  const results: VerifiedMysql[] = [];
  const memoryBytes = prepareMemory();
  for (const copy of chooseMysql(options.copy, where, listed)) {
    terminal.draw(`verifying ${copy.key}`);
    const level = await levelFor(copy, options, { log, signal });
    const candidates = listedOf("mysql", listed).filter((each) => each.copy.host === copy.host);
    const reading = { config, destination, candidates, memoryBytes, log, signal };
    const found = await verify(copy, {
      shelf: isLocal ? undefined : shelfOf(destination, copy.host, "mysql"),
      candidates,
      level,
      planForward: options.withBinlogs === true ? await forwardOf(copy, level, reading) : undefined,
      listTar,
      openDirectory: () => openVerifyDirectory(options.dst),
      boot: (copy, directory) => bootAndCheck(copy, directory, { signal }),
      openPart: mysqlParts({ config, destination, preferKept: isLocal, signal }),
      openRestorer: (part) => openRestorer(part, { binaries, signal }),
      memoryBytes,
      idleSeconds: config.run.idleSeconds,
      signal,
    });
    results.push(found);
    if (found.error !== undefined) terminal.fail(found.error);
    if (found.unrecorded !== undefined) log.warn(`the result is not recorded: ${messageOf(found.unrecorded)}`);
  }
  terminal.draw("");
  print(results, options, invocation);
  const bad = results.find(({ error }) => error !== undefined);
  return bad === undefined ? 0 : exitStatusOf(bad.error);
}

type Reading = Noting & {
  readonly config: Config;
  readonly destination: Destination;
  readonly candidates: readonly Candidate[];
  readonly memoryBytes: number;
};

/** Bring a copy forward as far as the archived logs reach. @throws {BackupError} USAGE for a level that starts no server. */
async function forwardOf(copy: MysqlCopy, level: Level, reading: Reading): Promise<VerifyOptions["planForward"]> {
  if (level !== "boot") {
    throw new BackupError("USAGE", `Cannot replay binary logs on "${copy.key}": level ${level} starts no server`, {
      hint: "Leave --level out, on a host where the server is installed.",
    });
  }
  const { candidates, destination } = reading;
  const { host } = copy;
  const catalogue = await catalogueFor(destination, { ...reading, host });
  const excluded = gtidFilter([], copy.vendor);
  const request = { copy, host, candidates, catalogue, target: { kind: "end" }, excluded, atGap: "stop" } as const;
  return () => ({ ...replayServices(reading), plan: planRecovery(request) });
}

/** As far as this host can go, where nobody said how far. */
async function levelFor(copy: MysqlCopy, { level }: VerifyMysqlOptions, { log, signal }: Noting): Promise<Level> {
  if (level !== undefined) return level;
  if (await canBoot(copy, { signal })) return "boot";
  log.warn(`no server is installed here that "${copy.key}" could be started with, so it is prepared only`);
  return "prepare";
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The fields of the predecessor, and more. */
function jsonOf({ copy, level, seconds, error, culprit }: VerifiedMysql): Record<string, unknown> {
  return {
    backup_copy: copy.key,
    culprit: culprit ?? null,
    error: error === undefined ? null : messageOf(error),
    level,
    restore_time: seconds,
    sha256: copy.sha256 ?? null,
    success: error === undefined,
  };
}

/** One copy is an object, as the predecessor prints it; all of a host are a list. */
function print(results: readonly VerifiedMysql[], { copy, json }: VerifyMysqlOptions, { terminal }: Invocation): void {
  const objects = results.map(jsonOf);
  if (json === true) return terminal.print(JSON.stringify(copy === "all" ? objects : objects[0], null, 4));
  const lines = tableOf(
    [
      { title: "RESULT", value: ({ error }: VerifiedMysql) => (error === undefined ? "ok" : "FAILED") },
      { title: "LEVEL", value: ({ level }) => level },
      { title: "TOOK", value: ({ seconds }) => humanSeconds(seconds), align: "right" },
      { title: "COPY", value: ({ copy }) => copy.key },
    ],
    results,
  );
  terminal.print(lines.join("\n"));
}

import { stat } from "node:fs/promises";
import type { Config } from "../../config/options.ts";
import type { Destination } from "../../destination/destination.ts";
import type { FilesCopy, MysqlCopy } from "../../domain/copy.ts";
import { humanBytes, humanSeconds } from "../../domain/human.ts";
import { isBroken } from "../../domain/soundness.ts";
import { deletionFinding, driftFinding, type Finding, look, probeDestination } from "../../job/check.ts";
import { compress } from "../../modifier/compress.ts";
import { openGpg } from "../../modifier/gpg.ts";
import { readSpool } from "../../source/spool-view.ts";
import { type Context, openContext, openDestination, shelfOf } from "../context.ts";
import { exitStatusOf } from "../exit-status.ts";
import { findingTable, jsonOf } from "../finding-row.ts";
import type { Invocation } from "../invocation.ts";
import { mysqlBinaries } from "../mysql-reading.ts";
import { inspectServer, type Opening, sessionsOf } from "../mysql-server.ts";
import { pauseState } from "../paused.ts";
import { streamFindings } from "../stream-row.ts";

/** A newest copy older than this is late, whatever the cron lines say. */
const LATE_SECONDS = 36 * 3600;

/** Less than this many of the newest copies' sizes free is worth a word. */
const ROOM_FACTOR = 2;

export type CheckOptions = {
  readonly json?: true;
  readonly nagios?: true;
  readonly warning?: readonly string[];
  readonly critical?: readonly string[];
};

/** Look whether the next backup and the next restore would work; changes nothing that stays. */
export async function check(options: CheckOptions, invocation: Invocation): Promise<number> {
  if (options.nagios === true) return (await import("./nagios.ts")).nagios(options, invocation);
  const { terminal } = invocation;
  const findings = await findingsOf(await openContext(invocation), invocation);
  if (options.json === true) {
    terminal.print(JSON.stringify(findings.map(jsonOf), null, 2));
  } else {
    terminal.print(findingTable(findings).join("\n"));
  }
  const failed = findings.find(({ result }) => result === "failed");
  return failed === undefined ? 0 : exitStatusOf(failed.error);
}

/** Everything that is looked at. */
export async function findingsOf({ config, log, warnings }: Context, invocation: Invocation): Promise<Finding[]> {
  const { signal } = invocation;
  return [
    { name: "config", result: "ok", detail: config.path },
    ...warnings.map((detail): Finding => ({ name: "config", result: "warning", detail })),
    ...(await lookAtPause(config)),
    await look("source", () => lookAtSources(config)),
    ...(config.source.mysql
      ? [await look("mysql", () => lookAtServer(config, { binaries: mysqlBinaries(config, invocation), log, signal }))]
      : []),
    ...(await lookAtStream(config)),
    await look("compression", () => lookAtCompression(config, signal)),
    await look("encryption", () => lookAtEncryption(config, signal)),
    ...(await lookAtDestination(config, signal)),
  ];
}

/** Only where there is something to say. */
async function lookAtPause(config: Config): Promise<Finding[]> {
  const { notice } = await pauseState(config, new Date());
  return notice === undefined ? [] : [{ name: "pause", result: "warning", detail: notice }];
}

async function lookAtSources({ source }: Config): Promise<string | Finding> {
  for (const directory of source.directories) await stat(directory);
  if (source.directories.length > 0) return source.directories.join(" ");
  if (source.mysql) return "the server";
  return { name: "source", result: "warning", detail: "no directories are backed up" };
}

/** Whether the next copy of the server can be taken: login, tool, privileges, state of a cluster's node. */
async function lookAtServer({ mysql }: Config, opening: Opening): Promise<string> {
  const sessions = sessionsOf(mysql, opening);
  const { engine, version } = await sessions.ask((client) => inspectServer(client, sessions));
  return `${version}, copied by ${engine === "clone" ? "its CLONE plugin" : `${engine.name} ${engine.version}`}`;
}

/** Whether the stream of binary logs runs, where one ever did. */
async function lookAtStream({ mysql }: Config): Promise<Finding[]> {
  const view = mysql && (await readSpool(mysql.binlogSpool));
  return view === undefined ? [] : streamFindings(view, new Date());
}

async function lookAtCompression({ compression }: Config, signal: AbortSignal): Promise<string> {
  await compress(compression)?.check({ signal });
  return compression.program;
}

async function lookAtEncryption({ gpg: options }: Config, signal: AbortSignal): Promise<string | Finding> {
  if (options?.recipient === undefined) return "copies are not encrypted";
  const modifier = await openGpg(options, { signal });
  await modifier.check({ signal });
  return `to ${options.recipient}`;
}

async function lookAtDestination(config: Config, signal: AbortSignal): Promise<Finding[]> {
  const findings: Finding[] = [];
  let destination: Destination | undefined;
  findings.push(
    await look("destination", async () => {
      destination = await openDestination(config);
      const { driftSeconds, refusal } = await probeDestination(destination, config.hostname, { signal });
      findings.unshift(driftFinding(driftSeconds));
      if (refusal !== undefined && config.removesExpired) findings.push(deletionFinding(refusal));
      const { transport } = await destination.capabilities({ signal });
      return `${destination.url}, by ${transport}`;
    }),
  );
  if (destination === undefined) return findings;
  await using open = destination;
  if (findings.some(({ result }) => result === "failed")) return findings;
  const { source, hostname } = config;
  const files = await shelfOf(open, hostname, "files").status.load({ signal });
  const server = source.mysql ? await shelfOf(open, hostname, "mysql").status.load({ signal }) : undefined;
  for (const { doubtful, warnings } of [files, ...(server ? [server] : [])]) {
    if (doubtful) findings.push({ name: "status", result: "warning", detail: warnings.join("; ") });
  }
  const ofDirectory = (directory: string) => files.status.copies.filter((copy) => copy.directory === directory);
  findings.push(...source.directories.map((directory) => lookAtAge(directory, ofDirectory(directory))));
  if (server) findings.push(lookAtAge("the server", server.status.copies));
  const newest = [...source.directories.map(ofDirectory), server?.status.copies ?? []].map((each) => each.at(-1));
  findings.push(await look("free space", () => lookAtSpace(open, newest, signal)));
  return findings;
}

function lookAtAge(what: string, copies: readonly (FilesCopy | MysqlCopy)[]): Finding {
  const name = `last copy of ${what}`;
  const last = copies.findLast((copy) => !isBroken(copy));
  if (last === undefined) return { name, result: "warning", detail: "there is none yet" };
  const age = (Date.now() - last.startedAt.getTime()) / 1000;
  return {
    name,
    result: age > LATE_SECONDS ? "warning" : "ok",
    detail: `${humanSeconds(age)} old, ${humanBytes(last.bytes ?? 0)}`,
  };
}

async function lookAtSpace(
  destination: Destination,
  newest: readonly (FilesCopy | MysqlCopy | undefined)[],
  signal: AbortSignal,
): Promise<string | Finding> {
  const { freeBytes } = await destination.capabilities({ signal });
  if (freeBytes === undefined) return "the destination does not tell";
  const needed = newest.reduce((sum, copy) => sum + (copy?.bytes ?? 0), 0);
  const detail = `${humanBytes(freeBytes)} free, the newest copies take ${humanBytes(needed)}`;
  return { name: "free space", result: freeBytes < needed * ROOM_FACTOR ? "warning" : "ok", detail };
}

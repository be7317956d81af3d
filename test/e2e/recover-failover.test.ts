import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { leftoversIn } from "../support/leftovers.ts";
import { anyOf, type QuietMoment, quietMoments, type Span, shuffled } from "../support/quiet-moments.ts";
import { lookInto } from "../support/restored.ts";
import type { Database } from "../support/servers/database.ts";
import { MAKES, type Make } from "../support/servers/replicas.ts";
import {
  type Commit,
  STEADY_ROWS,
  STEADY_STATE,
  STEADY_TABLES,
  type SteadyWriter,
  steadyRows,
  steadyState,
  survivorsOf,
  writeSteadily,
} from "../support/steady-writer.ts";
import { TwoServers } from "../support/two-servers.ts";
import { waitFor } from "../support/wait-for.ts";

/** A moment before the failover, three behind it, and a transaction behind it. */
const KINDS = 5;

/** Restores of each make, beside the one of all that is archived; more of them if somebody asks for more. */
const MOMENTS = Number(process.env["MOMENTS"] ?? KINDS);

/** MariaDB's logs tell whole seconds: each moment behind the failover has one to itself. */
const LIFE_MS = { before: 2200, behind: 1000 * (1.2 + (MOMENTS * 3) / KINDS) };

/** At least so many rows are archived and reach no replica, reach nobody, and are written by the old primary when it is back. */
const ALONE = 20;

const SILENT = { exitCode: 0, stdout: "", stderr: "" };

/** Much of a life is waiting. */
const BESIDE = { concurrent: true };

/** What is restored, the last row that has to be there, and whether the logs of both servers are needed for it. */
type Moment = { readonly target: readonly string[]; readonly last: number; readonly isJoined: boolean };

describe.each(MAKES)("restore mysql to random moments around a failover, of $name", BESIDE, (make) => {
  describe.skipIf(!make.isThere)("on this host", { concurrent: false }, () => {
    recovering(make);
  });
});

function recovering(make: Make): void {
  const isMariadb = make.name === "MariaDB";
  let two: TwoServers;
  let writer: SteadyWriter | undefined;
  /** What was committed, and did not get lost with the old primary. */
  let commits: readonly Commit[];
  /** Moments at which nothing was written, in random order. */
  let moments: { readonly before: readonly QuietMoment[]; readonly behind: readonly QuietMoment[] };
  let targets = 0;

  async function silently(host: "a" | "b", ...args: readonly string[]): Promise<void> {
    expect(await two.on(host, args)).toMatchObject(SILENT);
  }

  /** Until the old primary is gone. @returns when there was nothing but writes. */
  async function firstLife(written: readonly Commit[]): Promise<Span> {
    await silently("a", "backup", "daily", "--only", "mysql");
    const from = Date.now();
    await pause(LIFE_MS.before);
    const to = Date.now();
    await silently("a", "binlog", "push");
    const count = written.length;
    await waitFor(async () => Number(await two.second.sql("SELECT MAX(id) FROM shop.steady")) >= count);
    // Of what follows, some is archived and never reaches the replica, and some reaches nobody.
    await two.second.sql(make.stopApplying);
    const seen = written.length;
    await waitFor(() => Promise.resolve(written.length > seen + ALONE));
    await silently("a", "binlog", "push");
    const archived = written.length;
    await waitFor(() => Promise.resolve(written.length > archived + ALONE));
    two.first.kill();
    return { from, to };
  }

  /** Since the new primary is written to; the old one wakes up meanwhile, and goes on as if nothing had happened. */
  async function secondLife(written: readonly Commit[]): Promise<Span> {
    await waitFor(() => Promise.resolve(written.at(-1)?.server === 2));
    const from = Date.now();
    await pause(LIFE_MS.behind / 3);
    await silently("b", "binlog", "push");
    await two.wakeFirst();
    const zombie = writeSteadily({ socket: () => two.first.socket, isMariadb });
    await waitFor(() => Promise.resolve(zombie.commits.length > ALONE));
    // What it wrote is named, and is nowhere.
    const refused = await two.on("a", ["binlog", "push"]);
    expect(refused).toMatchObject({ exitCode: 1, stdout: "" });
    expect(refused.stderr).toMatch(
      new RegExp(`the server on "b" took over at [^,]*, and never got ${make.gtid}[^\\n]*, which this one logged`),
    );
    await zombie.stop();
    await pause(Math.max(0, from + LIFE_MS.behind - Date.now()));
    return { from, to: Date.now() };
  }

  beforeAll(async () => {
    two = await TwoServers.start(make);
    await two.first.sql(STEADY_TABLES);
    let primary = two.first;
    writer = writeSteadily({ socket: () => primary.socket, isMariadb });
    const before = await firstLife(writer.commits);
    await two.second.sql(`${make.promote}; SET GLOBAL read_only=0`);
    expect(await two.on("b", ["binlog", "takeover", "a"])).toMatchObject({ exitCode: 0 });
    primary = two.second;
    const behind = await secondLife(writer.commits);
    await writer.stop();
    await silently("b", "binlog", "push");
    commits = survivorsOf(writer.commits);
    // The rows of the new primary have the ids of those that were lost, but not its number.
    expect(writer.commits.length - commits.length).toBeGreaterThan(2 * ALONE);
    moments = {
      before: shuffled(quietMoments(before, commits, isMariadb)),
      behind: shuffled(quietMoments(behind, commits, isMariadb)),
    };
  }, 120_000 + LIFE_MS.behind);
  afterAll(async () => {
    await writer?.stop();
    await two?.[Symbol.asyncDispose]();
  });

  function momentIn(index: number): Moment {
    const turn = index % KINDS;
    if (turn === 4) {
      const { gtid = "", id } = anyOf(commits.filter((each) => each.server === 2));
      return { target: ["--to-gtid", gtid], last: id, isJoined: true };
    }
    const all = turn === 0 ? moments.before : moments.behind;
    const { at, last } = all[index % all.length] ?? anyOf(all);
    return { target: ["--to-time", at], last, isJoined: turn > 0 };
  }

  /** All that is in the rows up to one of them, also when each was written. */
  async function contentOf({ sql }: Database, last: number): Promise<string> {
    return sql(`SELECT COUNT(*), SUM(CRC32(CONCAT_WS(' ', id, v, at, server))) FROM shop.steady WHERE id <= ${last}`);
  }

  const checksumsOf = ({ sql }: Database) => sql("CHECKSUM TABLE shop.steady, shop.total");

  const restore = (target: readonly string[]) => ["restore", "mysql", "latest", "--hostname", "a", ...target];

  /** Restore, and look at what is there. */
  async function restored<T>(
    { target, isJoined }: Omit<Moment, "last">,
    look: (server: Database) => Promise<T>,
  ): Promise<T> {
    const directory = two.sandbox.path(`restored-${targets++}`);
    const { exitCode, stderr } = await two.on("b", [...restore(target), "--dst", directory]);
    // What only the old primary had is named.
    const told = isJoined ? expect.stringMatching(new RegExp(`^[^\n]*never got it: ${make.gtid}[^\n]*\n$`)) : "";
    expect({ target, exitCode, stderr }).toEqual({ target, exitCode: 0, stderr: told });
    return lookInto(directory, make.startOn, look);
  }

  async function stateOf(server: Database, last: number): Promise<object> {
    const [rows, state] = [await server.sql(STEADY_ROWS), await server.sql(STEADY_STATE)];
    return { rows, state, content: await contentOf(server, last) };
  }

  test(
    "holds exactly what was committed before, and nothing that the old primary wrote alone",
    async () => {
      for (let index = 0; index < MOMENTS; index++) {
        const moment = momentIn(index);
        const { last } = moment;
        const wanted = {
          rows: steadyRows(commits.filter(({ id }) => id <= last)),
          state: steadyState(last),
          content: await contentOf(two.second, last),
        };
        const found = await restored(moment, (server) => stateOf(server, last));
        expect({ ...moment, ...found }).toEqual({ ...moment, ...wanted });
      }
    },
    60_000 + MOMENTS * 20_000,
  );

  test("with all that is archived, is what the new primary is", async () => {
    expect(await two.second.sql(STEADY_ROWS)).toBe(steadyRows(commits));
    const checksums = await checksumsOf(two.second);
    const latest = { target: ["--to-time", "latest"], isJoined: true };
    for (const target of [latest.target, ["--to-time", anyOf(moments.behind).at]]) {
      const plan = await two.on("b", [...restore(target), "--dst", two.sandbox.path("planned"), "--dry-run"]);
      expect(plan.stdout).toMatch(/^join: the server that took over on b goes on behind .*; left out, .*$/m);
    }
    expect(await restored(latest, checksumsOf)).toBe(checksums);

    const listed = JSON.parse((await two.on("a", ["ls", "--type", "mysql", "--json"])).stdout) as {
      copies: { host: string; gaps: unknown[]; recoverable_until: string }[];
    };
    expect(listed.copies).toMatchObject([{ host: "a", gaps: [] }]);
    const until = Date.parse(listed.copies[0]?.recoverable_until ?? "");
    expect(until).toBeGreaterThan((commits.at(-1)?.acknowledged ?? 0) - 1000);
    expect(leftoversIn(two.sandbox.copies)).toEqual([]);
  });
}

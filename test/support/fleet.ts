import { type FleetHost, fleetHosts } from "../../src/cli/fleet-rows.ts";
import type { SpoolView, StreamState } from "../../src/domain/binlog-stream.ts";
import type { Copy, MysqlCopy } from "../../src/domain/copy.ts";
import { BackupError } from "../../src/domain/errors.ts";
import { fleetOf } from "../../src/domain/fleet.ts";
import { type Key, toKey } from "../../src/domain/key.ts";
import type { Listed, StatusTrouble } from "../../src/job/list.ts";
import { binlogCopy, filesCopy, fullCopy, increment } from "./copies.ts";

const HOUR_MS = 3_600_000;
const GIB = 1024 ** 3;

/** Numbers from 0 to 1 that are the same in every run. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed + 1; ; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state / 2 ** 32;
  }
}

function hosted<C extends Copy>(copy: C, host: string): C {
  const moved = { ...copy, host, key: move(copy.key, host) };
  return copy.media === "mysql" && copy.kind === "incremental" ? { ...moved, parent: move(copy.parent, host) } : moved;
}

function move(key: Key, host: string): Key {
  return toKey(`${host}${key.slice(key.indexOf("/"))}`);
}

type HostOptions = { readonly host: string; readonly copies: number; readonly seed: number; readonly now: Date };

/** Copies of one host: a quarter of a directory, a quarter binary logs, half of a server with an increment each hour. */
export function copiesOfHost({ host, copies, seed, now }: HostOptions): Listed[] {
  const random = numbers(seed);
  const isLate = seed % 11 === 3;
  const end = now.getTime() - (isLate ? 80 : 0.4) * HOUR_MS;
  const quarter = Math.floor(copies / 4);
  const size = (base: number, growth: number) => Math.round(base * (0.9 + 0.2 * random.next().value + growth));
  const files = Array.from({ length: quarter }, (_, index) => {
    const startedAt = new Date(end - (quarter - index) * 24 * HOUR_MS + 20 * HOUR_MS);
    const finishedAt = new Date(startedAt.getTime() + size(90_000, index / quarter));
    const bytes = size(3e8 * (1 + (seed % 5)), index / 200);
    const verified = { at: finishedAt, ok: index % 17 !== 5, level: "checksum" };
    const preserved = index === 3 && seed % 4 === 0 ? { preservedUntil: "forever" as const } : {};
    return filesCopy(startedAt, { bytes, finishedAt, ...(index % 3 === 2 && { verified }), ...preserved });
  });
  const servers: MysqlCopy[] = [];
  let parent: Key | undefined;
  for (let index = 0; index < quarter * 2; index++) {
    const startedAt = new Date(end - (quarter * 2 - index) * HOUR_MS);
    const finishedAt = new Date(startedAt.getTime() + size(parent === undefined ? 1_500_000 : 120_000, 0));
    const place = { binlog: { file: "mysql-bin.000001", offset: 4 } };
    if (parent === undefined || index % 24 === 0) {
      const full = fullCopy(startedAt, { bytes: size(40 * GIB, index / 400), finishedAt, interval: "daily", ...place });
      parent = full.key;
      servers.push(full);
    } else {
      servers.push(increment(startedAt, parent, { bytes: size(GIB, 0), finishedAt, ...place }));
    }
  }
  const logs = Array.from({ length: copies - quarter * 3 }, (_, index) =>
    binlogCopy(index + 1, new Date(end - (quarter - index) * HOUR_MS), { bytes: size(1e8, 0), rawBytes: 2e8 }),
  );
  return [...files, ...servers, ...logs].map((copy) => ({ copy: hosted(copy, host), doubt: undefined }));
}

/** A fleet in which some things are late, broken, or cannot be read; the first host has a name that wants to be code. */
export function sampleFleet(count: number, copies: number, now: Date): FleetHost[] {
  const names = Array.from({ length: count }, (_, index) => `db${String(index + 1).padStart(2, "0")}.example.com`);
  const evil = `"><script>alert(1)</script>&amp;'`;
  const hosts = [evil, ...names.slice(1)];
  const read = hosts.slice(0, -2);
  const listed = read.flatMap((host, seed) => copiesOfHost({ host: seed === 0 ? "evil" : host, copies, seed, now }));
  const views = fleetOf(listed, now).map((view) => (view.host === "evil" ? { ...view, host: evil } : view));
  const error = new BackupError("DATA_DAMAGED", `Cannot read "${hosts.at(-1)}/status": it is <b>cut</b> short`, {
    hint: 'Run "twindb-backup status rebuild".',
  });
  const troubles: StatusTrouble[] = [{ host: hosts.at(-1) ?? "", media: "mysql", kind: "unreadable", error }];
  const pausedUntil = new Date(now.getTime() + 4 * HOUR_MS);
  return fleetHosts(views, { hosts, troubles }, { host: hosts[2] ?? "", pausedUntil, stream: sampleStream(now) });
}

/** A stream that runs, with something put aside. */
export function sampleStream(now: Date, state: Partial<StreamState> = {}): SpoolView {
  const at = (ago: number) => new Date(now.getTime() - ago).toISOString();
  return {
    state: {
      pid: process.pid,
      state: "following",
      log: "mysql-bin.000031",
      bytes: 5 * 1024 ** 2,
      lastEventAt: at(3000),
      heardAt: at(1000),
      lagSeconds: 2,
      failure: undefined,
      ...state,
    },
    waiting: { directory: "/var/lib/twindb-backup/binlog-spool", logs: 2, bytes: 2.2e8 },
    aside: [{ directory: "/var/lib/twindb-backup/binlog-spool/aside-20260501T120000000Z", logs: 1, bytes: 4e6 }],
  };
}

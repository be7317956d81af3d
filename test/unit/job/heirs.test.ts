import { beforeEach, expect, test } from "vitest";
import { forebearsOf } from "../../../src/cli/forebears.ts";
import { parseGtidState } from "../../../src/domain/binlog.ts";
import type { BinlogCopy, MysqlCopy } from "../../../src/domain/copy.ts";
import { BackupError } from "../../../src/domain/errors.ts";
import { type Key, toKey } from "../../../src/domain/key.ts";
import { withTakeover } from "../../../src/domain/takeover.ts";
import { expireHostBinlogs, type Forebears } from "../../../src/job/expire-binlogs.ts";
import { listCopies } from "../../../src/job/list.ts";
import { Manifests } from "../../../src/status/manifests.ts";
import { StatusStore } from "../../../src/status/store.ts";
import { at, binlogCopy, binlogFacts, fullCopy } from "../../support/copies.ts";
import { MemoryDestination } from "../../support/memory-destination.ts";

const { signal } = new AbortController();
let destination: MemoryDestination;
let warnings: string[];

/** A log of ten transactions of domain 0, from `10 * number` on, of which all up to 0-1-30 were written by the old primary. */
function log(number: number, host: string, serverId: number): BinlogCopy {
  const writer = number > 2 ? 2 : 1;
  const copy = binlogCopy(number, at(1, number), { host, rawBytes: 1044, gtid: `0-${writer}-${number * 10 + 10}` });
  return {
    ...copy,
    key: toKey(`${host}/binlog/${copy.name}.gz`),
    log: binlogFacts(at(1, number + 1), {
      serverId,
      head: `${serverId}-${number}`,
      previousGtid: `0-${number > 3 ? 2 : 1}-${number * 10}`,
      logged: `0-${writer}:${number * 10 + 1}-${number * 10 + 10}`,
    }),
  };
}

async function store(key: Key): Promise<void> {
  async function* content() {
    yield new Uint8Array(10);
  }
  await destination.put(key, content(), { signal });
}

async function archive(host: string, copies: readonly BinlogCopy[]): Promise<void> {
  for (const { key } of copies) await store(key);
  await new StatusStore(destination, { host, media: "binlog" }).update(() => ({ copies: [...copies] }), { signal });
}

const OLD = [log(1, "db7", 1), log(2, "db7", 1)];
/** What the new primary applied, then what it wrote. */
const NEW = [log(1, "db8", 2), log(2, "db8", 2), log(3, "db8", 2), log(4, "db8", 2)];
const COPY: MysqlCopy = fullCopy(at(1, 2, 30), {
  finishedAt: at(1, 2, 30),
  gtid: "0-1-25",
  binlog: { file: "mysql-bin.000002", offset: 500 },
});

beforeEach(async () => {
  destination = new MemoryDestination();
  warnings = [];
  const to = { host: "db8", uuid: undefined, serverId: 2 };
  const takeover = { applied: parseGtidState("mariadb", "0-1-30"), gtid: "0-1-30", at: at(1, 3), by: "root@db8", to };
  await archive("db7", withTakeover(OLD, takeover, "db7"));
  await archive("db8", NEW);
});

test("listCopies() of one host brings the logs of the one that took over along", async () => {
  const { listed, heirs } = await listCopies(destination, { host: "db7", media: "binlog", signal });
  expect(listed.map(({ copy }) => copy.key)).toEqual(OLD.map(({ key }) => key));
  expect(heirs.map(({ copy }) => copy.key)).toEqual(NEW.map(({ key }) => key));
  expect((await listCopies(destination, { host: "db8", media: "binlog", signal })).heirs).toEqual([]);
});

test("listCopies() says that the logs of the one that took over cannot be read, and shows the host all the same", async () => {
  const list = destination.list.bind(destination);
  destination.list = (prefix, options) => {
    if (prefix.startsWith("db8")) throw new BackupError("NOT_PERMITTED", "Cannot list db8: it is not yours", {});
    return list(prefix, options);
  };
  const { listed, heirs, warnings } = await listCopies(destination, { host: "db7", media: "binlog", signal });
  expect(listed).toHaveLength(2);
  expect(heirs).toEqual([]);
  expect(warnings.join()).toContain('the binary logs of "db8", which took over, cannot be read: Cannot list');
});

/** Expire the new primary's logs in its stead. @returns those that are left. */
async function expire(forebears: () => Promise<Forebears>): Promise<string[]> {
  const status = new StatusStore(destination, { host: "db8", media: "binlog" });
  const shelf = { host: "db8", destination, manifests: new Manifests(destination), status } as const;
  const log = { debug() {}, info() {}, warn: (text: string) => warnings.push(text) };
  const expiry = { shelf, removesExpired: true, expireDays: 0, now: () => at(3), log, signal, forebears };
  await expireHostBinlogs(expiry, { copies: [] });
  return (await status.load({ signal })).status.copies.map(({ name }) => name.slice(-1));
}

test("expireHostBinlogs() leaves what copies of the old primary need, and everything when these are not known for sure", async () => {
  const { listed } = await listCopies(destination, { host: "db7", media: "binlog", signal });
  const logs = listed.flatMap(({ copy }) => (copy.media === "binlog" ? [copy] : []));
  expect(await expire(() => Promise.resolve({ copies: [COPY], logs, doubtful: true }))).toEqual(["1", "2", "3", "4"]);
  expect(warnings.join()).toContain("no binary log is removed");
  expect(await expire(() => Promise.resolve({ copies: [COPY], logs, doubtful: false }))).toEqual(["3", "4"]);
  expect(await expire(() => Promise.resolve({ copies: [], logs, doubtful: false }))).toEqual(["4"]);
});

test("forebearsOf() finds the hosts that a server took over from, so that what their copies need stays", async () => {
  await store(COPY.key);
  await new StatusStore(destination, { host: "db7", media: "mysql" }).update(() => ({ copies: [COPY] }), { signal });
  await archive("db5", [{ ...log(1, "db5", 5), key: toKey("db5/binlog/mysql-bin.000001.gz") }]);
  const found = await forebearsOf(destination, "db8", { signal });
  expect(found.copies.map(({ key }) => key)).toEqual([COPY.key]);
  expect(found).toMatchObject({ logs: OLD.map(({ key }) => ({ key })), doubtful: false });
  expect(await expire(() => forebearsOf(destination, "db8", { signal }))).toEqual(["3", "4"]);
  await destination.remove(toKey("db7/status"), { signal });
  expect(await forebearsOf(destination, "db8", { signal })).toMatchObject({ doubtful: true });
});

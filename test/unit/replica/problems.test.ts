import { expect, test } from "vitest";
import { BackupError } from "../../../src/domain/errors.ts";
import {
  logsElsewhere,
  type ReplicaFacts,
  replicaProblems,
  sourceProblems,
  together,
} from "../../../src/replica/problems.ts";
import type { SourceFacts } from "../../../src/replica/source-end.ts";

const SOURCE: SourceFacts = {
  vendor: "mariadb",
  version: "10.11.14-MariaDB-log",
  uuid: undefined,
  datadir: "/var/lib/mysql",
  datadirId: undefined,
  dataBytes: 1000 * 1024,
  binlog: { file: "binlog.000001", offset: 4 },
  gtid: "0-1-1",
  galeraVersion: undefined,
  variables: new Map([
    ["log_bin", "ON"],
    ["server_id", "1"],
    ["port", "3306"],
    ["log_slave_updates", "OFF"],
    ["log_bin_basename", "/var/lib/mysql/binlog"],
    ["relay_log_basename", ""],
    ["innodb_data_home_dir", ""],
    ["innodb_log_group_home_dir", "./"],
    ["innodb_undo_directory", "/var/lib/mysql/"],
  ]),
  serverIds: new Set([1]),
  isReplica: false,
};

const FOUND = { free: ["1000 4096"], user: ["mysql"], unit: ["mariadb"] };
const SERVER = "mariadbd  Ver 10.11.14-MariaDB-0+deb12u2 for debian-linux-gnu on x86_64 (Debian 12)";

function facts(found: Readonly<Record<string, readonly string[]>> = {}, servers = [SERVER]): ReplicaFacts {
  return { name: "root@db2:22", found: new Map(Object.entries({ ...FOUND, ...found })), servers };
}

function withVariable(name: string, value: string, more: Partial<SourceFacts> = {}): SourceFacts {
  return { ...SOURCE, ...more, variables: new Map([...SOURCE.variables, [name, value]]) };
}

test("nothing stands in the way of a good pair", () => {
  expect(sourceProblems(SOURCE, "root@db1:22")).toEqual([]);
  expect(replicaProblems(facts(), SOURCE, { startCommand: undefined })).toEqual([]);
});

test.each<[SourceFacts, string]>([
  [withVariable("log_bin", "OFF"), "it writes no binary log"],
  [withVariable("server_id", "0"), "its server_id is 0"],
  [{ ...SOURCE, isReplica: true }, "it is a replica that does not pass on what it receives"],
  [withVariable("wsrep_on", "ON"), "it is a node of a cluster, which its config would have the clone join"],
  [withVariable("innodb_undo_directory", "/srv/undo"), "innodb_undo_directory is /srv/undo"],
])("sourceProblems() number %#", (source, what) => {
  const [problem, ...more] = sourceProblems(source, "root@db1:22");
  expect(problem?.message).toContain(what);
  expect(problem?.hint).toBeDefined();
  expect(more).toEqual([]);
});

test("sourceProblems() lets a replica be a source that passes on what it receives", () => {
  expect(sourceProblems(withVariable("log_slave_updates", "ON", { isReplica: true }), "db1")).toEqual([]);
  expect(sourceProblems(withVariable("log_replica_updates", "ON", { isReplica: true }), "db1")).toEqual([]);
});

test.each<[ReplicaFacts, string, string]>([
  [facts({ pid: ["4711"] }), "USAGE", 'a server runs on "/var/lib/mysql", with pid 4711'],
  [facts({ listening: ["3306"] }), "USAGE", "a program listens on port 3306"],
  [facts({ entry: ["ibdata1", "mysql"] }), "ALREADY_EXISTS", "is not empty, it holds ibdata1, mysql"],
  [facts({ nodir: ["/var/log/mysql"] }), "USAGE", 'keeps logs in "/var/log/mysql", which is not there'],
  [facts({ log: ["/var/log/mysql/binlog.000001"] }), "USAGE", "logs of another server are there"],
  [facts({ free: ["250 4096"] }), "NO_SPACE", "are free for"],
  [facts({ user: [] }), "CONFIG_INVALID", 'there is no user "mysql"'],
  [facts({ unit: [] }), "CONFIG_INVALID", "it has no unit"],
  [facts({}, []), "CONFIG_INVALID", "no server is installed, the source is 10.11.14"],
  [facts({}, [SERVER.replace("10.11", "10.6")]), "CONFIG_INVALID", "the installed server is MariaDB 10.6.14"],
  [facts({}, ["mysqld  Ver 9.7.4 for Linux"]), "CONFIG_INVALID", "the installed server is MySQL 9.7.4"],
])("replicaProblems() number %#", (replica, code, what) => {
  const [problem, ...more] = replicaProblems(replica, SOURCE, { startCommand: undefined });
  expect(problem?.message).toContain(what);
  expect(problem?.code).toBe(code);
  expect(problem?.hint).toBeDefined();
  expect(more).toEqual([]);
});

test("replicaProblems() needs no unit where a command starts the server", () => {
  expect(replicaProblems(facts({ unit: [] }), SOURCE, { startCommand: "start" })).toEqual([]);
});

test("logsElsewhere() names those outside of the data directory", () => {
  expect(logsElsewhere(SOURCE)).toEqual([]);
  expect(logsElsewhere(withVariable("log_bin_basename", "/var/log/mysql/binlog"))).toEqual(["/var/log/mysql/binlog"]);
  expect(logsElsewhere(withVariable("log_bin_basename", "/var/lib/mysql-binlog/binlog"))).toHaveLength(1);
});

test("together() tells all, in the class of the first", () => {
  const [first, second] = [new BackupError("NO_SPACE", "A", { hint: "Do a." }), new BackupError("USAGE", "B")];
  expect(together([], "clone")).toBeUndefined();
  expect(together([first], "clone")).toBe(first);
  const both = together([first, second], "clone");
  expect(both?.message).toBe("Cannot clone: 2 things stand in the way\n  A. Do a.\n  B.");
  expect(both?.code).toBe("NO_SPACE");
});

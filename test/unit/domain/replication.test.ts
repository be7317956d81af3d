import { expect, test } from "vitest";
import {
  executedStatements,
  type FollowedSource,
  followStatements,
  isCatchingUp,
  type ReplicaServer,
  type ReplicaStatus,
  readOnlyStatements,
  readReplicaStatus,
  replicaStatusStatement,
  replicasStatement,
  type Statement,
} from "../../../src/domain/replication.ts";

const PASSWORD = "s'cret";
const GTIDS: Readonly<Record<ReplicaServer["vendor"], string>> = {
  mariadb: "0-1-1234,1-9-40",
  oracle: "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-23",
  percona: "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-23",
};
const PLAIN: FollowedSource = { host: "db1", port: 3306, user: "repl", tls: undefined };
const TLS: FollowedSource = {
  ...PLAIN,
  tls: { ca: "/etc/ssl/ca.pem", cert: "/etc/ssl/cert.pem", key: "/etc/ssl/key.pem", verifiesIdentity: true },
};
const ENCRYPTED: FollowedSource = {
  ...PLAIN,
  tls: { ca: undefined, cert: undefined, key: undefined, verifiesIdentity: false },
};

function shown(statements: readonly Statement[]): string[] {
  return statements.map(({ sql, values }) => (values.length === 0 ? sql : `${sql}   -- ${JSON.stringify(values)}`));
}

test.each<[string, ReplicaServer]>([
  ["mysql-5.7", { vendor: "percona", version: "5.7.44-48-log" }],
  ["mysql-8.0.20", { vendor: "oracle", version: "8.0.20" }],
  ["mysql-8.0", { vendor: "oracle", version: "8.0.40" }],
  ["mysql-8.4", { vendor: "percona", version: "8.4.3-3" }],
  ["mysql-9.7", { vendor: "oracle", version: "9.7.4" }],
  ["mysql-26.7", { vendor: "oracle", version: "26.7.0" }],
  ["mariadb-10.5", { vendor: "mariadb", version: "10.5.29-MariaDB-log" }],
  ["mariadb-10.11", { vendor: "mariadb", version: "10.11.14-MariaDB-0+deb12u2-log" }],
  ["mariadb-11.8", { vendor: "mariadb", version: "11.8.3-MariaDB" }],
])("the statements that make a replica of %s", async (name, server) => {
  const gtid = { kind: "gtid", gtid: GTIDS[server.vendor] } as const;
  const position = { kind: "position", binlog: { file: "binlog.000012", offset: 4711 } } as const;
  const lines = [
    "# by GTID",
    ...shown(followStatements(server, PLAIN, { start: gtid, password: PASSWORD })),
    "# by position, over TLS",
    ...shown(followStatements(server, TLS, { start: position, password: PASSWORD })),
    "# over TLS of any certificate",
    ...shown(followStatements(server, ENCRYPTED, { start: gtid, password: PASSWORD }).slice(-2)),
    "# what else",
    ...(server.vendor === "mariadb" ? [] : shown(executedStatements(server, gtid.gtid))),
    ...shown(readOnlyStatements(server)),
    replicaStatusStatement(server),
    replicasStatement(server),
    "",
  ];
  await expect(lines.join("\n")).toMatchFileSnapshot(`../../golden/replication/${name}.txt`);
});

test("followStatements() never writes the password into a statement", () => {
  const start = { kind: "gtid", gtid: GTIDS.mariadb } as const;
  const all = followStatements({ vendor: "mariadb", version: "10.11.1" }, PLAIN, { start, password: PASSWORD });
  expect(all.map(({ sql }) => sql).join("\n")).not.toContain(PASSWORD);
  expect(all.flatMap(({ values }) => values)).toContain(PASSWORD);
});

test("readReplicaStatus() reads the old and the new names", () => {
  const old = {
    Slave_IO_Running: "Yes",
    Slave_SQL_Running: "No",
    Seconds_Behind_Master: undefined,
    Last_SQL_Error: "dup",
  };
  expect(readReplicaStatus(old)).toEqual({
    isReading: true,
    isApplying: false,
    secondsBehind: undefined,
    problem: "dup",
  });
  const now = {
    Replica_IO_Running: "Connecting",
    Replica_SQL_Running: "Yes",
    Seconds_Behind_Source: "7",
    Last_IO_Error: "",
  };
  expect(readReplicaStatus(now)).toEqual({ isReading: false, isApplying: true, secondsBehind: 7, problem: undefined });
});

const works = (secondsBehind: number | undefined): ReplicaStatus => ({
  isReading: true,
  isApplying: true,
  secondsBehind,
  problem: undefined,
});

test.each<[string, readonly ReplicaStatus[], boolean]>([
  ["nothing seen", [], false],
  ["it is there", [works(0)], true],
  ["it is far behind, once seen", [works(900)], false],
  ["it draws nearer", [works(undefined), works(900), works(890)], true],
  ["it falls back", [works(900), works(905)], false],
  ["it is not known", [works(900), works(undefined)], false],
  ["it does not read", [{ ...works(0), isReading: false }], false],
  ["it does not apply", [{ ...works(0), isApplying: false }], false],
])("isCatchingUp() when %s", (_name, seen, expected) => {
  expect(isCatchingUp(seen)).toBe(expected);
});

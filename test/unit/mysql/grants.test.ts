import { expect, test } from "vitest";
import { accountName, type GrantNeeds, grantStatements, missingGrants, parseGrant } from "../../../src/mysql/grants.ts";

const MARIADB: GrantNeeds = {
  engine: "mariadb-backup",
  vendor: "mariadb",
  version: "10.11.14-MariaDB-log",
  galera: false,
};
const PERCONA: GrantNeeds = { engine: "xtrabackup", vendor: "percona", version: "8.0.36-28", galera: false };

function names(lines: string | string[], needs: GrantNeeds): string[] {
  return missingGrants([lines].flat(), needs).map(({ name, on }) => (on === "*.*" ? name : `${name} ${on}`));
}

test.each<[string, GrantNeeds, string[]]>([
  ["GRANT USAGE ON *.* TO `b`@`%`", MARIADB, ["RELOAD", "PROCESS", "LOCK TABLES", "BINLOG MONITOR"]],
  ["GRANT RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR ON *.* TO `b`@`%` IDENTIFIED BY PASSWORD '*AB'", MARIADB, []],
  ["GRANT RELOAD, PROCESS, LOCK TABLES, REPLICATION CLIENT ON *.* TO 'b'@'%'", MARIADB, []],
  ["GRANT RELOAD, PROCESS, LOCK TABLES, SUPER ON *.* TO 'b'@'%'", MARIADB, []],
  [
    "GRANT RELOAD, PROCESS, LOCK TABLES, SUPER ON *.* TO 'b'@'%'",
    { ...MARIADB, version: "11.4.2-MariaDB" },
    ["BINLOG MONITOR"],
  ],
  [
    "GRANT RELOAD, PROCESS, LOCK TABLES, REPLICATION CLIENT ON *.* TO 'b'@'%'",
    { ...MARIADB, version: "10.4.34-MariaDB" },
    [],
  ],
  ["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION", { ...MARIADB, galera: true }, []],
  ["GRANT ALL PRIVILEGES ON `a`.* TO `b`@`%`", MARIADB, ["RELOAD", "PROCESS", "LOCK TABLES", "BINLOG MONITOR"]],
  ["GRANT RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR ON *.* TO `b`@`%`", { ...MARIADB, galera: true }, ["SUPER"]],
  [
    "GRANT RELOAD, PROCESS, LOCK TABLES, REPLICATION CLIENT ON *.* TO `b`@`%`",
    PERCONA,
    ["BACKUP_ADMIN", "SELECT performance_schema.log_status"],
  ],
  [
    "GRANT RELOAD, PROCESS, LOCK TABLES, REPLICATION CLIENT ON *.* TO `b`@`%`",
    { ...PERCONA, version: "5.7.44-48" },
    [],
  ],
  ["GRANT BACKUP_ADMIN ON *.* TO `b`@`%`", { ...PERCONA, engine: "clone", version: "9.7.4" }, ["REPLICATION CLIENT"]],
  ["GRANT BACKUP_ADMIN, SUPER ON *.* TO `b`@`%`", { ...PERCONA, engine: "clone", version: "26.7.0" }, []],
])("missingGrants() of %s", (line, needs, expected) => {
  expect(names(line, needs)).toEqual(expected);
});

test.each([
  "GRANT SELECT ON `performance_schema`.`log_status` TO `b`@`%`",
  "GRANT SELECT, INSERT ON `performance\\_schema`.* TO `b`@`%`",
  "GRANT SELECT ON *.* TO `b`@`%`",
])("missingGrants() knows what %s covers", (line) => {
  const global = "GRANT RELOAD, PROCESS, LOCK TABLES, REPLICATION CLIENT ON *.* TO `b`@`%`";
  expect(names([global, "GRANT BACKUP_ADMIN ON *.* TO `b`@`%`", line], PERCONA)).toEqual([]);
});

test("missingGrants() puts together what several lines and roles give", () => {
  const lines = ["GRANT `r` TO `b`@`%`", "GRANT RELOAD, PROCESS ON *.* TO `r`", "GRANT LOCK TABLES ON *.* TO PUBLIC"];
  expect(names(lines, MARIADB)).toEqual(["BINLOG MONITOR"]);
});

test.each([
  ["GRANT `r`@`%` TO `b`@`%`", []],
  ["GRANT PROXY ON ``@`%` TO `c`@`localhost`", []],
  ["GRANT EXECUTE ON PROCEDURE `mysql`.`x` TO `b`@`%`", []],
  ["SET DEFAULT ROLE `r` FOR `b`@`localhost`", []],
  ["REVOKE SELECT ON `mysql`.* FROM `b`@`%`", []],
  ["GRANT SELECT (`y`, `x`), INSERT (`x`), UPDATE ON `a``b`.`t` TO `b`@`localhost`", [{ name: "UPDATE", on: "ab.t" }]],
])("parseGrant() of %s", (line, expected) => {
  expect(parseGrant(line)).toEqual(expected);
});

test("grantStatements() can be run as they are", () => {
  const missing = missingGrants([], PERCONA);
  expect(grantStatements(missing, accountName("o'neil@%"))).toEqual([
    "GRANT BACKUP_ADMIN, RELOAD, PROCESS, LOCK TABLES, REPLICATION CLIENT ON *.* TO 'o''neil'@'%';",
    "GRANT SELECT ON performance_schema.log_status TO 'o''neil'@'%';",
  ]);
});

test.each<[GrantNeeds, string[]]>([
  [
    { ...MARIADB, version: "10.11.14-MariaDB" },
    ["REPLICATION MASTER ADMIN", "REPLICATION SLAVE ADMIN", "REPLICA MONITOR", "READ_ONLY ADMIN"],
  ],
  [{ ...MARIADB, version: "10.3.39-MariaDB" }, ["SUPER", "REPLICATION SLAVE"]],
  [PERCONA, ["REPLICATION SLAVE", "REPLICATION_SLAVE_ADMIN", "SYSTEM_VARIABLES_ADMIN"]],
])("missingGrants() for a replica of %o", (needs, more) => {
  const backup = names([], needs);
  expect(names([], { ...needs, replica: true }).sort()).toEqual([...backup, ...more].sort());
});

test("missingGrants() takes SUPER for what sets a replica up, where it still gives it", () => {
  const line = "GRANT RELOAD, PROCESS, LOCK TABLES, SUPER ON *.* TO `b`@`%`";
  expect(names([line], { ...MARIADB, version: "10.11.14-MariaDB", replica: true })).toEqual([]);
});

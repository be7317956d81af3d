import { expect, test } from "vitest";
import { binlogStatement, joinPositions, vendorOf } from "../../../src/mysql/server-facts.ts";

test.each([
  ["10.11.14-MariaDB-0+deb12u2-log", "Debian 12", "mariadb"],
  ["8.0.36-28", "Percona Server (GPL), Release 28, Revision 47601f19", "percona"],
  ["8.0.36-28.1", "Percona XtraDB Cluster (GPL), Release rel28, Revision bfb687f, WSREP version 26.1.4.3", "percona"],
  ["9.7.4", "MySQL Community Server - GPL", "oracle"],
  ["8.0.32", "Source distribution", "oracle"],
  ["11.4.2", "MariaDB Server", "mariadb"],
])("vendorOf(%j, %j)", (version, comment, vendor) => {
  expect(vendorOf(version, comment)).toBe(vendor);
});

test.each([
  ["mariadb", "11.8.1-MariaDB", "SHOW MASTER STATUS"],
  ["oracle", "5.7.44", "SHOW MASTER STATUS"],
  ["oracle", "8.0.36", "SHOW MASTER STATUS"],
  ["percona", "8.2.0-1", "SHOW BINARY LOG STATUS"],
  ["oracle", "8.4.3", "SHOW BINARY LOG STATUS"],
  ["oracle", "26.7.0", "SHOW BINARY LOG STATUS"],
] as const)("binlogStatement(%j, %j)", (vendor, version, sql) => {
  expect(binlogStatement(vendor, version)).toBe(sql);
});

test.each([
  [["", ""], ""],
  [["0-1-5", ""], "0-1-5"],
  [["", "0-1-5"], "0-1-5"],
  [["0-1-5", "0-2-7"], "0-2-7"],
  [["0-2-18446744073709551615", "0-1-18446744073709551614"], "0-2-18446744073709551615"],
  [["1-9-40,0-7-3", "0-7-2, 2-7-1"], "0-7-3,1-9-40,2-7-1"],
])("joinPositions(%j)", (positions, expected) => {
  expect(joinPositions(...positions)).toBe(expected);
});

import { expect, test } from "vitest";
import { canRead, readVersion } from "../../../src/mysql/server-binary.ts";

test.each([
  [
    "mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)\n",
    { family: "MariaDB", version: "10.11.19-MariaDB-0+deb12u1" },
  ],
  ["/usr/sbin/mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))\n", { family: "MySQL", version: "9.7.4-2" }],
  [
    "/usr/sbin/mysqld  Ver 8.0.36-28 for Linux on x86_64 (Percona Server (GPL), Release 28)\n",
    { family: "MySQL", version: "8.0.36-28" },
  ],
  ["something else\n", undefined],
])("readVersion() of %j", (said, version) => {
  expect(readVersion(said)).toEqual(version);
});

test.each([
  ["10.11.19-MariaDB", "mariadb", "10.11.14-MariaDB-log", true],
  ["10.11.19-MariaDB", "mariadb", "10.5.29-MariaDB", true],
  ["10.5.29-MariaDB", "mariadb", "10.11.19-MariaDB", false],
  ["11.8.6-MariaDB", "mariadb", "10.11.19-MariaDB", false],
  ["10.11.19-MariaDB", "oracle", "8.0.36", false],
  ["8.4.6", "percona", "8.0.36-28", true],
  ["8.0.36", "oracle", "8.4.6", false],
  ["9.7.4", "oracle", "8.4.6", false],
  ["9.7.4", "mariadb", "9.7.4", false],
  ["9.7.4", "oracle", "", true],
] as const)("canRead() of %s for %s %s: %s", (...[version, vendor, serverVersion, expected]) => {
  const family = version.includes("MariaDB") ? "MariaDB" : "MySQL";
  expect(canRead({ family, version }, { vendor, serverVersion })).toBe(expected);
});

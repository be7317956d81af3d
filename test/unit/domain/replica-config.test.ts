import { expect, test } from "vitest";
import { dropInText, freeServerId, replicaConfig } from "../../../src/domain/replica-config.ts";

const ROOTS = ["/etc/my.cnf", "/etc/mysql/my.cnf"];

test("replicaConfig() puts the own file into the directory that is included last, and changes nothing else", () => {
  const files = new Map([
    ["/etc/my.cnf", "# old\n"],
    [
      "/etc/mysql/my.cnf",
      "# mine\n!includedir /etc/mysql/conf.d/\n  !includedir mariadb.conf.d\n# !includedir /nowhere\n",
    ],
    ["/etc/mysql/conf.d/a.cnf", "[mysqld]\n"],
  ]);
  const config = replicaConfig(files, ROOTS);
  expect(config?.dropIn).toBe("/etc/mysql/mariadb.conf.d/zz-twindb-replica.cnf");
  expect(config?.files).toEqual(files);
});

test("replicaConfig() includes the own file at the end where no directory is included, once", () => {
  const config = replicaConfig(new Map([["/etc/my.cnf", "[mysqld]\nserver_id=1"]]), ROOTS);
  expect(config?.dropIn).toBe("/etc/zz-twindb-replica.cnf");
  const text = "[mysqld]\nserver_id=1\n!include /etc/zz-twindb-replica.cnf\n";
  expect(config?.files.get("/etc/my.cnf")).toBe(text);
  expect(replicaConfig(new Map([["/etc/my.cnf", text]]), ROOTS)?.files.get("/etc/my.cnf")).toBe(text);
});

test("replicaConfig() knows no place without any file", () => {
  expect(replicaConfig(new Map(), ROOTS)).toBeUndefined();
});

test.each([
  ["mariadb", "10.11.14-MariaDB", "skip_slave_start", undefined],
  ["percona", "5.6.51", "skip_slave_start", undefined],
  ["percona", "5.7.44", "skip_slave_start", "super_read_only = ON"],
  ["oracle", "8.0.25", "skip_slave_start", "super_read_only = ON"],
  ["oracle", "8.0.26", "skip_replica_start", "super_read_only = ON"],
  ["oracle", "9.7.4", "skip_replica_start", "super_read_only = ON"],
] as const)("dropInText() of %s %s", (...[vendor, version, first, forGood]) => {
  const lines = (isFirst: boolean) => dropInText({ vendor, version }, { serverId: 77, isFirst }).trimEnd().split("\n");
  const common = ["[mysqld]", "server_id = 77", "read_only = ON"];
  expect(lines(true)).toEqual(expect.arrayContaining([...common, "event_scheduler = OFF", first]));
  expect(lines(false)).toEqual(
    expect.arrayContaining([...common, "event_scheduler = OFF", ...(forGood ? [forGood] : [])]),
  );
  expect(lines(false).join("\n")).not.toContain("skip_");
  expect(lines(true).join("\n")).not.toContain("super_read_only");
});

test("freeServerId() takes none that is taken, and none that no server takes", () => {
  const numbers = [0, 0, 0.999_999_999_9];
  expect(freeServerId(() => numbers.shift() ?? 0, new Set([1]))).toBe(4_294_967_294);
  expect(freeServerId(() => 0, new Set())).toBe(1);
});

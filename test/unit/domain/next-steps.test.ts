import { expect, test } from "vitest";
import { nextSteps, type RestoredServer } from "../../../src/domain/next-steps.ts";

const SERVER: RestoredServer = {
  directory: "/srv/restored",
  datadir: "/var/lib/mysql",
  vendor: "mariadb",
  serverVersion: "10.11.14-MariaDB-0+deb12u2-log",
  binlog: { file: "binlog.000012", offset: 4711 },
  gtid: "0-1-1234,1-9-40",
  galera: undefined,
  hasConfig: true,
  hasSettings: true,
};
const SET = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-23,4e11fa47-71ca-11e1-9e33-c80aa9429562:1-5";
const GALERA = { uuid: "7d3c1fd4-c6ae-11f0-9c5e-8f2f0a1b2c3d", seqno: 1234n };

test.each<[string, Partial<RestoredServer>]>([
  ["mariadb-10.11", {}],
  ["mariadb-in-place", { directory: "/var/lib/mysql", hasConfig: false }],
  ["mariadb-galera", { galera: GALERA, gtid: undefined }],
  ["mysql-8.0", { vendor: "oracle", serverVersion: "8.0.40", gtid: SET }],
  ["mysql-8.4", { vendor: "oracle", serverVersion: "8.4.3", gtid: SET, binlog: undefined }],
  ["mysql-9.7-clone", { vendor: "oracle", serverVersion: "9.7.0", gtid: SET, hasSettings: false }],
  ["percona-5.7", { vendor: "percona", serverVersion: "5.7.44-48-log", gtid: undefined, hasConfig: false }],
  ["percona-galera", { vendor: "percona", serverVersion: "8.0.39-30.1", gtid: SET, galera: GALERA }],
  ["predecessor", { serverVersion: undefined, gtid: undefined, binlog: undefined, directory: "/srv/it's here" }],
])("nextSteps() of %s", async (name, facts) => {
  const text = `${nextSteps({ ...SERVER, ...facts }).join("\n")}\n`;
  await expect(text).toMatchFileSnapshot(`../../golden/next-steps/${name}.txt`);
});

test("nextSteps() lets nothing of a copy become a command", () => {
  const steps = nextSteps({
    ...SERVER,
    gtid: `0-1-1'; "$(touch /tmp/x)" DROP`,
    binlog: { file: "a\nrm -rf /", offset: undefined },
  });
  expect(steps.filter((line) => /touch |\$|^rm/.test(line))).toEqual([]);
  expect(steps.every((line) => !line.includes("\n"))).toBe(true);
});

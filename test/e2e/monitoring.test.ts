import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { readExposition } from "../support/exposition.ts";
import { copiesOf } from "../support/listed.ts";
import { tagsOf } from "../support/markup.ts";
import { StatsdServer } from "../support/statsd.ts";
import { WebhookServer } from "../support/webhook.ts";

const SILENT = { exitCode: 0, stdout: "", stderr: "" };

let sandbox: Sandbox;
let etc: string;

type Keys = Readonly<Record<string, string | number>>;

function configure(exporting: Keys | undefined, host = "db1", source = etc): void {
  sandbox.configure({
    source: { backup_dirs: source, hostname: host },
    destination: { backup_destination: "local" },
    local: { backup_dir: sandbox.copies },
    ...(exporting && { export: exporting }),
  });
}

beforeEach(() => {
  sandbox = new Sandbox();
  etc = sandbox.directory("etc");
  writeFileSync(join(etc, "my.cnf"), "[mysqld]\n");
});
afterEach(() => sandbox[Symbol.dispose]());

async function closedPort(): Promise<number> {
  await using server = await StatsdServer.start();
  return server.port;
}

test("a run and a restore are told to StatsD and to a webhook, in silence", async () => {
  await using server = await StatsdServer.start();
  await using hook = await WebhookServer.start();
  const webhook = { webhook_url: `http://127.0.0.1:${hook.port}/T0KEN` };
  configure({ transport: "statsd", statsd_host: "127.0.0.1", statsd_port: server.port, ...webhook });
  expect(await sandbox.run(["backup", "daily"])).toMatchObject(SILENT);
  const [copy] = await copiesOf(sandbox);
  const valueOf = (name: string) => server.measures.find((each) => each.name === name);
  await expect.poll(() => valueOf("twindb.files.last_good_age")?.value).toBeLessThan(60);
  expect(valueOf("twindb.files.backup_time")).toMatchObject({ type: "ms", tags: {} });
  expect(valueOf("twindb.files.stored_bytes")?.value).toBe(copy?.bytes);
  expect(valueOf("twindb.files.failures")?.value).toBe(0);
  expect(hook.posted).toMatchObject([
    { path: "/T0KEN", body: { ok: true, host: "db1", run_type: "daily", exit_status: 0 } },
  ]);

  const target = sandbox.path("restored");
  expect(await sandbox.run(["restore", "file", copy?.key ?? "", "--dst", target])).toMatchObject(SILENT);
  await expect.poll(() => valueOf("twindb.files.restore_time")?.value).toBeGreaterThan(0);
  expect(hook.posted).toHaveLength(1);
});

describe("a receiver that is not there is one warning, and costs no copy and little time:", () => {
  const silent = async () => {
    const hook = await WebhookServer.start();
    hook.answer = undefined;
    return hook;
  };
  test.each<[string, string, () => Promise<Keys & { readonly hook?: never }>]>([
    [
      "StatsD",
      "nothing listens there",
      async () => ({ transport: "statsd", statsd_host: "127.0.0.1", statsd_port: await closedPort() }),
    ],
    [
      "an agent of Datadog",
      "nothing listens there",
      async () => ({ transport: "datadog", statsd_port: await closedPort() }),
    ],
    [
      "a name",
      "has no address",
      () => Promise.resolve({ transport: "statsd", statsd_host: "no.invalid", statsd_port: 8125 }),
    ],
    [
      "a directory",
      "no such file",
      () => Promise.resolve({ transport: "prometheus", textfile: "/nonexistent/x.prom" }),
    ],
    [
      "a webhook",
      "nothing listens there",
      async () => ({ webhook_url: `http://127.0.0.1:${await closedPort()}/T0KEN` }),
    ],
  ])("%s", async (_name, words, keys) => {
    configure(await keys());
    const result = await sandbox.run(["backup", "daily"]);
    expect(result).toMatchObject({ exitCode: 0, stdout: "" });
    expect(result.stderr).toMatch(/^[-\d]+ [:\d]+ WARNING: Cannot [^\n]+\.\n$/);
    expect(result.stderr).toContain(words);
    expect(result.stderr).not.toContain("T0KEN");
    expect(await copiesOf(sandbox)).toHaveLength(1);
  });

  test("a webhook that never answers", async () => {
    await using hook = await silent();
    configure({ webhook_url: `http://127.0.0.1:${hook.port}/T0KEN` });
    const startedAt = performance.now();
    const result = await sandbox.run(["backup", "daily"]);
    expect(performance.now() - startedAt).toBeLessThan(8000);
    expect(result).toMatchObject({ exitCode: 0, stdout: "" });
    expect(result.stderr).toMatch(/^[-\d]+ [:\d]+ WARNING: [^\n]+ it gave no answer in time[^\n]+\n$/);
    expect(hook.posted).toHaveLength(1);
  });
});

test("failures are told: of a part, and of a run that never began", async () => {
  await using hook = await WebhookServer.start();
  const textfile = join(sandbox.directory("collector"), "twindb.prom");
  const exporting = {
    transport: "prometheus",
    textfile,
    webhook_url: `http://127.0.0.1:${hook.port}/`,
    webhook_on: "failure",
  };
  configure(exporting);
  const valueOf = (name: string) =>
    readExposition(readFileSync(textfile, "utf8")).find((each) => each.name === `twindb_backup_${name}`)?.value;
  expect(await sandbox.run(["backup", "daily"])).toMatchObject(SILENT);
  expect(statSync(textfile).mode & 0o777).toBe(0o644);
  expect(valueOf("last_run_success")).toBe(1);
  const takenAt = valueOf("last_good_copy_timestamp_seconds") ?? 0;
  expect(Math.abs(takenAt - Date.now() / 1000)).toBeLessThan(60);

  configure(exporting, "db1", sandbox.path("gone"));
  const failed = await sandbox.run(["backup", "daily"]);
  expect(failed.exitCode).toBe(78);
  expect(valueOf("last_run_success")).toBe(0);
  expect(valueOf("last_run_failures")).toBe(1);
  expect(valueOf("last_good_copy_timestamp_seconds")).toBe(takenAt);
  expect(failed.stderr.split("\n")).toHaveLength(2);

  // Held by nobody who could be asked.
  mkdirSync(`${sandbox.lock}.lock`);
  expect(await sandbox.run(["backup", "daily", "--wait", "0"])).toMatchObject({ exitCode: 75 });
  expect(hook.posted.map(({ body }) => [body["ok"], body["exit_status"]])).toEqual([
    [false, 78],
    [false, 75],
  ]);
  expect(hook.posted[1]?.body["parts"]).toMatchObject([{ part: "run", ok: false, failures: [{ code: "LOCKED" }] }]);
  expect(String(hook.posted[0]?.body["text"])).toMatch(/^twindb-backup: daily backup of db1 failed: files: Cannot /);
});

test("a run that is ended by a signal is told as a failure, and ends in time", async () => {
  await using hook = await WebhookServer.start();
  hook.answer = undefined;
  configure({ webhook_url: `http://127.0.0.1:${hook.port}/` });
  mkdirSync(`${sandbox.lock}.lock`);
  const startedAt = performance.now();
  const running = sandbox.run(["backup", "daily", "--wait", "15"], {
    onStart: (pid) => setTimeout(() => process.kill(pid, "SIGTERM"), 2000),
  });
  const result = await running;
  expect(performance.now() - startedAt).toBeLessThan(8000);
  expect(result.exitCode).toBe(143);
  expect(hook.posted.map(({ body }) => [body["ok"], body["exit_status"]])).toEqual([[false, 143]]);
});

test("check --nagios is a plugin: one line, 0 to 3", async () => {
  configure(undefined);
  const plugin = async (...args: string[]) => {
    const { stdout, stderr, exitCode } = await sandbox.run(["check", "--nagios", ...args]);
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^TWINDB-BACKUP [^\n]+\n$/);
    return `${exitCode} ${stdout.replaceAll(sandbox.root, "")}`;
  };
  expect(await plugin()).toMatch(/^2 TWINDB-BACKUP CRITICAL - \/etc: there is no good copy\n/);
  expect(await sandbox.run(["backup", "daily"])).toMatchObject(SILENT);
  expect(await plugin()).toMatch(
    /^0 TWINDB-BACKUP OK - \/etc \d+ s old \| 'age \/etc'=\d+s;129600;259200;0 'size \/etc'=\d+B;/,
  );
  await sleep(2000);
  expect(await plugin("--warning", "1s")).toMatch(
    /^1 TWINDB-BACKUP WARNING - \/etc: the newest good copy is \d+ s old/,
  );
  expect(await plugin("--warning", "1s", "--critical", "mysql=1d,files=1s")).toMatch(/^2 TWINDB-BACKUP CRITICAL/);
  expect(await plugin("--warning", "soon")).toMatch(/^3 TWINDB-BACKUP UNKNOWN - Cannot use "--warning soon"/);
  configure(undefined, "db1", sandbox.path("gone"));
  expect(await plugin()).toMatch(/^2 TWINDB-BACKUP CRITICAL - source: /);
  configure({ transport: "carrier-pigeon" });
  expect(await plugin()).toMatch(/^3 TWINDB-BACKUP UNKNOWN - Cannot load /);
});

test("a fleet is seen from anywhere: good, late, damaged and unreadable hosts alike", async () => {
  for (const host of ["db1", "db2", "db3", "db4"]) {
    configure(undefined, host);
    expect(await sandbox.run(["backup", "daily"])).toMatchObject(SILENT);
  }
  expect(await sandbox.run(["status", "--host", "all"])).toMatchObject({ exitCode: 0, stderr: "" });
  writeFileSync(join(sandbox.copies, "db2", "files-status"), "cut sho");
  const status = JSON.parse(readFileSync(join(sandbox.copies, "db3", "files-status"), "utf8")) as { version: number };
  writeFileSync(join(sandbox.copies, "db3", "files-status"), JSON.stringify({ ...status, version: 99 }));

  configure(undefined, "watcher");
  const result = await sandbox.run(["status", "--host", "all", "--json"]);
  expect(result.exitCode).toBe(65);
  const { hosts } = JSON.parse(result.stdout) as {
    hosts: { host: string; state: string; subjects: { copies: number }[] }[];
  };
  expect(hosts.map(({ host, state }) => `${host} ${state}`)).toEqual([
    "db1 ok",
    "db2 recovered",
    "db3 unreadable",
    "db4 ok",
  ]);
  // What a damaged status held is known from the manifests.
  expect(hosts.map(({ subjects }) => subjects.map(({ copies }) => copies))).toEqual([[1], [1], [], [1]]);
  const listed = await sandbox.run(["ls", "--host", "all"]);
  expect(listed.exitCode).toBe(65);
  expect(listed.stdout.match(/db\d\/daily/g)).toEqual(["db1/daily", "db2/daily", "db4/daily"]);
  expect(listed.stderr).toContain("db3/files-status");

  const file = sandbox.path("report.html");
  expect(await sandbox.run(["report", "--html", file])).toMatchObject({ exitCode: 65, stdout: "" });
  const tags = tagsOf(readFileSync(file, "utf8"));
  const states = tags.filter(({ name }) => name === "details").map(({ attributes }) => attributes["data-state"]);
  expect(states).toEqual(["unreadable", "recovered", "ok", "ok"]);
  const printed = await sandbox.run(["report", "--html", "-", "--host", "db1"]);
  expect(printed).toMatchObject({ exitCode: 0, stderr: "" });
  expect(tagsOf(printed.stdout).filter(({ name }) => name === "details")).toHaveLength(1);
});

import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Client, openClient } from "../../../src/mysql/client.ts";
import { clusterState, desync, type OpenSession, refusal, undoDesync } from "../../../src/mysql/galera.ts";
import { readServerFacts } from "../../../src/mysql/server-facts.ts";
import { hasMariadb, type Mariadb, startMariadb } from "../../support/servers/mariadb.ts";
import { freePort } from "../../support/servers/ports.ts";

const PROVIDER = "/usr/lib/galera/libgalera_smm.so";

let server: Mariadb;
let client: Client;
let directory: string;
const { signal } = new AbortController();
const open: OpenSession = (options) => openClient({ defaultsFile: server.defaultsFile }, options);
const warnings: string[] = [];

function hasGalera(): boolean {
  if (!hasMariadb()) return false;
  if (!existsSync(PROVIDER) && process.env["REQUIRE"] !== undefined) throw new Error(`${PROVIDER} is missing`);
  return existsSync(PROVIDER);
}

function options(changes: { waitSeconds?: number; signal?: AbortSignal } = {}) {
  return { directory, waitSeconds: 10, signal, warn: (text: string) => void warnings.push(text), ...changes };
}

async function isDesynced(): Promise<boolean> {
  return (await clusterState(client))?.isDesynced ?? false;
}

/** Leave what a process leaves that was killed after it had set the variable. @returns the path of its record. */
async function leaveRecord(): Promise<string> {
  await using held = await desync(open, options());
  const [name = ""] = readdirSync(directory);
  const text = readFileSync(join(directory, name), "utf8");
  await held[Symbol.asyncDispose]();
  await server.sql("SET GLOBAL wsrep_desync = ON");
  writeFileSync(join(directory, name), JSON.stringify({ ...JSON.parse(text), pid: 999_999_999 }));
  return join(directory, name);
}

describe.skipIf(!hasGalera())("a node of a cluster", () => {
  beforeAll(async () => {
    const [group, transfer] = [await freePort(), await freePort()];
    const provider = `gmcast.listen_addr=tcp://127.0.0.1:${group};ist.recv_addr=127.0.0.1:${transfer};gcache.size=16M`;
    server = await startMariadb({
      args: ["--wsrep-new-cluster"],
      lines: [
        "wsrep_on=ON",
        `wsrep_provider=${PROVIDER}`,
        `wsrep_cluster_address=gcomm://127.0.0.1:${group}`,
        `wsrep_node_address=127.0.0.1:${group}`,
        `wsrep_provider_options="${provider}"`,
        "innodb_autoinc_lock_mode=2",
      ],
    });
    client = await open({ signal });
  });
  afterAll(async () => {
    await client[Symbol.asyncDispose]();
    await server.stop();
  });
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "desync-"));
    warnings.length = 0;
  });
  afterEach(async () => {
    rmSync(directory, { recursive: true, force: true });
    await server.sql("SET GLOBAL wsrep_desync = OFF");
    await expect.poll(async () => (await clusterState(client))?.state, { timeout: 10_000 }).toBe("Synced");
  });

  test("clusterState() tells how it stands, readServerFacts() its provider", async () => {
    const state = await clusterState(client);
    expect(state).toEqual({
      state: "Synced",
      isReady: true,
      size: 1,
      isDesynced: false,
      receiveQueue: 0,
      providerVersion: expect.stringMatching(/^\d/),
    });
    expect((await readServerFacts(client)).galeraVersion).toBe(state?.providerVersion);
  });

  test("desync() takes it out of flow control, writes that down before, and takes it back", async () => {
    const held = await desync(open, options());
    expect(await clusterState(client)).toMatchObject({ state: "Donor/Desynced", isDesynced: true });
    const [name = "", ...others] = readdirSync(directory);
    expect(others).toEqual([]);
    expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(join(directory, name), "utf8"))).toMatchObject({ pid: process.pid });
    await held[Symbol.asyncDispose]();
    expect(await isDesynced()).toBe(false);
    expect(readdirSync(directory)).toEqual([]);
    expect(warnings).toEqual([]);
  });

  test("refusal() says who is at work on it", async () => {
    await server.sql("SET GLOBAL wsrep_desync = ON");
    const state = await clusterState(client);
    expect(state && refusal(state, client.target)?.message).toContain("somebody has set wsrep_desync=ON");
  });

  test("desync() leaves a node alone that somebody else has taken out", async () => {
    await server.sql("SET GLOBAL wsrep_desync = ON");
    const held = await desync(open, options());
    expect(readdirSync(directory)).toEqual([]);
    await held[Symbol.asyncDispose]();
    expect(await isDesynced()).toBe(true);
  });

  test("desync() leaves nothing behind where the privilege is missing", async () => {
    await server.sql(
      "CREATE USER backup@localhost IDENTIFIED BY 'pw'; GRANT RELOAD, PROCESS ON *.* TO backup@localhost",
    );
    const defaultsFile = join(server.root, "backup.cnf");
    writeFileSync(defaultsFile, `[client]\nuser=backup\npassword=pw\nsocket=${server.socket}\n`, { mode: 0o600 });
    const asBackup: OpenSession = (options) => openClient({ defaultsFile }, options);
    await expect(desync(asBackup, options())).rejects.toMatchObject({
      code: "NOT_PERMITTED",
      message: expect.stringContaining("SUPER"),
    });
    expect(readdirSync(directory)).toEqual([]);
    expect(await isDesynced()).toBe(false);
  });

  test("desync() takes the node back although the run was aborted, and waits no longer then", async () => {
    const controller = new AbortController();
    const late: OpenSession = async (options) => withQueue(await open(options), 7);
    const held = await desync(late, options({ signal: controller.signal, waitSeconds: 600 }));
    setTimeout(() => controller.abort(new Error("enough")), 300);
    await held[Symbol.asyncDispose]();
    expect(await isDesynced()).toBe(false);
  });

  test("desync() waits until the node has applied all, but not for ever", async () => {
    const late: OpenSession = async (options) => withQueue(await open(options), 7);
    const held = await desync(late, options({ waitSeconds: 1 }));
    const begin = Date.now();
    await held[Symbol.asyncDispose]();
    expect(Date.now() - begin).toBeGreaterThan(900);
    expect(warnings).toEqual([expect.stringContaining("still 7 transactions to apply after 1 seconds")]);
    expect(await isDesynced()).toBe(false);
  });

  test("desync() keeps the record where the node cannot be reached at the end", async () => {
    let isFirst = true;
    const once: OpenSession = async (options) => {
      const socket = isFirst ? server.socket : join(directory, "nowhere");
      isFirst = false;
      return openClient({ socket }, options);
    };
    const held = await desync(once, options());
    await expect(held[Symbol.asyncDispose]()).rejects.toMatchObject({
      code: "FAILED",
      message: expect.stringMatching(/^Cannot take ".*" back into its cluster's flow control: Cannot connect/),
      hint: expect.stringContaining("SET GLOBAL wsrep_desync=OFF"),
    });
    const [name = ""] = readdirSync(directory);
    expect(await isDesynced()).toBe(true);
    // As long as we run, it counts as at work; our end makes it a leftover.
    const record: unknown = JSON.parse(readFileSync(join(directory, name), "utf8"));
    writeFileSync(join(directory, name), JSON.stringify({ ...(record as object), pid: 999_999_999 }));
    expect(await undoDesync(client, { directory })).toBe(true);
    expect(await isDesynced()).toBe(false);
  });

  test("a second desync() is refused while the first is at work, and undoes nothing", async () => {
    await using _ = await desync(open, options());
    await expect(desync(open, options())).rejects.toMatchObject({ code: "LOCKED" });
    await expect(undoDesync(client, { directory })).rejects.toMatchObject({ code: "LOCKED" });
    expect(await isDesynced()).toBe(true);
  });

  test("undoDesync() takes a node back that a killed run has left, once", async () => {
    await leaveRecord();
    expect(await undoDesync(client, { directory })).toBe(true);
    expect(await isDesynced()).toBe(false);
    expect(readdirSync(directory)).toEqual([]);
    expect(await undoDesync(client, { directory })).toBe(false);
  });

  test("desync() undoes what a killed run has left, and takes its own record", async () => {
    const path = await leaveRecord();
    {
      await using _ = await desync(open, options());
      expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ pid: process.pid });
      expect(await isDesynced()).toBe(true);
    }
    expect(await isDesynced()).toBe(false);
  });

  test("a process that is killed leaves the record, and the next one takes the node back", async () => {
    const script = join(directory, "killed.mts");
    const source = new URL("../../../src/mysql/", import.meta.url).pathname;
    writeFileSync(
      script,
      `import { openClient } from "${source}client.ts";
       import { desync } from "${source}galera.ts";
       const open = (options) => openClient({ defaultsFile: ${JSON.stringify(server.defaultsFile)} }, options);
       await desync(open, { directory: ${JSON.stringify(join(directory, "state"))}, waitSeconds: 1, signal: new AbortController().signal, warn() {} });
       console.log("desynced");
       setInterval(() => {}, 1000);`,
    );
    const child = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
    await new Promise((resolve) => child.stdout.once("data", resolve));
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
    expect(await isDesynced()).toBe(true);
    expect(await undoDesync(client, { directory: join(directory, "state") })).toBe(true);
    expect(await isDesynced()).toBe(false);
  });

  test("a record that says nothing readable is that of nobody at work", async () => {
    const path = await leaveRecord();
    for (const text of ["", "null", "{}", '{"pid":1}']) {
      writeFileSync(path, text);
      await server.sql("SET GLOBAL wsrep_desync = ON");
      expect(await undoDesync(client, { directory })).toBe(true);
      expect(await isDesynced()).toBe(false);
    }
  });

  test("desync() does not begin where it cannot write that down", async () => {
    execFileSync("touch", [join(directory, "file")]);
    await expect(desync(open, { ...options(), directory: join(directory, "file", "x") })).rejects.toMatchObject({
      message: expect.stringContaining("desync-"),
    });
    expect(await isDesynced()).toBe(false);
  });
});

/** The same session, for a node that never gets to the end of its queue: a cluster of one has none. */
function withQueue(client: Client, length: number): Client {
  return {
    target: client.target,
    value: (sql, values) => client.value(sql, values),
    rows: async (sql, values) =>
      (await client.rows(sql, values)).map((row) =>
        row["Variable_name"] === "wsrep_local_recv_queue" ? { ...row, Value: String(length) } : row,
      ),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

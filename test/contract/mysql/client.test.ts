import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ClientOptions, openClient } from "../../../src/mysql/client.ts";
import { startCuttingProxy } from "../../support/cutting-proxy.ts";
import { hasMariadb, type Mariadb, startMariadb } from "../../support/servers/mariadb.ts";

const PASSWORD = "s3cret # 'quoted\\";

let server: Mariadb;
let defaultsFile: string;
const { signal } = new AbortController();

/** An option file for the user of these tests, on the server. */
function credentials(lines: string, password = PASSWORD): string {
  const path = join(server.root, "credentials.cnf");
  const quoted = password.replaceAll("\\", "\\\\").replaceAll("'", "\\'");
  writeFileSync(path, `[client]\nuser=backup\npassword='${quoted}'\n${lines}\n`, { mode: 0o600 });
  return path;
}

async function refused(options: ClientOptions): Promise<unknown> {
  try {
    await using client = await openClient(options, { signal });
    return `it logged in as ${client.target}`;
  } catch (error) {
    return error;
  }
}

function makeCertificate(root: string, name: string): void {
  const key = join(root, `${name}-key.pem`);
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, ...subject];
  execFileSync("openssl", [...made, "-out", join(root, `${name}.pem`)], { stdio: "ignore" });
  execFileSync("chmod", ["644", key]);
}

describe.skipIf(!hasMariadb())("openClient()", () => {
  beforeAll(async () => {
    server = await startMariadb();
    await server.sql(`
      CREATE USER backup@localhost IDENTIFIED BY 's3cret # ''quoted\\\\';
      CREATE USER backup@127.0.0.1 IDENTIFIED BY 's3cret # ''quoted\\\\';
    `);
    defaultsFile = credentials(`socket=${server.socket}`);
  });
  afterAll(() => server.stop());

  test("logs in over a socket that the option file names, and says where it is", async () => {
    await using client = await openClient({ defaultsFile }, { signal });
    expect(client.target).toBe(`backup@${server.socket}`);
    expect(client.address).toEqual({ kind: "socket", path: server.socket });
    expect(await client.value("SELECT CURRENT_USER()")).toBe("backup@localhost");
  });

  test("logs in over TCP where the config names host or port", async () => {
    await using client = await openClient({ defaultsFile, port: server.port }, { signal });
    expect(client.address).toEqual({ kind: "tcp", host: "127.0.0.1", port: server.port });
    expect(await client.value("SELECT CURRENT_USER()")).toBe("backup@127.0.0.1");
  });

  test("logs in as the user of the system without an option file", async () => {
    await using client = await openClient({ socket: server.socket }, { signal });
    expect(await client.value("SELECT 1")).toBe("1");
  });

  test("rows() tells every value as text, NULL as undefined, and a statement without rows as none", async () => {
    await using client = await openClient({ defaultsFile }, { signal });
    const sql =
      "SELECT 18446744073709551615 AS big, 0.10 AS exact, NULL AS nothing, x'00ff' AS bytes, DATE '0000-00-00' AS day, ? AS given";
    expect(await client.rows(sql, ["it's \\ é ?"])).toEqual([
      {
        big: "18446744073709551615",
        exact: "0.10",
        nothing: undefined,
        bytes: "\0\ufffd",
        day: "0000-00-00",
        given: "it's \\ é ?",
      },
    ]);
    expect(await client.rows("SELECT '?' AS mark WHERE ? = 2", [2])).toEqual([{ mark: "?" }]);
    expect(await client.rows("SET @x = 1")).toEqual([]);
    expect(await client.value("SELECT 1 FROM DUAL WHERE FALSE")).toBeUndefined();
  });

  test("rows() keeps values apart from SQL whatever modes the server starts sessions with", async () => {
    await server.sql("SET GLOBAL sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'; SET GLOBAL wait_timeout = 1");
    try {
      await using client = await openClient({ defaultsFile }, { signal });
      expect(await client.value("SELECT ?", ["' OR \"1\" = '1\\"])).toBe("' OR \"1\" = '1\\");
      await new Promise((resolve) => setTimeout(resolve, 2500));
      expect(await client.value("SELECT 1")).toBe("1");
    } finally {
      await server.sql("SET GLOBAL sql_mode = DEFAULT; SET GLOBAL wait_timeout = DEFAULT");
    }
  });

  test("rows() runs one statement only", async () => {
    await using client = await openClient({ defaultsFile }, { signal });
    await expect(client.rows("SELECT 1; SELECT 2")).rejects.toMatchObject({
      code: "FAILED",
      message: expect.stringContaining("error 1064"),
    });
  });

  test("rows() tells a missing privilege from a wrong statement, and goes on after both", async () => {
    await using client = await openClient({ defaultsFile }, { signal });
    await expect(client.rows("SHOW MASTER STATUS")).rejects.toMatchObject({
      code: "NOT_PERMITTED",
      message: expect.stringMatching(/^Cannot run "SHOW MASTER STATUS" as "backup@.*BINLOG MONITOR/),
      hint: `Grant the missing privilege to the user of "${defaultsFile}".`,
    });
    await expect(client.rows("SELECT * FROM mysql.user")).rejects.toMatchObject({ code: "NOT_PERMITTED" });
    await expect(client.rows("SELEC ?", ["hidden"])).rejects.toMatchObject({
      code: "FAILED",
      message: expect.stringMatching(/^Cannot run "SELEC \?"/),
    });
    expect(await client.value("SELECT 1")).toBe("1");
  });

  test("names user, place and option file when the login is refused, and shows no password", async () => {
    const path = credentials(`socket=${server.socket}`, "wrong-passw0rd");
    const error = await refused({ defaultsFile: path });
    credentials(`socket=${server.socket}`);
    expect(error).toMatchObject({
      code: "NOT_PERMITTED",
      message: expect.stringMatching(`^Cannot connect to "backup@${server.socket}": Access denied.*1045`),
      hint: expect.stringContaining(`"${path}"`),
    });
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain("wrong-passw0rd");
  });

  test("names the place where nobody listens", async () => {
    expect(await refused({ defaultsFile, hostname: "127.0.0.1", port: 1 })).toMatchObject({
      code: "UNREACHABLE",
      retryable: true,
      message: 'Cannot connect to "backup@127.0.0.1:1": nobody listens there',
      hint: expect.stringContaining("[mysql]"),
    });
    expect(await refused({ defaultsFile, socket: "/nowhere/socket" })).toMatchObject({
      code: "UNREACHABLE",
      message: 'Cannot connect to "backup@/nowhere/socket": there is no such socket',
    });
    expect(await refused({ defaultsFile, hostname: "no.such.host.invalid" })).toMatchObject({ code: "UNREACHABLE" });
  });

  test("calls a server unreachable that has too many connections", async () => {
    await server.sql("SET GLOBAL max_connections = 10");
    const clients = await Promise.all(
      Array.from({ length: 11 }, () => openClient({ defaultsFile }, { signal }).catch((error: unknown) => error)),
    );
    const errors = clients.filter((each) => each instanceof Error);
    for (const each of clients) if (!(each instanceof Error)) await (each as AsyncDisposable)[Symbol.asyncDispose]();
    await server.sql("SET GLOBAL max_connections = 40");
    expect(errors[0]).toMatchObject({ code: "UNREACHABLE", message: expect.stringContaining("Too many connections") });
  });

  test("ends at once when it is aborted, during the login and during a statement", async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket)).listen(0, "127.0.0.1");
    await new Promise((resolve) => silent.once("listening", resolve));
    const { port } = silent.address() as { port: number };
    const reason = new Error("enough");
    const login = openClient({ defaultsFile, hostname: "127.0.0.1", port }, { signal: abortSoon(reason) });
    await expect(login).rejects.toBe(reason);
    await expect.poll(() => sockets.every((socket) => socket.destroyed || socket.readableEnded)).toBe(true);
    for (const socket of sockets) socket.destroy();
    silent.close();

    await using client = await openClient({ defaultsFile }, { signal: abortSoon(reason, 500) });
    const begin = Date.now();
    await expect(client.rows("SELECT SLEEP(3)")).rejects.toBe(reason);
    await expect(client.rows("SELECT 1")).rejects.toBe(reason);
    expect(Date.now() - begin).toBeLessThan(2000);
  });

  test("tells that a session was lost, in the middle of a statement and between two", async () => {
    await using client = await openClient({ defaultsFile }, { signal });
    const id = await client.value("SELECT CONNECTION_ID()");
    const running = client.rows("SELECT SLEEP(60)");
    setTimeout(() => void server.sql(`KILL ${id}`), 200);
    await expect(running).rejects.toMatchObject({ code: "UNREACHABLE" });
    await expect(client.rows("SELECT 1")).rejects.toMatchObject({ code: "UNREACHABLE", retryable: true });

    await using idle = await openClient({ defaultsFile }, { signal });
    await server.sql(`KILL ${await idle.value("SELECT CONNECTION_ID()")}`);
    await expect(idle.rows("SELECT 1")).rejects.toMatchObject({ code: "UNREACHABLE" });
  });

  test("leaves no session behind", async () => {
    const count = () => server.sql("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'backup'");
    await expect.poll(count, { timeout: 10_000 }).toBe("0");
    await openClient({ defaultsFile }, { signal }).then((client) => client[Symbol.asyncDispose]());
    await expect.poll(count, { timeout: 10_000 }).toBe("0");
  });
});

describe.skipIf(!hasMariadb())("openClient() with TLS", () => {
  beforeAll(async () => {
    server = await startMariadb();
    await server.sql(`
      CREATE USER backup@127.0.0.1 IDENTIFIED BY 's3cret # ''quoted\\\\';
      CREATE USER strict@127.0.0.1 IDENTIFIED BY 'x' REQUIRE SSL;
    `);
  });
  afterAll(() => server.stop());

  const at = (lines: string) => ({ defaultsFile: credentials(lines), hostname: "127.0.0.1", port: server.port });
  const cipher = async (lines: string) => {
    await using client = await openClient(at(lines), { signal });
    return (await client.rows("SHOW STATUS LIKE 'Ssl_cipher'"))[0]?.["Value"];
  };

  test("goes without where the server has none, unless it is asked for", async () => {
    expect(await cipher("")).toBe("");
    expect(await refused(at("ssl-mode=REQUIRED"))).toMatchObject({
      code: "UNREACHABLE",
      retryable: false,
      message: expect.stringContaining("does not offer TLS"),
      hint: expect.stringContaining("ssl-mode"),
    });
  });

  test("encrypts where the server can, and trusts it as far as ssl-mode says", async () => {
    makeCertificate(server.root, "server");
    makeCertificate(server.root, "stranger");
    const file = (name: string) => join(server.root, name);
    const lines = [`ssl-cert=${file("server.pem")}`, `ssl-key=${file("server-key.pem")}`];
    await server.shutDown();
    const { root, port } = server;
    server = await startMariadb({ root, port, datadir: server.datadir, lines });

    expect(await cipher("")).toMatch(/^(TLS|ECDHE)/);
    expect(await cipher("ssl-mode=DISABLED")).toBe("");
    expect(await cipher("ssl-mode=REQUIRED")).not.toBe("");
    expect(await cipher(`ssl-ca=${file("server.pem")}`)).not.toBe("");
    expect(await cipher(`ssl-ca=${file("server.pem")}\nssl-mode=VERIFY_IDENTITY`)).not.toBe("");
    expect(await refused(at(`ssl-ca=${file("stranger.pem")}`))).toMatchObject({
      code: "UNREACHABLE",
      retryable: false,
    });
    expect(await refused(at("ssl-mode=VERIFY_IDENTITY"))).toMatchObject({ code: "UNREACHABLE" });
    expect(await refused(at("ssl-ca=/nowhere.pem"))).toMatchObject({ code: "CONFIG_INVALID" });
  });

  test("survives a connection that breaks anywhere in the login", async () => {
    const proxy = await startCuttingProxy(server.port);
    try {
      const lengths = Array.from({ length: 25 }, (_, index) => 1 + index * index * 2);
      for (const mode of ["DISABLED", "PREFERRED", "REQUIRED"]) {
        const through = { ...at(`ssl-mode=${mode}`), port: proxy.port };
        for (const bytes of lengths) {
          proxy.cutAfter = bytes;
          const answer = await refused(through);
          expect(typeof answer === "string" ? "UNREACHABLE" : (answer as { code?: string }).code).toBe("UNREACHABLE");
        }
        proxy.cutAfter = undefined;
        expect(await refused(through)).toContain("it logged in");
      }
      proxy.stallAfter = 40;
      const reason = new Error("enough");
      const stalled = openClient({ ...at("ssl-mode=REQUIRED"), port: proxy.port }, { signal: abortSoon(reason, 300) });
      await expect(stalled).rejects.toBe(reason);
    } finally {
      await proxy.stop();
    }
  });

  test("gives up on a server that goes silent in the login", async () => {
    const proxy = await startCuttingProxy(server.port);
    try {
      proxy.stallAfter = 40;
      expect(await refused({ ...at("ssl-mode=REQUIRED"), port: proxy.port })).toMatchObject({
        code: "UNREACHABLE",
        message: expect.stringContaining("does not answer"),
      });
    } finally {
      await proxy.stop();
    }
  });

  test("says that it cannot log in the way the account asks for", async () => {
    await server.sql(
      "INSTALL SONAME 'auth_ed25519'; CREATE USER modern@127.0.0.1 IDENTIFIED VIA ed25519 USING PASSWORD('x')",
    );
    const path = credentials("user=modern");
    expect(await refused({ ...at("user=modern"), defaultsFile: path })).toMatchObject({
      code: "NOT_PERMITTED",
      message: expect.stringContaining("ed25519"),
      hint: expect.stringContaining("another way"),
    });
  });
});

function abortSoon(reason: Error, milliseconds = 100): AbortSignal {
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), milliseconds);
  return controller.signal;
}

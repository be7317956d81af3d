import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { freePort } from "./ports.ts";

const SERVERS = process.env["TWINDB_TEST_SERVERS"] ?? join(homedir(), ".cache/twindb-backup-test-servers");
const BINARY = join(SERVERS, "bin/fake-gcs-server");

/** A private server on loopback that speaks the API of Google Cloud Storage, and keeps what it is given in memory. */
export type FakeGcs = {
  readonly port: number;
  readonly endpoint: string;
  makeBucket(name: string): Promise<void>;
  /** Store an object as somebody else does. */
  store(bucket: string, name: string, content: string | Uint8Array): Promise<void>;
  /** Names of all objects of a bucket. */
  names(bucket: string): Promise<string[]>;
  stop(): Promise<void>;
};

/** Whether tests of GCS can run; where REQUIRE is set a missing server is a failure instead. */
export function hasFakeGcs(): boolean {
  const present = existsSync(BINARY);
  if (!present && process.env["REQUIRE"] !== undefined) throw new Error(`${BINARY} is missing`);
  return present;
}

/** Start a private server; with `https` it shows a certificate that nobody trusts. */
export async function startFakeGcs(scheme: "http" | "https" = "http"): Promise<FakeGcs> {
  const port = await freePort();
  const endpoint = `${scheme}://127.0.0.1:${port}`;
  const options = ["-backend", "memory", "-scheme", scheme, "-host", "127.0.0.1", "-port", String(port)];
  const args = [...options, "-public-host", `127.0.0.1:${port}`, "-external-url", endpoint, "-log-level", "error"];
  // It must not outlive a test runner that is killed.
  const server = spawn("setpriv", ["--pdeathsig", "KILL", "--", BINARY, ...args], { stdio: "ignore" });
  for (let tries = 0; !(await answers(port)); tries += 1) {
    if (server.exitCode !== null || tries > 200) throw new Error(`${BINARY} does not start`);
    await pause(25);
  }
  return {
    port,
    endpoint,
    makeBucket: async (name) => {
      const url = `${endpoint}/storage/v1/b?project=test`;
      await ask(url, { method: "POST", headers: JSON_BODY, body: JSON.stringify({ name }) });
    },
    store: async (bucket, name, content) => {
      const url = `${endpoint}/upload/storage/v1/b/${bucket}/o?uploadType=media&name=${encodeURIComponent(name)}`;
      await ask(url, { method: "POST", headers: BYTES, body: Buffer.from(content) });
    },
    names: async (bucket) => {
      const answer = await ask(`${endpoint}/storage/v1/b/${bucket}/o?maxResults=5000`, {});
      const { items = [] } = (await answer.json()) as { items?: { name: string }[] };
      return items.map(({ name }) => name);
    },
    stop: () => end(server),
  };
}

const JSON_BODY = { "content-type": "application/json" };
const BYTES = { "content-type": "application/octet-stream" };

async function ask(url: string, init: RequestInit): Promise<Response> {
  const answer = await fetch(url, init);
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`);
  return answer;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(socket.destroy() !== undefined));
    socket.once("error", () => resolve(false));
  });
}

async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const exited = new Promise((resolve) => server.once("exit", resolve));
  server.kill("SIGKILL");
  await exited;
}

import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { ContainerClient } from "@azure/storage-blob";
import { freePort } from "./ports.ts";

const ROOT = process.env["TWINDB_TEST_SERVERS"] ?? join(homedir(), ".cache/twindb-backup-test-servers");
const AZURITE = join(ROOT, "azurite/node_modules/.bin/azurite-blob");

/** A private Azurite on loopback: Azure Blob Storage, held in memory. */
export type Azurite = {
  readonly port: number;
  readonly account: string;
  readonly key: string;
  /** For clients that reach it on `port`, such as that of a proxy; its own where none is given. */
  connectionString(port?: number): string;
  /** Make a container, and a client of the library's for it. */
  container(name: string): Promise<ContainerClient>;
  stop(): Promise<void>;
};

/** Whether Azurite is there; where REQUIRE is set a missing one is a failure instead. */
export function hasAzurite(): boolean {
  const present = existsSync(AZURITE);
  if (!present && process.env["REQUIRE"] !== undefined) throw new Error(`${AZURITE} is missing`);
  return present;
}

/** Start a private Azurite. */
export async function startAzurite(): Promise<Azurite> {
  const root = mkdtempSync(join(tmpdir(), "azurite-"));
  const port = await freePort();
  const account = "twindbtest";
  const key = randomBytes(64).toString("base64");
  const daemon = await start(root, port, `${account}:${key}`);
  const connectionString = (at: number = port): string =>
    `DefaultEndpointsProtocol=http;AccountName=${account};AccountKey=${key};BlobEndpoint=http://127.0.0.1:${at}/${account};`;
  return {
    port,
    account,
    key,
    connectionString,
    container: async (name) => {
      // The library wants a suffix even where it does not need one.
      const client = new ContainerClient(`${connectionString()}EndpointSuffix=core.windows.net`, name);
      await client.create();
      return client;
    },
    stop: async () => {
      const exited = new Promise((resolve) => daemon.once("exit", resolve));
      if (daemon.exitCode === null && daemon.signalCode === null && daemon.kill("SIGKILL")) await exited;
      rmSync(root, { recursive: true, force: true });
    },
  };
}

async function start(root: string, port: number, accounts: string): Promise<ChildProcess> {
  // It must not outlive a test runner that is killed.
  const azurite = [process.execPath, AZURITE, "--blobHost", "127.0.0.1", "--blobPort", String(port)];
  const flags = ["--inMemoryPersistence", "--skipApiVersionCheck", "--silent", "--disableTelemetry"];
  const daemon = spawn("setpriv", ["--pdeathsig", "KILL", "--", ...azurite, ...flags], {
    cwd: root,
    env: { ...process.env, AZURITE_ACCOUNTS: accounts },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const output of [daemon.stdout, daemon.stderr]) {
    output.on("data", (text: Buffer) => {
      said = (said + text.toString()).slice(-4000);
    });
  }
  for (let tries = 0; !(await answers(port)); tries += 1) {
    if (daemon.exitCode !== null || tries > 400) throw new Error(`azurite does not start: ${said}`);
    await pause(50);
  }
  return daemon;
}

async function answers(port: number): Promise<boolean> {
  try {
    await (await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(1000) })).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
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
  /** Text of the certificate that the server shows and signed itself; `undefined` without TLS. */
  readonly certificate: string | undefined;
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
export async function startAzurite({ tls = false } = {}): Promise<Azurite> {
  const root = mkdtempSync(join(tmpdir(), "azurite-"));
  const port = await freePort();
  const account = "twindbtest";
  const key = randomBytes(64).toString("base64");
  if (tls) makeCertificate(root);
  const protocol = tls ? "https" : "http";
  const accounts = `${account}:${key}`;
  const daemon = await start(root, { url: `${protocol}://127.0.0.1:${port}/`, accounts, tls });
  const connectionString = (at: number = port): string =>
    `DefaultEndpointsProtocol=${protocol};AccountName=${account};AccountKey=${key};BlobEndpoint=${protocol}://127.0.0.1:${at}/${account};`;
  return {
    port,
    account,
    key,
    certificate: tls ? readFileSync(join(root, "crt"), "utf8") : undefined,
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

type Start = { readonly url: string; readonly accounts: string; readonly tls: boolean };

async function start(root: string, { url, accounts, tls }: Start): Promise<ChildProcess> {
  // It must not outlive a test runner that is killed.
  const azurite = [process.execPath, AZURITE, "--blobHost", "127.0.0.1", "--blobPort", new URL(url).port];
  const flags = ["--inMemoryPersistence", "--skipApiVersionCheck", "--silent", "--disableTelemetry"];
  const certificate = tls ? ["--cert", join(root, "crt"), "--key", join(root, "key")] : [];
  const daemon = spawn("setpriv", ["--pdeathsig", "KILL", "--", ...azurite, ...flags, ...certificate], {
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
  for (let tries = 0; !(await answers(Number(new URL(url).port))); tries += 1) {
    if (daemon.exitCode !== null || tries > 400) throw new Error(`azurite does not start: ${said}`);
    await pause(50);
  }
  return daemon;
}

/** `key` and `crt`, which stands for 127.0.0.1. */
function makeCertificate(root: string): void {
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const files = ["-keyout", join(root, "key"), "-out", join(root, "crt")];
  execFileSync("openssl", ["req", "-x509", ...kind, ...subject, ...files], { stdio: "ignore" });
}

/** Whether somebody listens; Azurite does so when it is ready. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(socket.destroy() !== undefined));
    socket.once("error", () => resolve(false));
  });
}

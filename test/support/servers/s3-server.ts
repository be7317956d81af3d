import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { S3Client } from "@aws-sdk/client-s3";

/** A private S3 server on loopback. */
export type S3Server = {
  readonly endpoint: string;
  readonly region: string;
  /** May do everything. */
  readonly admin: Keys;
  /** Text of the certificate that the server shows and signed itself; `undefined` without TLS. */
  readonly certificate: string | undefined;
  /** Scratch directory that goes with `stop()`. */
  readonly root: string;
  stop(): Promise<void>;
};

export type Keys = { readonly accessKeyId: string; readonly secretAccessKey: string };

export const ADMIN: Keys = { accessKeyId: "admin0admin0", secretAccessKey: "secret+of/the=admin" };
export const REGION = "us-east-1";

const PROGRAMS = join(
  process.env["TWINDB_TEST_SERVERS"] ?? join(homedir(), ".cache/twindb-backup-test-servers"),
  "bin",
);

/** Path of a test server's program. */
export function serverProgram(name: string): string {
  return join(PROGRAMS, name);
}

/** Whether a test server's program is there; where REQUIRE is set a missing one is a failure instead. */
export function hasProgram(name: string): boolean {
  const present = existsSync(serverProgram(name));
  if (!present && process.env["REQUIRE"] !== undefined) throw new Error(`${serverProgram(name)} is missing`);
  return present;
}

/** A scratch directory with `server.key` and `server.crt`, which stands for 127.0.0.1 and localhost. */
export function makeServerRoot(name: string): string {
  const root = mkdtempSync(join(tmpdir(), `${name}-`));
  const [key, crt] = [join(root, "server.key"), join(root, "server.crt")];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  execFileSync("openssl", ["req", "-x509", ...kind, ...subject, "-keyout", key, "-out", crt], { stdio: "ignore" });
  return root;
}

/** Start a program that listens on a URL, and wait until it answers there. It dies with the test runner. */
export async function startServer(name: string, args: readonly string[], url: string): Promise<ChildProcess> {
  const daemon = spawn("setpriv", ["--pdeathsig", "KILL", "--", serverProgram(name), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const output of [daemon.stdout, daemon.stderr]) {
    output.on("data", (text: Buffer) => (said = (said + text.toString()).slice(-4000)));
  }
  for (let tries = 0; !(await answers(url)); tries += 1) {
    if (daemon.exitCode !== null || tries > 400) throw new Error(`${name} does not start: ${said}`);
    await pause(50);
  }
  return daemon;
}

/** Stop a server and remove its scratch directory. */
export async function stopServer(daemon: ChildProcess, root: string): Promise<void> {
  if (daemon.exitCode === null && daemon.signalCode === null) {
    const exited = new Promise((resolve) => daemon.once("exit", resolve));
    daemon.kill("SIGKILL");
    await exited;
  }
  rmSync(root, { recursive: true, force: true });
}

/** Text of the certificate in a server's scratch directory. */
export function certificateIn(root: string): string {
  return readFileSync(join(root, "server.crt"), "utf8");
}

/** A client of Amazon's own to look behind the driver. */
export function rawClient({ endpoint, region, admin, certificate }: S3Server): S3Client {
  const tls = certificate === undefined ? {} : { requestHandler: { httpsAgent: { ca: certificate } } };
  return new S3Client({ endpoint, region, credentials: admin, forcePathStyle: true, ...tls });
}

/** Whether something speaks HTTP there, whatever it says. */
async function answers(url: string): Promise<boolean> {
  try {
    await fetch(url, { signal: AbortSignal.timeout(1000) });
    return true;
  } catch (error) {
    // Only somebody who listens shows a certificate.
    const cause = error instanceof Error ? (error.cause as { code?: string } | undefined) : undefined;
    return cause?.code === "DEPTH_ZERO_SELF_SIGNED_CERT" || cause?.code === "SELF_SIGNED_CERT_IN_CHAIN";
  }
}

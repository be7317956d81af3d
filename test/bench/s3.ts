import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { BUCKET, makeBucket } from "../support/s3-options.ts";
import type { S3Pipe } from "../support/s3-pipe.ts";
import { type S3Server, serverProgram } from "../support/servers/s3-server.ts";
import { startSink } from "../support/servers/sink.ts";
import { startVersity } from "../support/servers/versitygw.ts";
import { makeMixed } from "./data.ts";
import type { Bench } from "./mysql.ts";

const MEGABYTES = 1024;
const FAR_MEGABYTES = 256;
const FAR_MS = 60;
/** What one connection carries over such a way, as a window of 1.8 MiB lets it. */
const FAR_BYTES_PER_MS = 30_000;
const KEY = "h/daily/files/bench";

/** Let bytes through no faster than a long way does. */
function slowly(from: Socket, to: Socket): void {
  let free = performance.now();
  from.on("data", (chunk: Buffer) => {
    to.write(chunk);
    const now = performance.now();
    free = Math.max(free, now) + chunk.length / FAR_BYTES_PER_MS;
    if (free - now < 5) return;
    from.pause();
    setTimeout(() => from.resume(), free - now);
  });
  from.on("end", () => to.end());
}

/** A server far away: its answers come so much later, and each connection carries so much. */
async function startFarProxy(target: number): Promise<{ readonly port: number; stop(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(target, "127.0.0.1");
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => sockets.delete(socket));
    }
    slowly(client, upstream);
    upstream.on("data", (chunk) => setTimeout(() => client.write(chunk), FAR_MS));
    upstream.on("close", () => setTimeout(() => client.destroy(), FAR_MS));
    client.on("close", () => upstream.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as { port: number }).port,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The command lines of one way to move an object in and out of a bucket. */
type Client = { readonly name: string; readonly put: string; readonly get: string };

/** Amazon's client signs checksums behind a body as it is; versitygw refuses them. */
const PLAIN_BODIES = "AWS_REQUEST_CHECKSUM_CALCULATION=when_required";

type Peers = {
  readonly server: S3Server;
  /** Where the server is reached, if not at its own address. */
  readonly endpoint?: string;
  /** The program around `put()` and `get()`. */
  readonly pipe: string;
  readonly awsSettings?: string;
  /** Of the names that are stored, as the shell reads it. */
  readonly suffix?: string;
};

function clients({ server, endpoint = server.endpoint, pipe, awsSettings = "", suffix = "" }: Peers): Client[] {
  const certificateFile = join(server.root, "server.crt");
  const { region, admin } = server;
  const settings = JSON.stringify({ endpoint, region, admin, certificateFile } satisfies S3Pipe);
  // As the program is started.
  const ours = `exec env S3_PIPE='${settings}' NODE_COMPILE_CACHE=${pipe}.cache ${process.execPath} --max-semi-space-size=2 ${pipe}`;
  const keys = `exec env AWS_ACCESS_KEY_ID='${admin.accessKeyId}' AWS_SECRET_ACCESS_KEY='${admin.secretAccessKey}'`;
  const remote = `:s3,provider=Other,env_auth=true,region=${region},endpoint="${endpoint}":${BUCKET}/${KEY}`;
  const rclone = (more: string) =>
    `${keys} ${serverProgram("rclone")} --config /dev/null --ca-cert ${certificateFile} --s3-no-check-bucket ${more}`;
  const aws = `${keys} AWS_CA_BUNDLE=${certificateFile} ${awsSettings} AWS_DEFAULT_REGION=${region} aws --endpoint-url ${endpoint} s3 cp --no-progress --quiet`;
  return [
    { name: "put() and get() of s3.ts", put: `${ours} put ${KEY}${suffix}`, get: `${ours} get ${KEY}` },
    { name: "rclone rcat, cat", put: `${rclone("rcat")} '${remote}'${suffix}`, get: `${rclone("cat")} '${remote}'` },
    {
      name: "rclone, 8 parts of 16 MiB",
      put: `${rclone("--s3-chunk-size 16M --s3-upload-concurrency 8 rcat")} '${remote}'${suffix}`,
      get: `${rclone("cat")} '${remote}'`,
    },
    ...(isThere("aws")
      ? [{ name: "aws s3 cp", put: `${aws} - s3://${BUCKET}/${KEY}${suffix}`, get: `${aws} s3://${BUCKET}/${KEY} -` }]
      : []),
  ];
}

function isThere(program: string): boolean {
  try {
    execFileSync("bash", ["-c", `command -v ${program}`], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** An object of a server on loopback over TLS: ours against rclone and Amazon's client, near and far. */
export async function benchS3({ scratch, report, shell }: Bench): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const server = await startVersity();
  stack.defer(() => server.stop());
  await makeBucket(server);
  const sink = await startSink();
  stack.defer(() => sink.stop());
  const far = await startFarProxy(Number(new URL(sink.endpoint).port));
  stack.defer(() => far.stop());
  const built = join(scratch, "s3-pipe");
  const sources = ["../support/s3-pipe.ts", "../../src/lib/reader-thread.ts"];
  const paths = sources.map((source) => new URL(source, import.meta.url).pathname);
  execFileSync("rolldown", [...paths, "--dir", built, "--platform", "node", "--format", "esm"], { stdio: "ignore" });
  const pipe = join(built, "s3-pipe.js");
  const clear = () => rmSync(join(server.root, "data", BUCKET, "h"), { recursive: true, force: true });
  const near = clients({ server, pipe, awsSettings: PLAIN_BODIES });
  // It remembers names.
  const sinking = { server: sink, pipe, suffix: "-$$" };
  const from = (megabytes: number) => `< <(cat ${makeMixed(scratch, megabytes)}/file-*)`;
  const putting = (all: readonly Client[], megabytes: number) =>
    all.map(({ name, put }) => shell(name, `${put} ${from(megabytes)}`, clear));
  await report(
    `s3, ${MEGABYTES} MiB of unknown length over TLS, to a server that keeps nothing`,
    putting(clients(sinking), MEGABYTES),
  );
  await report(`s3, the same to versitygw on the same CPUs`, putting(near, MEGABYTES));
  await report(
    `s3, the same from versitygw to /dev/null`,
    near.filter((_, index) => index !== 2).map(({ name, get }) => shell(name, `${get} > /dev/null`, () => {})),
  );
  await report(
    `s3, ${FAR_MEGABYTES} MiB to a server that keeps nothing, ${FAR_MS} ms away, ${FAR_BYTES_PER_MS / 1000} MB/s per connection`,
    putting(clients({ ...sinking, endpoint: `https://127.0.0.1:${far.port}` }), FAR_MEGABYTES),
  );
}

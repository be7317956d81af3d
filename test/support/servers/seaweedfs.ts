import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "./ports.ts";
import {
  ADMIN,
  certificateIn,
  hasProgram,
  type Keys,
  makeServerRoot,
  REGION,
  type S3Server,
  startServer,
  stopServer,
} from "./s3-server.ts";

/** Users besides the admin, and what they may do, such as `["Read", "List"]`. */
export type SeaweedUsers = Readonly<Record<string, { readonly keys: Keys; readonly actions: readonly string[] }>>;

export type Seaweed = S3Server & {
  /** The same store without TLS. */
  readonly plainEndpoint: string;
};

/** Whether SeaweedFS is there; where REQUIRE is set a missing one is a failure instead. */
export function hasSeaweed(): boolean {
  return hasProgram("weed");
}

/** Start a private SeaweedFS with its S3 door, with and without TLS. An open one takes requests of anybody, however signed. */
export async function startSeaweed({
  users = {},
  isOpen = false,
}: {
  readonly users?: SeaweedUsers;
  readonly isOpen?: boolean;
} = {}): Promise<Seaweed> {
  const root = makeServerRoot("seaweed");
  mkdirSync(join(root, "data"));
  writeFileSync(join(root, "identities.json"), identities(users));
  const ports: number[] = [];
  for (let count = 0; count < 9; count += 1) ports.push(await freePort());
  const [plain, tls, s3Grpc, master, masterGrpc, volume, volumeGrpc, filer, filerGrpc] = ports;
  const endpoint = `https://127.0.0.1:${tls}`;
  const daemon = await startServer(
    "weed",
    [
      `-logdir=${root}`,
      "server",
      `-dir=${join(root, "data")}`,
      "-ip=127.0.0.1",
      "-ip.bind=127.0.0.1",
      `-master.port=${master}`,
      `-master.port.grpc=${masterGrpc}`,
      "-master.telemetry=false",
      "-master.electionTimeout=1s",
      "-master.volumeSizeLimitMB=1024",
      `-volume.port=${volume}`,
      `-volume.port.grpc=${volumeGrpc}`,
      "-volume.max=100",
      "-filer",
      `-filer.port=${filer}`,
      `-filer.port.grpc=${filerGrpc}`,
      `-filer.localSocket=${join(root, "filer.sock")}`,
      "-s3",
      `-s3.port=${plain}`,
      `-s3.port.https=${tls}`,
      `-s3.port.grpc=${s3Grpc}`,
      "-s3.autoCreateBucket=false",
      "-s3.port.iceberg=0",
      "-s3.port.lance=0",
      `-s3.localSocket=${join(root, "s3.sock")}`,
      ...(isOpen ? [] : [`-s3.config=${join(root, "identities.json")}`]),
      `-s3.cert.file=${join(root, "server.crt")}`,
      `-s3.key.file=${join(root, "server.key")}`,
    ],
    endpoint,
  );
  return {
    endpoint,
    plainEndpoint: `http://127.0.0.1:${plain}`,
    region: REGION,
    admin: ADMIN,
    certificate: certificateIn(root),
    root,
    stop: () => stopServer(daemon, root),
  };
}

function identities(users: SeaweedUsers): string {
  const identity = (name: string, { accessKeyId, secretAccessKey }: Keys, actions: readonly string[]) => ({
    name,
    credentials: [{ accessKey: accessKeyId, secretKey: secretAccessKey }],
    actions,
  });
  const others = Object.entries(users).map(([name, { keys, actions }]) => identity(name, keys, actions));
  return JSON.stringify({ identities: [identity("admin", ADMIN, ["Admin"]), ...others] });
}

import { chmodSync, copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { parseConfig } from "../../src/config/config.ts";
import type { Destination } from "../../src/destination/destination.ts";
import { openDestination } from "../../src/destination/open.ts";
import { retrying } from "../../src/destination/retrying.ts";
import { hasAzurite, startAzurite } from "./servers/azurite.ts";
import { hasFakeGcs, startFakeGcs } from "./servers/fake-gcs.ts";
import { rawClient } from "./servers/s3-server.ts";
import { hasSeaweed, type SeaweedUsers, startSeaweed } from "./servers/seaweedfs.ts";
import { hasVersity, startVersity } from "./servers/versitygw.ts";

export type Sections = Readonly<Record<string, Readonly<Record<string, string | number>>>>;

/** A private store of objects, as a config names it. */
export type Store = {
  /** `[destination]` and what goes with it. */
  readonly sections: Sections;
  /** What the program needs besides, such as a certificate to trust. */
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
};

/** A kind of store, and how to get one. */
export type StoreKind = {
  readonly name: string;
  /** Whether its server is there; where REQUIRE is set a missing one is a failure instead. */
  readonly has: () => boolean;
  readonly start: () => Promise<Store>;
  /** Whether it can make URLs with the credentials it has here. */
  readonly canShare: boolean;
  /** `atomic`: of two writers at the same moment one succeeds; `claimed`: it compares first and writes then, so that both may; or it has none. */
  readonly conditions: "atomic" | "claimed" | "none";
  /** Whether a listing of a few thousand objects comes in pages. */
  readonly hasPages: boolean;
};

/** The destination that the sections of a store name, as the program opens it. */
export async function openStore({ sections }: Pick<Store, "sections">): Promise<Destination> {
  const all: Sections = { source: {}, ...sections };
  const text = Object.entries(all).map(([section, keys]) =>
    [`[${section}]`, ...Object.entries(keys).map(([key, value]) => `${key}=${value}`), ""].join("\n"),
  );
  const { config } = parseConfig(text.join("\n"), { path: "store", hostname: "db7" });
  return retrying(await openDestination(config.destination));
}

export const BUCKET = "twindb-backups";

/** A private SeaweedFS without TLS, with a bucket. */
export async function startSeaweedStore(users?: SeaweedUsers) {
  const server = await startSeaweed(users);
  const plain = { ...server, endpoint: server.plainEndpoint };
  const client = rawClient(plain);
  await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
  return { server, client, ...s3Store(plain, {}) };
}

async function startVersityStore(): Promise<Store> {
  const server = await startVersity({ tls: false });
  const client = rawClient(server);
  await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
  client.destroy();
  return s3Store(server, { prefix: "of/production" });
}

type Server = Awaited<ReturnType<typeof startVersity>>;

function s3Store(server: Server, more: Readonly<Record<string, string>>): Store {
  const { endpoint, region, admin } = server;
  return {
    sections: {
      destination: { backup_destination: "s3" },
      s3: {
        bucket: BUCKET,
        endpoint,
        force_path_style: "yes",
        aws_default_region: region,
        aws_access_key_id: admin.accessKeyId,
        aws_secret_access_key: admin.secretAccessKey,
        ...more,
      },
    },
    env: {},
    stop: () => server.stop(),
  };
}

async function startGcsStore(): Promise<Store> {
  const server = await startFakeGcs();
  await server.makeBucket(BUCKET);
  return {
    sections: {
      destination: { backup_destination: "gcs" },
      gcs: { bucket: BUCKET, endpoint: server.endpoint, prefix: "of/production" },
    },
    env: {},
    stop: () => server.stop(),
  };
}

async function startAzureStore(): Promise<Store> {
  const server = await startAzurite();
  await server.container(BUCKET);
  return {
    sections: {
      destination: { backup_destination: "az" },
      az: { connection_string: server.connectionString(), container_name: BUCKET },
    },
    env: {},
    stop: () => server.stop(),
  };
}

/** The sample driver of the documents, over a directory of its own. */
async function startSampleStore(): Promise<Store> {
  const root = mkdtempSync(join(tmpdir(), "sample-store-"));
  const path = join(root, "driver.mjs");
  copyFileSync(new URL("sample-driver.mjs", import.meta.url), path);
  chmodSync(path, 0o600);
  return {
    sections: {
      destination: { backup_destination: `module:${path}` },
      module: { directory: join(root, "of objects") },
    },
    env: {},
    stop: async () => rmSync(root, { recursive: true, force: true }),
  };
}

/** Every kind of store that tests can have. */
export const STORES: readonly StoreKind[] = [
  {
    name: "a driver of its own",
    has: () => true,
    start: startSampleStore,
    canShare: false,
    conditions: "none",
    hasPages: false,
  },
  {
    name: "fake-gcs-server",
    has: hasFakeGcs,
    start: startGcsStore,
    canShare: false,
    conditions: "atomic",
    hasPages: true,
  },
  { name: "Azurite", has: hasAzurite, start: startAzureStore, canShare: true, conditions: "atomic", hasPages: false },
  {
    name: "SeaweedFS",
    has: hasSeaweed,
    start: startSeaweedStore,
    canShare: true,
    conditions: "atomic",
    hasPages: true,
  },
  {
    name: "versitygw",
    has: hasVersity,
    start: startVersityStore,
    canShare: true,
    conditions: "claimed",
    hasPages: false,
  },
];

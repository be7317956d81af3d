import { afterAll, beforeAll, describe } from "vitest";
import { openGcs } from "../../src/destination/gcs.ts";
import type { GcsOptions } from "../../src/destination/options.ts";
import { type FakeGcs, hasFakeGcs, startFakeGcs } from "../support/servers/fake-gcs.ts";
import { destinationContract } from "./destination.ts";
import type { Opened } from "./leftovers.ts";

describe.skipIf(!hasFakeGcs()).each([
  { name: "the whole bucket", prefix: "", manyObjects: 1100 },
  { name: "a prefix", prefix: "backups of/db", manyObjects: 40 },
])("$name", ({ name, prefix, manyObjects }) => {
  let server: FakeGcs;
  let count = 0;

  beforeAll(async () => {
    server = await startFakeGcs();
  });
  afterAll(() => server.stop());

  async function open(): Promise<Opened> {
    const bucket = `bucket-${++count}`;
    await server.makeBucket(bucket);
    if (prefix !== "") await server.store(bucket, "h/daily/files/outside.tar", "not below the prefix");
    const options: GcsOptions = {
      kind: "gcs",
      bucket,
      prefix,
      endpoint: server.endpoint,
      credentialsFile: undefined,
      encryptionKey: undefined,
    };
    const another = () => openGcs(options);
    return { destination: await another(), another, cleanup: async () => {} };
  }

  destinationContract(`openGcs (${name})`, open, { manyObjects });
});

import { afterAll, beforeAll, describe } from "vitest";
import type { Opened } from "../../src/destination/contract/subject.ts";
import { openS3 } from "../../src/destination/s3.ts";
import { s3Driver } from "../../src/destination/s3-driver.ts";
import { PlantedUploads } from "../support/plant-upload.ts";
import { makeBucket, s3Options } from "../support/s3-options.ts";
import type { S3Server } from "../support/servers/s3-server.ts";
import { hasSeaweed, startSeaweed } from "../support/servers/seaweedfs.ts";
import { hasVersity, startVersity } from "../support/servers/versitygw.ts";
import { destinationContract } from "./destination.ts";

type Case = {
  readonly name: string;
  readonly isThere: () => boolean;
  readonly start: () => Promise<S3Server>;
  readonly manyObjects: number;
  readonly mixesUp?: string;
};

const CASES: readonly Case[] = [
  // It stores a name with backslashes as one with slashes.
  { name: "SeaweedFS", isThere: hasSeaweed, start: () => startSeaweed(), manyObjects: 1100, mixesUp: "\\" },
  { name: "versitygw", isThere: hasVersity, start: () => startVersity(), manyObjects: 100 },
  // Without TLS each body is hashed for its signature.
  { name: "versitygw without TLS", isThere: hasVersity, start: () => startVersity({ tls: false }), manyObjects: 50 },
];

describe.each(CASES)("$name", ({ name, isThere, start, ...extras }) => {
  describe.skipIf(!isThere())("S3", () => {
    let server: S3Server;
    let count = 0;

    beforeAll(async () => {
      server = await start();
      await makeBucket(server);
    });
    afterAll(() => server.stop());

    async function open(): Promise<Opened> {
      const options = s3Options(server, { prefix: `stores/number ${++count}` });
      const { certificate } = server;
      const planted = new PlantedUploads(s3Driver(options, { certificate }));
      const another = () => openS3(options, { certificate, now: planted.now });
      return {
        destination: await another(),
        another,
        plant: (leftover) => planted.plant(leftover),
        leaves: ["temporary"],
        secrets: [server.admin.accessKeyId, server.admin.secretAccessKey],
        cleanup: () => planted.cleanup(),
      };
    }

    destinationContract(`S3 (${name})`, open, extras);
  });
});

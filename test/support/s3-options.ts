import { CreateBucketCommand } from "@aws-sdk/client-s3";
import type { S3Options } from "../../src/destination/options.ts";
import { Secret } from "../../src/domain/secret.ts";
import { type Keys, rawClient, type S3Server } from "./servers/s3-server.ts";

/** The bucket that `makeBucket()` makes. */
export const BUCKET = "copies-of-hosts";

/** Make the bucket of the tests on a server. */
export async function makeBucket(server: S3Server, { isLockable = false } = {}): Promise<void> {
  const client = rawClient(server);
  await client.send(new CreateBucketCommand({ Bucket: BUCKET, ObjectLockEnabledForBucket: isLockable }));
  client.destroy();
}

/** Options for the tests' bucket on a server. */
export function s3Options(
  { endpoint, region, admin }: Pick<S3Server, "endpoint" | "region" | "admin">,
  more: Partial<S3Options> = {},
): S3Options {
  return {
    kind: "s3",
    bucket: BUCKET,
    region,
    credentials: secretKeys(admin),
    profile: undefined,
    endpoint,
    forcePathStyle: true,
    prefix: "",
    storageClass: undefined,
    sse: undefined,
    objectLock: undefined,
    checksums: "when_supported",
    ...more,
  };
}

export function secretKeys({ accessKeyId, secretAccessKey }: Keys) {
  return { accessKeyId: new Secret(accessKeyId), secretAccessKey: new Secret(secretAccessKey) };
}

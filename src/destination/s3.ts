import type { Destination } from "./destination.ts";
import { driven } from "./driven.ts";
import type { S3Options } from "./options.ts";
import { s3Driver } from "./s3-driver.ts";

/** Open a bucket. Nothing is sent before the first call. */
export async function openS3(options: S3Options): Promise<Destination> {
  return driven(async () => s3Driver(options));
}

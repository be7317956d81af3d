import type { Destination } from "./destination.ts";
import { type DrivenOptions, driven } from "./driven.ts";
import type { S3Options } from "./options.ts";
import type { S3Tuning } from "./s3-config.ts";
import { placeOf } from "./s3-deeds.ts";
import { s3Driver } from "./s3-driver.ts";

/** Open a bucket. Nothing is sent before the first call. `tuning` is for tests. */
export async function openS3(options: S3Options, tuning: S3Tuning & Partial<DrivenOptions> = {}): Promise<Destination> {
  return driven(async () => s3Driver(options, tuning), { ...tuning, url: placeOf(options).url });
}

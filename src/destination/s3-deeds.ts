import { BackupError } from "../domain/errors.ts";
import type { DriverCall, DriverErrorCode } from "./driver.ts";
import type { S3Options } from "./options.ts";
import type { S3Calls } from "./s3-client.ts";
import type { Conditions } from "./s3-conditions.ts";
import { type S3Deed, type S3Place, s3Error } from "./s3-errors.ts";
import { codeOf, failureOf } from "./s3-failure.ts";

const EXPIRED = new Set(["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"]);

/** Where calls go, and who makes them. */
export type S3Site = { readonly calls: S3Calls; readonly place: S3Place; readonly conditions: Conditions };

/** What people and errors have to know of the settings. */
export function placeOf({ bucket, prefix, region, endpoint, objectLock }: S3Options): S3Place {
  const shown = endpoint === undefined ? undefined : withoutPassword(endpoint);
  const where = `s3://${bucket}${prefix === "" ? "" : `/${prefix}`}`;
  return {
    url: shown === undefined ? where : `${where} at ${shown}`,
    bucket,
    region,
    endpoint: shown,
    isLocking: objectLock !== undefined,
  };
}

/**
 * Do something; what fails comes out as people can read it. `answers` says of codes that are no failure of the
 * store what to throw or return instead.
 */
export async function doing<T>(
  { calls, place }: S3Site,
  deed: S3Deed & DriverCall & { readonly answers?: (code: string, error: unknown) => T | undefined },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (deed.signal.aborted) throw deed.signal.reason;
    if (isOurs(error)) throw error;
    const answer = deed.answers?.(codeOf(error), error);
    if (answer !== undefined) return answer;
    const isRenewed = EXPIRED.has(codeOf(error)) && (await calls.renewCredentials(deed).catch(() => false));
    throw s3Error(deed, place, { ...failureOf(error, calls.clocks), isRenewed });
  }
}

const REFUSED = Symbol("refused");

function isOurs(error: unknown): boolean {
  return error instanceof BackupError || (error instanceof Error && REFUSED in error);
}

/** A failure that the shared layer has its own words for. */
export function refusal(
  code: DriverErrorCode,
  { what, retryable = false }: { readonly what: string; readonly retryable?: boolean },
): Error {
  return Object.assign(new Error(what), { code, retryable, [REFUSED]: true });
}

/** Two conditional calls met; neither has been heard. */
export function atTheSameTime(): Error {
  return refusal("CONFLICT", { what: "another writer was there at the same time", retryable: true });
}

function withoutPassword(endpoint: string): string {
  try {
    const url = new URL(endpoint);
    return url.origin === "null" ? endpoint : `${url.origin}${url.pathname}`.replace(/\/$/, "");
  } catch {
    return endpoint.replace(/\/\/[^/]*@/, "//");
  }
}

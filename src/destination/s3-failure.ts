import { isIPv6 } from "node:net";
import type { S3Failure } from "./s3-errors.ts";

/** What the SDK adds to its errors. */
type SdkError = Error & {
  readonly code?: unknown;
  readonly Code?: unknown;
  readonly Region?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $response?: { readonly statusCode?: number; readonly headers?: Readonly<Record<string, string>> };
};

/** The server's clock and ours, when it last answered. */
export type Clocks = { readonly server: Date; readonly here: Date };

/** The HTTP status with which a call failed; `undefined` when there was no answer, or it is no error of the SDK. */
export function statusOf(error: unknown): number | undefined {
  const { $metadata, $response } = asSdkError(error);
  return $metadata?.httpStatusCode ?? $response?.statusCode;
}

/** The code of a failed call, such as `NoSuchKey`; the system's, such as `ECONNREFUSED`, when there was no answer. */
export function codeOf(error: unknown): string {
  const { name, code, Code } = asSdkError(error);
  if (statusOf(error) === undefined && typeof code === "string") return code;
  if (typeof Code === "string" && Code !== "") return Code;
  // The SDK's names for an answer without a body that says more.
  return ["Error", "UnknownError", "Unknown", "S3ServiceException"].includes(name) ? "" : name;
}

/** Read what is known from an error that the SDK threw. */
export function failureOf(error: unknown, clocks: Clocks | undefined): S3Failure {
  const sdkError = firstOfMany(asSdkError(error));
  const headers = sdkError.$response?.headers ?? {};
  const region = headers["x-amz-bucket-region"] ?? sdkError.Region ?? regionNamed(sdkError);
  const status = statusOf(sdkError);
  return {
    name: codeOf(sdkError),
    message: sdkError.message,
    status,
    bucketRegion: typeof region === "string" && /^[a-z0-9-]+$/.test(region) ? region : undefined,
    clocks: status === undefined ? undefined : clocks,
    retryAfterMilliseconds: retryAfter(headers["retry-after"]),
  };
}

/** Names that resolve to several addresses fail with one error for each; that of IPv4 tells most. */
function firstOfMany(error: SdkError): SdkError {
  if (!(error instanceof AggregateError)) return error;
  const errors = error.errors as readonly (SdkError & { readonly address?: unknown })[];
  return errors.find(({ address }) => !isIPv6(String(address))) ?? errors[0] ?? error;
}

/** Some servers tell the right region in words only: `… is wrong; expecting "us-east-1"`. */
function regionNamed({ message }: SdkError): string | undefined {
  return /expecting ['"]([a-z0-9-]+)['"]/.exec(message)?.[1];
}

function retryAfter(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const milliseconds = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return milliseconds > 0 ? milliseconds : undefined;
}

function asSdkError(error: unknown): SdkError {
  return error instanceof Error ? error : new Error(String(error));
}

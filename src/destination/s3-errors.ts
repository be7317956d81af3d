import { BackupError, type ErrorCode } from "../domain/errors.ts";

/** What was being done when a call failed. */
export type S3Deed = {
  /** Such as `store`. */
  readonly verb: string;
  /** A key or a prefix. */
  readonly object: string;
  /** What the credentials need for it, such as `s3:PutObject`. */
  readonly permission: string;
};

/** Where it was done, and what of the settings matters for what people read. */
export type S3Place = {
  readonly url: string;
  readonly bucket: string;
  readonly region: string;
  readonly endpoint: string | undefined;
  /** Whether copies are stored with a retention. */
  readonly isLocking: boolean;
};

/** What is known of a failed call. */
export type S3Failure = {
  /** Code of the error as S3 names it, or as the operating system does; `""` when there is none. */
  readonly name: string;
  readonly message: string;
  /** HTTP status; `undefined` when there was no answer. */
  readonly status: number | undefined;
  /** Where the answer tells it. */
  readonly bucketRegion: string | undefined;
  /** The server's clock, where the answer tells it, and ours then. */
  readonly clocks: { readonly server: Date; readonly here: Date } | undefined;
  readonly retryAfterMilliseconds: number | undefined;
  /** Whether there are new credentials since. */
  readonly isRenewed?: boolean;
};

type Case = S3Deed & S3Place & S3Failure;

type Meaning = {
  readonly code: ErrorCode;
  readonly what: (failed: Case) => string;
  readonly hint: (failed: Case) => string;
  readonly retryable?: boolean;
};

const CHECK_KEYS =
  'Correct "aws_access_key_id" and "aws_secret_access_key" under [s3], or the credentials of the environment.';
const TRY_LATER = "Run the command again later; ask whoever runs the server when it stays so.";

const BUSY: Meaning = {
  code: "UNREACHABLE",
  what: ({ status, name }) => `the server is busy or out of order (${[status, name].filter(Boolean).join(" ")})`,
  hint: () => TRY_LATER,
  retryable: true,
};

const DENIED: Meaning = {
  code: "NOT_PERMITTED",
  what: ({ permission }) => `access is denied to these credentials, they need ${permission}`,
  hint: ({ permission, bucket }) =>
    `Allow ${permission} on the bucket "${bucket}" and what is in it to these credentials.`,
};

const LOCKED: Meaning = {
  code: "NOT_PERMITTED",
  what: () => "it is locked against removal",
  hint: () => "Wait until its retention has passed (Object Lock of the bucket); it is removed by a later run.",
};

const BAD_KEY: Meaning = {
  code: "NOT_PERMITTED",
  what: () => "the server does not know the access key",
  hint: () => CHECK_KEYS,
};

const EXPIRED: Meaning = {
  code: "NOT_PERMITTED",
  what: () => "the temporary credentials have expired or are not valid",
  hint: () => "Get new credentials, or let an instance role or a profile that renews them provide them.",
};

const NO_CREDENTIALS: Meaning = {
  code: "NOT_PERMITTED",
  what: () => "no credentials were found",
  hint: () =>
    'Set "aws_access_key_id" and "aws_secret_access_key" under [s3], name a "profile", or give the host a role.',
};

const WRONG_REGION: Meaning = {
  code: "CONFIG_INVALID",
  what: ({ bucket, bucketRegion, region }) =>
    `the bucket "${bucket}" is not in the region ${region}${bucketRegion === undefined ? "" : ` but in ${bucketRegion}`}`,
  hint: ({ bucketRegion }) =>
    bucketRegion === undefined
      ? 'Correct "aws_default_region" under [s3], and "endpoint" if there is one.'
      : `Set aws_default_region=${bucketRegion} under [s3].`,
};

const CLOCK: Meaning = {
  code: "FAILED",
  what: ({ clocks }) =>
    clocks === undefined
      ? "the clocks here and of the server differ too much"
      : `the clock here says ${seconds(clocks.here)}, the server's ${seconds(clocks.server)}`,
  hint: () => "Set the clock of this host right, and keep it so with chrony or ntpd.",
  // The next call is signed with the server's time.
  retryable: true,
};

const DAMAGED_ON_THE_WAY: Meaning = {
  code: "FAILED",
  what: ({ name }) => `the bytes were damaged or lost on their way to the server (${name})`,
  hint: () => "Run the command again; look for a broken network card or proxy when it happens again.",
  retryable: true,
};

const KMS: Meaning = {
  code: "NOT_PERMITTED",
  what: ({ name, message }) => `its encryption key cannot be used (${told(name, message)})`,
  hint: () =>
    'Correct "sse_kms_key_id" under [s3], enable the key, and allow kms:GenerateDataKey and kms:Decrypt on it.',
};

const FULL: Meaning = {
  code: "NO_SPACE",
  what: ({ name }) => `the server has no room for it (${name})`,
  hint: ({ bucket }) => `Make room for the bucket "${bucket}" or raise its quota, or keep fewer copies.`,
};

const NO_TRUST: Meaning = {
  code: "NOT_PERMITTED",
  what: ({ message }) => `the certificate of the server is not trusted, ${message.split(";")[0]}`,
  hint: () =>
    'Correct "endpoint" under [s3], or name the file with the CA of the server in the environment as NODE_EXTRA_CA_CERTS.',
};

const NO_SERVER = (what: string): Meaning => ({
  code: "UNREACHABLE",
  what: ({ endpoint, region }) => `${what} (${endpoint ?? `Amazon S3 in ${region}`})`,
  hint: () => 'Check the network, the name service and "endpoint" under [s3].',
  retryable: true,
});

const NO_TLS: Meaning = {
  code: "CONFIG_INVALID",
  what: () => "what answers there does not speak TLS",
  hint: () => 'Correct "endpoint" under [s3]; it starts with http:// for a server without TLS.',
};

const NOT_S3: Meaning = {
  code: "CONFIG_INVALID",
  what: ({ status }) => `what answers there does not speak the S3 protocol (${status})`,
  hint: () => 'Correct "endpoint" under [s3], its https:// or http:// included.',
};

const NOT_SUPPORTED: Meaning = {
  code: "CONFIG_INVALID",
  what: ({ name, message }) => `the server cannot do this (${told(name, message)})`,
  hint: () => "Remove the options under [s3] that the server does not know, and try checksums=when_required.",
};

/** By the codes that servers, the SDK and the operating system give. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  InvalidAccessKeyId: BAD_KEY,
  SignatureDoesNotMatch: { ...BAD_KEY, what: () => "the secret key does not belong to the access key" },
  ExpiredToken: EXPIRED,
  ExpiredTokenException: EXPIRED,
  InvalidToken: EXPIRED,
  TokenRefreshRequired: EXPIRED,
  CredentialsProviderError: NO_CREDENTIALS,
  AccessDenied: DENIED,
  AllAccessDisabled: DENIED,
  AccountProblem: DENIED,
  Forbidden: DENIED,
  NoSuchBucket: {
    code: "CONFIG_INVALID",
    what: ({ bucket }) => `there is no bucket "${bucket}"`,
    hint: () => 'Create the bucket, or correct "bucket" under [s3].',
  },
  InvalidBucketName: {
    code: "CONFIG_INVALID",
    what: ({ bucket }) => `"${bucket}" is no name of a bucket`,
    hint: () => 'Correct "bucket" under [s3].',
  },
  PermanentRedirect: WRONG_REGION,
  TemporaryRedirect: { ...WRONG_REGION, retryable: true },
  AuthorizationHeaderMalformed: WRONG_REGION,
  AuthorizationQueryParametersError: WRONG_REGION,
  IllegalLocationConstraintException: WRONG_REGION,
  RequestTimeTooSkewed: CLOCK,
  SlowDown: BUSY,
  ServiceUnavailable: BUSY,
  InternalError: BUSY,
  OperationAborted: BUSY,
  Throttling: BUSY,
  ThrottlingException: BUSY,
  TooManyRequests: BUSY,
  RequestLimitExceeded: BUSY,
  BandwidthLimitExceeded: BUSY,
  RequestTimeout: {
    ...DAMAGED_ON_THE_WAY,
    code: "UNREACHABLE",
    what: () => "the server waited too long for our bytes",
  },
  BadDigest: DAMAGED_ON_THE_WAY,
  InvalidDigest: DAMAGED_ON_THE_WAY,
  IncompleteBody: DAMAGED_ON_THE_WAY,
  XAmzContentSHA256Mismatch: DAMAGED_ON_THE_WAY,
  XAmzContentChecksumMismatch: DAMAGED_ON_THE_WAY,
  ChecksumMismatch: DAMAGED_ON_THE_WAY,
  InvalidObjectState: {
    code: "FAILED",
    what: () => "it lies in an archive storage class, from where it cannot be read at once",
    hint: ({ bucket }) =>
      `Bring it back first, with "aws s3api restore-object --bucket ${bucket} --key KEY --restore-request Days=7".`,
  },
  NoSuchUpload: {
    code: "FAILED",
    what: () => "what was sent of it is not on the server any more",
    hint: ({ bucket }) => `Find out who aborts uploads in "${bucket}": a lifecycle rule, or another program.`,
  },
  EntityTooLarge: {
    code: "FAILED",
    what: () => "it is larger than the server takes",
    hint: () => "Split what is copied, or use a server that takes larger objects.",
  },
  NotImplemented: NOT_SUPPORTED,
  MethodNotAllowed: NOT_SUPPORTED,
  InvalidStorageClass: { ...NOT_SUPPORTED, hint: () => 'Correct "storage_class" under [s3].' },
  QuotaExceeded: FULL,
  InsufficientStorage: FULL,
  XMinioStorageFull: FULL,
  XMinioAdminBucketQuotaExceeded: FULL,
  ENOTFOUND: NO_SERVER("the name of the server is unknown"),
  EAI_AGAIN: NO_SERVER("the name of the server cannot be looked up now"),
  ECONNREFUSED: NO_SERVER("the server refuses connections"),
  ECONNRESET: NO_SERVER("the connection to the server was cut"),
  EPIPE: NO_SERVER("the connection to the server was cut"),
  ETIMEDOUT: NO_SERVER("the server does not answer"),
  EHOSTUNREACH: NO_SERVER("there is no route to the server"),
  ENETUNREACH: NO_SERVER("the network is unreachable"),
  EPROTO: NO_TLS,
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NO_TLS,
};

const STATUS_MEANINGS: Readonly<Record<number, Meaning>> = {
  301: WRONG_REGION,
  307: { ...WRONG_REGION, retryable: true },
  401: DENIED,
  403: DENIED,
  408: BUSY,
  429: BUSY,
  500: BUSY,
  501: NOT_SUPPORTED,
  502: BUSY,
  503: BUSY,
  504: BUSY,
  507: FULL,
};

const UNKNOWN: Meaning = {
  code: "FAILED",
  what: ({ status, name, message }) =>
    status === undefined ? told(name, message) : `the server refuses it with ${status}, ${told(name, message)}`,
  hint: () => 'Run the command again with "--debug", and look into the log of the server.',
};

/** Failures of a certificate, by the names that OpenSSL and Node.js give them. */
const CERTIFICATE =
  /^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_CERT_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE)/;
const ABOUT_LOCK = /object.?lock|retention|worm|locked/i;
/** Beyond this S3 refuses what is signed: 15 minutes. */
const SKEW_MS = 14 * 60_000;

/** A failed call as people can read it; `retryAfterMilliseconds` is set where the server says how long to wait. */
export function s3Error(deed: S3Deed, place: S3Place, failure: S3Failure): BackupError {
  const failed = { ...place, ...deed, ...failure };
  const meaning = meaningOf(failed);
  return new BackupError(
    meaning.code,
    `Cannot ${deed.verb} "${deed.object}" on ${place.url}: ${meaning.what(failed)}`,
    {
      hint: meaning.hint(failed),
      retryable: meaning.retryable ?? failure.isRenewed,
      retryAfterMilliseconds: failure.retryAfterMilliseconds,
      // The SDK's own error holds the whole answer, which may repeat what was sent.
      cause: new Error([failure.status, failure.name, failure.message].filter(Boolean).join(" ")),
    },
  );
}

function meaningOf(failed: Case): Meaning {
  const { name, status } = failed;
  if (CERTIFICATE.test(name)) return NO_TRUST;
  if (name.startsWith("KMS.")) return KMS;
  if (isDenial(failed)) return reasonOfDenial(failed);
  const known = MEANINGS[name] ?? STATUS_MEANINGS[status ?? 0];
  return known ?? otherMeaning(failed);
}

function reasonOfDenial(failed: Case): Meaning {
  if (/kms:/i.test(failed.message)) return KMS;
  if (isSkewed(failed)) return CLOCK;
  return isLocked(failed) ? LOCKED : DENIED;
}

function otherMeaning({ name, status, message }: Case): Meaning {
  if (status !== undefined && status >= 500) return BUSY;
  return name === "" && message.includes("Deserialization error") ? NOT_S3 : UNKNOWN;
}

/** A refusal that does not say why: the answer to HEAD never does. */
function isDenial({ name, status }: Case): boolean {
  return status === 403 && (MEANINGS[name] ?? DENIED) === DENIED;
}

function isLocked({ verb, isLocking, message }: Case): boolean {
  return verb === "remove" && (isLocking || ABOUT_LOCK.test(message));
}

function isSkewed({ clocks }: Case): boolean {
  return clocks !== undefined && Math.abs(clocks.server.getTime() - clocks.here.getTime()) > SKEW_MS;
}

function told(name: string, message: string): string {
  const line = message.replaceAll(/\s+/g, " ").trim().replace(/\.$/, "").slice(0, 300);
  return line === "" || line === name ? name : [name, line].filter(Boolean).join(": ");
}

function seconds(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}

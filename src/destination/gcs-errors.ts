import { BackupError, type ErrorCode } from "../domain/errors.ts";

/** What was being done, for messages: `Cannot <verb> "<object>" on <place>`. */
export type Doing = {
  readonly verb: "list" | "look up" | "read" | "remove" | "share" | "store";
  readonly object: string;
  /** Where: `gs://bucket/prefix`. */
  readonly place: string;
  readonly bucket: string;
  /** Whose credentials these are, as far as they say; such as `backup@project.iam.gserviceaccount.com`. */
  readonly account: string | undefined;
};

/** What a server said instead of doing it. */
export type Refusal = {
  readonly status: number;
  /** Google's word for it, such as `rateLimitExceeded`; `undefined` when the answer has none. */
  readonly reason: string | undefined;
  readonly message: string;
  /** Seconds or a date. */
  readonly retryAfter: string | undefined;
};

/** The object was written again since it was looked up. */
export class ChangedError extends Error {
  override readonly name: string = "ChangedError";
  readonly code = "CHANGED";

  constructor({ object, place }: Doing) {
    super(`Cannot read "${object}" on ${place}: it was written again meanwhile`);
  }
}

type Meaning = { readonly code: ErrorCode; readonly what: string; readonly hint?: string; readonly retryable?: true };

const PERMISSIONS: Readonly<Record<Doing["verb"], string>> = {
  list: "storage.objects.list",
  "look up": "storage.objects.get",
  read: "storage.objects.get",
  remove: "storage.objects.delete",
  share: "iam.serviceAccounts.signBlob",
  store: "storage.objects.create",
};

const KEY_HINT = "Set gc_encryption_key under [gcs] in the config file to the key the object was stored with.";

/**
 * What Google's words mean, where the status does not tell.
 * https://cloud.google.com/storage/docs/json_api/v1/status-codes
 */
const REASONS: Readonly<Record<string, Meaning>> = {
  customerEncryptionKeyIsIncorrect: {
    code: "NOT_PERMITTED",
    what: "it was encrypted with another key than the one in the config file",
    hint: KEY_HINT,
  },
  resourceIsEncryptedWithCustomerEncryptionKey: {
    code: "NOT_PERMITTED",
    what: "it is encrypted with a key of the customer, and the config file has none",
    hint: KEY_HINT,
  },
  customerEncryptionKeyFormatIsInvalid: badKey("the encryption key is not 32 bytes in base64"),
  customerEncryptionKeySha256IsInvalid: badKey("the encryption key came out damaged"),
  customerEncryptionAlgorithmIsInvalid: badKey("the server does not encrypt with keys of customers"),
  retentionPolicyNotMet: {
    code: "NOT_PERMITTED",
    what: "the retention policy of the bucket protects it",
    hint: "Keep copies at least as long as the retention policy of the bucket says.",
  },
  objectUnderActiveHold: {
    code: "NOT_PERMITTED",
    what: "a hold protects it",
    hint: "Release the hold of the object when it is not needed any more.",
  },
  accountDisabled: billing("the account of the project is disabled"),
  billingNotEnabled: billing("billing is not enabled for the project"),
  projectAccountClosed: billing("the account of the project is closed"),
  quotaExceeded: {
    code: "FAILED",
    what: "a quota of the project is used up",
    hint: "Raise the quota of the project in the Google Cloud console, or take copies less often.",
  },
};

function badKey(what: string): Meaning {
  return {
    code: "CONFIG_INVALID",
    what,
    hint: "Correct gc_encryption_key under [gcs] in the config file: 32 bytes in base64.",
  };
}

function billing(what: string): Meaning {
  return { code: "NOT_PERMITTED", what, hint: "Look at the billing of the project in the Google Cloud console." };
}

/** The server asks for less, is out of order or gave up waiting. */
const LATER_STATUS = [408, 429, 500, 502, 503, 504];
const LATER_REASON = ["rateLimitExceeded", "userRateLimitExceeded", "backendError", "internalError", "conflict"];

/** What a refusal means, in one line and with what to do. */
export function refusal(said: Refusal, doing: Doing): BackupError {
  const { code, what, hint, retryable } = meaningOf(said, doing);
  return new BackupError(code, `Cannot ${doing.verb} "${doing.object}" on ${doing.place}: ${what}`, {
    hint,
    retryable,
    ...(retryable === true && { retryAfterMilliseconds: retryAfterMilliseconds(said.retryAfter, Date.now()) }),
  });
}

function meaningOf(said: Refusal, doing: Doing): Meaning {
  const { status, reason = "" } = said;
  const known = REASONS[reason];
  if (known !== undefined) return known;
  if (LATER_STATUS.includes(status) || LATER_REASON.includes(reason)) {
    return { code: "UNREACHABLE", what: `the server cannot do it now (${words(said)})`, retryable: true };
  }
  switch (status) {
    case 401:
      return {
        code: "NOT_PERMITTED",
        what: `the server does not accept the credentials (${words(said)})`,
        hint: "Check gc_credentials_file under [gcs] in the config file, and the clock of this host.",
      };
    case 403:
      return forbidden(said, doing);
    case 404:
      return {
        code: "CONFIG_INVALID",
        what: `there is no bucket "${doing.bucket}", or it is not to be seen with these credentials`,
        hint: "Correct bucket under [gcs] in the config file, or make the bucket.",
      };
    default:
      return { code: "FAILED", what: `the server refused it (${words(said)})` };
  }
}

function forbidden(said: Refusal, { verb, bucket, account }: Doing): Meaning {
  const permission = PERMISSIONS[verb];
  // Storing may need a second one: an object of that name is in the way.
  const [named = permission] = /storage\.[a-z]+\.[a-zA-Z]+/.exec(said.message) ?? [];
  const whom = account === undefined ? "the account of these credentials" : `"${account}"`;
  return {
    code: "NOT_PERMITTED",
    what: `the permission ${named} is missing (${words(said)})`,
    hint: `Grant ${whom} the role Storage Object Admin on the bucket "${bucket}", or one that has ${named}.`,
  };
}

/** The server's own words, in one line and not too many of them. */
function words({ status, message }: Refusal): string {
  const line = message
    .replaceAll(/[\s\p{Cc}]+/gu, " ")
    .trim()
    .slice(0, 300);
  return line === "" ? `status ${status}` : `status ${status}: ${line}`;
}

/** `retry-after` in milliseconds from `now`; `undefined` when it says nothing usable. */
export function retryAfterMilliseconds(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  const wait = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isFinite(wait) ? Math.max(wait, 0) : undefined;
}

const SYSTEM_REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection was refused",
  ECONNRESET: "the connection was cut",
  EPIPE: "the connection was cut",
  EHOSTUNREACH: "there is no route to the host",
  ENETUNREACH: "the network is unreachable",
  ENOTFOUND: "the name of the host is unknown",
  EAI_AGAIN: "the name of the host cannot be looked up now",
};

/** Certificates that cannot be trusted: trying again does not help. */
const TLS_CODES = /^(?:CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/;

/** An exchange broke: the network, or the server in the middle of it. */
export function networkFailure(error: unknown, { verb, object, place }: Doing, host: string): BackupError {
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  const isTls = TLS_CODES.test(String(code));
  const what = SYSTEM_REASONS[String(code)] ?? (String(message) || String(code));
  return new BackupError("UNREACHABLE", `Cannot ${verb} "${object}" on ${place}: ${what} (${host})`, {
    hint: isTls
      ? `Find out who presents this certificate for ${host}, and whether the certificates of this host are up to date.`
      : `Check that this host can reach ${host}, and the proxy if there is one.`,
    retryable: !isTls,
    cause: error,
  });
}

import { BackupError } from "../domain/errors.ts";

/** What is seen of an error of the library that gets tokens. */
type TokenFailure = {
  readonly code?: unknown;
  readonly status?: unknown;
  readonly message?: unknown;
  readonly response?: { readonly status?: unknown; readonly data?: unknown } | undefined;
};

const NETWORK = /^(?:ECONN|EAI_|ENOTFOUND|ETIMEDOUT|EHOST|ENET|EPIPE|ERR_STREAM_PREMATURE_CLOSE)/;
const SET_FILE = "Set gc_credentials_file under [gcs] in the config file to the key file of a service account.";

/** The file with the credentials cannot be used. `what` is said of it; the file's content is not. */
export function badCredentialsFile(file: string, what: string, cause?: unknown): BackupError {
  return new BackupError("CONFIG_INVALID", `Cannot use "${file}" as credentials for Google Cloud: ${what}`, {
    hint: SET_FILE,
    cause,
  });
}

/**
 * Why there is no token. Of the library's error only what is known to hold no secret is told.
 * @param source the credentials file; `undefined` for the credentials of the environment.
 */
export function tokenFailure(error: unknown, source: string | undefined): BackupError {
  const failure = error as TokenFailure;
  const { oauth, description } = saidBy(failure);
  const from = source === undefined ? "the credentials of this environment" : `"${source}"`;
  const cannot = `Cannot log in to Google Cloud with ${from}`;
  if (oauth === "invalid_grant" && /timeframe|iat|exp\b/i.test(description)) {
    return new BackupError("NOT_PERMITTED", `${cannot}: the clock of this host is wrong (${description})`, {
      hint: "Set the clock of this host, best by NTP.",
    });
  }
  if (oauth !== undefined) {
    return new BackupError("NOT_PERMITTED", `${cannot}: they are not accepted (${oauth}: ${description})`, {
      hint: "Find out whether the key or the account was removed or disabled, and make another key if so.",
    });
  }
  const message = firstLine(failure.message);
  if (/default credentials/i.test(message)) {
    return new BackupError("CONFIG_INVALID", "Cannot log in to Google Cloud: there are no credentials", {
      hint: SET_FILE,
    });
  }
  return otherFailure(failure, `${cannot}: ${message}`);
}

function otherFailure(failure: TokenFailure, message: string): BackupError {
  if (String(failure.code).startsWith("ERR_OSSL")) {
    return new BackupError("CONFIG_INVALID", `${message} (its private key cannot be read)`, { hint: SET_FILE });
  }
  const status = Number(failure.response?.status ?? failure.status);
  if (NETWORK.test(String(failure.code)) || status >= 500 || status === 429) {
    return new BackupError("UNREACHABLE", message, {
      hint: "Check that this host can reach the server that gives out tokens, and the proxy if there is one.",
      retryable: true,
    });
  }
  return new BackupError("NOT_PERMITTED", message, { hint: SET_FILE });
}

/** The library was asked for a token, and did not come back. */
export function tokenTimeout(source: string | undefined, seconds: number): BackupError {
  return tokenFailure({ code: "ETIMEDOUT", message: `there was no answer within ${seconds} seconds` }, source);
}

/** These credentials are not such that a URL can be signed with. */
export function cannotSign(place: string): BackupError {
  const what = "these credentials are not those of a service account, and cannot sign";
  return new BackupError("NOT_PERMITTED", `Cannot share from ${place}: ${what}`, { hint: SET_FILE });
}

/** A URL could not be signed. */
export function signingFailure(error: unknown, place: string): BackupError {
  const message = firstLine((error as TokenFailure).message);
  if (/client_email|default credentials|Unable to find credentials/.test(message)) return cannotSign(place);
  return new BackupError("NOT_PERMITTED", `Cannot share from ${place}: ${message}`, {
    hint: "Grant the account the role Service Account Token Creator on itself, or use the key file of a service account.",
  });
}

function saidBy({ response }: TokenFailure): { oauth: string | undefined; description: string } {
  const data = response?.data;
  const { error, error_description: description } = (typeof data === "object" && data !== null ? data : {}) as {
    readonly error?: unknown;
    readonly error_description?: unknown;
  };
  return {
    oauth: typeof error === "string" ? error : undefined,
    description: firstLine(description ?? "no reason given"),
  };
}

function firstLine(text: unknown): string {
  return (
    String(text)
      .split("\n", 1)[0]
      ?.replaceAll(/\p{Cc}/gu, " ")
      .slice(0, 300) ?? ""
  );
}

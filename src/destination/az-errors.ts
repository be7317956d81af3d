import { type AzFacts, AzFailure, CUT_OFF, WRONG_ANSWER } from "./az-failure.ts";
import { type AzMeaning, MEANINGS } from "./az-meanings.ts";
import type { DriverErrorCode } from "./driver.ts";

/** What was being done. */
export type AzAction = "list" | "look at" | "read" | "store" | "replace" | "remove" | "share" | "ask";

/** What a message needs to know besides the failure. */
export type AzDeed = {
  readonly action: AzAction;
  readonly place: AzPlace;
  /** The clock of this host. */
  readonly now: Date;
};

/** The container, for people. */
export type AzPlace = {
  /** Name of the host of the endpoint. */
  readonly host: string;
  readonly account: string;
  readonly container: string;
  readonly login: "key" | "sas";
};

/** A failed call of the driver. Its message says what is; the shared layer puts before it what could not be done. */
export class AzError extends Error {
  override readonly name: string = "AzError";
  readonly code: DriverErrorCode;
  readonly hint: string | undefined;
  readonly retryable: boolean;
  readonly retryAfterMilliseconds: number | undefined;

  constructor(meaning: AzMeaning, failure: AzFailure) {
    super(meaning.what, { cause: failure });
    this.code = meaning.code;
    this.hint = meaning.hint;
    this.retryable = meaning.retryable ?? false;
    this.retryAfterMilliseconds = this.retryable ? failure.facts.retryAfterMilliseconds : undefined;
  }
}

/** A failure as people and the shared layer can read it; what is no `AzFailure` comes back as it is. */
export function azError(error: unknown, deed: AzDeed): unknown {
  return error instanceof AzFailure ? new AzError(meaningOf(error.facts, deed), error) : error;
}

function meaningOf(facts: AzFacts, deed: AzDeed): AzMeaning {
  const known = facts.code === undefined ? undefined : MEANINGS[facts.code];
  return known?.(facts, deed) ?? meaningOfStatus(facts, deed);
}

function meaningOfStatus(facts: AzFacts, deed: AzDeed): AzMeaning {
  const { status, code } = facts;
  const said = `${deed.place.host} answers ${[status, code].filter((part) => part !== undefined).join(" ")}`;
  if (status === undefined) return unanswered(code, deed.place);
  if (status >= 500 || status === 408 || status === 429) return { code: "UNREACHABLE", what: said, retryable: true };
  if (status < 300)
    return { code: "UNREACHABLE", what: `${said}, with something that is not an answer of Azure`, retryable: true };
  if (status === 407) {
    return {
      code: "NOT_PERMITTED",
      what: "the proxy wants a password",
      hint: "Put it into HTTPS_PROXY, or list the host in NO_PROXY.",
    };
  }
  if (status === 401 || status === 403) {
    return { code: "NOT_PERMITTED", what: said, hint: "Look up the word in Azure's list of storage error codes." };
  }
  if (code === undefined) {
    return {
      code: "UNREACHABLE",
      what: `${said}, without a word of Azure's`,
      hint: "Check BlobEndpoint in connection_string, and what proxy is between.",
    };
  }
  return { code: "FAILED", what: said, hint: "Look up the word in Azure's list of storage error codes." };
}

const NETWORK: Readonly<Record<string, string>> = {
  ECONNREFUSED: "refuses the connection",
  ECONNRESET: "reset the connection",
  EHOSTUNREACH: "cannot be reached from here",
  ENETUNREACH: "cannot be reached, the network is down",
  EPIPE: "closed the connection",
  ETIMEDOUT: "does not answer",
  EAI_AGAIN: "cannot be looked up now",
  [CUT_OFF]: "ended its answer too early",
  [WRONG_ANSWER]: "did not send what was asked for",
};

function unanswered(code: string | undefined, { host }: AzPlace): AzMeaning {
  const what = code === undefined ? undefined : NETWORK[code];
  if (what !== undefined) {
    return {
      code: "UNREACHABLE",
      what: `${host} ${what}`,
      hint: "Check the network, then run the command again.",
      retryable: true,
    };
  }
  if (code !== undefined && /CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO/.test(code)) {
    return {
      code: "UNREACHABLE",
      what: `${host} shows a certificate that is not trusted (${code})`,
      hint: "Check the clock and the name, or name the file of your own authority in NODE_EXTRA_CA_CERTS.",
    };
  }
  return { code: "UNREACHABLE", what: `${host} does not answer (${code ?? "no reason given"})`, retryable: true };
}

import { describe, expect, test } from "vitest";
import { refusalOf } from "../../../src/destination/gcs-answer.ts";
import { signingFailure, tokenFailure } from "../../../src/destination/gcs-credential-errors.ts";
import { type Doing, networkFailure, refusal, retryAfterMilliseconds } from "../../../src/destination/gcs-errors.ts";

const DOING: Doing = {
  verb: "store",
  object: "h/status",
  place: "gs://b/p",
  bucket: "b",
  account: "backup@project.iam.gserviceaccount.com",
};

type Said = {
  readonly status: number;
  readonly reason: string;
  readonly message?: string;
  readonly retryAfter?: string;
};

/** An answer as Google gives it. */
function answer({ status, reason, message = "x", retryAfter }: Said) {
  const error = { code: status, message, errors: [{ domain: "global", reason, message }] };
  return refusalOf(
    { status, header: (name) => (name === "retry-after" ? retryAfter : undefined) },
    JSON.stringify({ error }),
  );
}

describe("refusal()", () => {
  test.for<Said & { readonly code: string; readonly retryable?: true; readonly words: RegExp }>([
    {
      status: 401,
      reason: "authError",
      message: "Invalid Credentials",
      code: "NOT_PERMITTED",
      words: /does not accept the credentials/,
    },
    {
      status: 403,
      reason: "forbidden",
      message: "no access",
      code: "NOT_PERMITTED",
      words: /storage\.objects\.create is missing/,
    },
    {
      status: 403,
      reason: "insufficientPermissions",
      message: "no",
      code: "NOT_PERMITTED",
      words: /storage\.objects\.create is missing/,
    },
    {
      status: 403,
      reason: "rateLimitExceeded",
      message: "slow down",
      code: "UNREACHABLE",
      retryable: true,
      words: /cannot do it now \(status 403: slow down\)/,
    },
    { status: 403, reason: "quotaExceeded", code: "FAILED", words: /quota of the project/ },
    { status: 403, reason: "billingNotEnabled", code: "NOT_PERMITTED", words: /billing is not enabled/ },
    { status: 403, reason: "retentionPolicyNotMet", code: "NOT_PERMITTED", words: /retention policy/ },
    { status: 403, reason: "objectUnderActiveHold", code: "NOT_PERMITTED", words: /a hold protects it/ },
    {
      status: 404,
      reason: "notFound",
      message: "The specified bucket does not exist.",
      code: "CONFIG_INVALID",
      words: /there is no bucket "b"/,
    },
    {
      status: 400,
      reason: "customerEncryptionKeyIsIncorrect",
      code: "NOT_PERMITTED",
      words: /encrypted with another key/,
    },
    {
      status: 400,
      reason: "resourceIsEncryptedWithCustomerEncryptionKey",
      code: "NOT_PERMITTED",
      words: /the config file has none/,
    },
    { status: 400, reason: "customerEncryptionKeyFormatIsInvalid", code: "CONFIG_INVALID", words: /not 32 bytes/ },
    {
      status: 400,
      reason: "invalid",
      message: "the MD5 does not match",
      code: "FAILED",
      words: /status 400: the MD5 does not match/,
    },
    { status: 408, reason: "requestTimeout", code: "UNREACHABLE", retryable: true, words: /status 408/ },
    { status: 429, reason: "rateLimitExceeded", code: "UNREACHABLE", retryable: true, words: /status 429/ },
    { status: 500, reason: "backendError", code: "UNREACHABLE", retryable: true, words: /status 500/ },
    { status: 503, reason: "backendError", code: "UNREACHABLE", retryable: true, words: /status 503/ },
  ])("$status $reason is $code", ({ code, retryable = false, words, ...said }) => {
    const error = refusal(answer(said), DOING);
    expect(error).toMatchObject({ code, retryable });
    expect(error.message).toMatch(words);
    expect(error.message).toMatch(/^Cannot store "h\/status" on gs:\/\/b\/p: [^\n]+[^.]$/);
    if (!retryable && code !== "FAILED") expect(error.hint).toMatch(/^[A-Z].*\.$/);
  });

  test.each([
    ["list", "storage.objects.list"],
    ["look up", "storage.objects.get"],
    ["read", "storage.objects.get"],
    ["remove", "storage.objects.delete"],
    ["store", "storage.objects.create"],
  ] as const)("403 on %s names %s and the account", (verb, permission) => {
    const { message, hint } = refusal(answer({ status: 403, reason: "forbidden" }), { ...DOING, verb });
    expect(message).toContain(`the permission ${permission} is missing`);
    expect(hint).toContain('"backup@project.iam.gserviceaccount.com"');
    expect(hint).toContain(permission);
  });

  test("403 names the permission that the server names", () => {
    const message = "a@b does not have storage.objects.delete access to the object.";
    expect(refusal(answer({ status: 403, reason: "forbidden", message }), DOING).message).toContain(
      "the permission storage.objects.delete is missing",
    );
  });

  test("refusal() says in one line what a server in between sent", () => {
    const page = refusalOf({ status: 502, header: () => undefined }, "<html>\n<body>Bad gateway</body>");
    expect(refusal(page, DOING).message).toMatch(/\(status 502\)$/);
    const text = refusalOf({ status: 400, header: () => undefined }, `no\u001b[2J\nway${"!".repeat(1000)}`);
    expect(refusal(text, DOING).message).toMatch(/\(status 400: no \[2J way!{280,300}\)$/);
    expect(refusalOf({ status: 400, header: () => undefined }, '{"error": "odd"}')).toMatchObject({
      reason: undefined,
    });
    expect(refusalOf({ status: 400, header: () => undefined }, '{"error": {"errors": [null]}}').message).toBe("");
  });

  test.each([
    ["7", 7000],
    ["0", 0],
    ["Sat, 21 Nov 2026 00:00:10 GMT", 10_000],
    ["Sat, 21 Nov 2026 00:00:00 GMT", 0],
    ["Fri, 20 Nov 2026 00:00:00 GMT", 0],
    ["soon", undefined],
    [undefined, undefined],
  ])("retry-after %j is %j ms", (header, milliseconds) => {
    expect(retryAfterMilliseconds(header, Date.parse("2026-11-21T00:00:00Z"))).toBe(milliseconds);
  });

  test("only what may be tried again says when", () => {
    const after = (status: number, reason: string) =>
      refusal(answer({ status, reason, retryAfter: "3" }), DOING).retryAfterMilliseconds;
    expect(after(503, "backendError")).toBe(3000);
    expect(after(403, "forbidden")).toBeUndefined();
  });
});

describe("networkFailure()", () => {
  test.each([
    ["ECONNREFUSED", "the connection was refused", true],
    ["ECONNRESET", "the connection was cut", true],
    ["ENOTFOUND", "the name of the host is unknown", true],
    ["CERT_HAS_EXPIRED", "certificate has expired", false],
    ["DEPTH_ZERO_SELF_SIGNED_CERT", "certificate has expired", false],
    ["ERR_TLS_CERT_ALTNAME_INVALID", "certificate has expired", false],
  ])("%s says: %s", (code, words, retryable) => {
    const error = networkFailure(Object.assign(new Error("certificate has expired"), { code }), DOING, "host:443");
    expect(error).toMatchObject({ code: "UNREACHABLE", retryable });
    expect(error.message).toBe(`Cannot store "h/status" on gs://b/p: ${words} (host:443)`);
    expect(error.hint).toContain("host:443");
  });
});

describe("tokenFailure()", () => {
  const oauth = (error: string, description?: string) => ({
    message: error,
    response: { status: 400, data: { error, error_description: description, assertion: "SECRET" } },
    config: { data: "SECRET" },
  });

  test("a wrong clock is told as such", () => {
    const said = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.";
    const error = tokenFailure(oauth("invalid_grant", said), "/key.json");
    expect(error).toMatchObject({ code: "NOT_PERMITTED", hint: "Set the clock of this host, best by NTP." });
    expect(error.message).toContain("the clock of this host is wrong");
  });

  test("a removed key is told as such", () => {
    const error = tokenFailure(oauth("invalid_grant", "Invalid JWT Signature."), "/key.json");
    expect(error).toMatchObject({ code: "NOT_PERMITTED", retryable: false });
    expect(error.message).toBe(
      'Cannot log in to Google Cloud with "/key.json": they are not accepted (invalid_grant: Invalid JWT Signature.)',
    );
  });

  test.each<[object, string, boolean]>([
    [{ code: "ENOTFOUND", message: "getaddrinfo" }, "UNREACHABLE", true],
    [{ code: "ETIMEDOUT", message: "late" }, "UNREACHABLE", true],
    [{ message: "busy", response: { status: 503, data: "x" } }, "UNREACHABLE", true],
    [{ message: "busy", response: { status: 429, data: "x" } }, "UNREACHABLE", true],
    [{ message: "Could not load the default credentials. Browse to https://" }, "CONFIG_INVALID", false],
    [{ code: "ERR_OSSL_UNSUPPORTED", message: "DECODER" }, "CONFIG_INVALID", false],
    [{ message: "odd" }, "NOT_PERMITTED", false],
  ])("%j is %s", (failure, code, retryable) => {
    expect(tokenFailure(failure, undefined)).toMatchObject({ code, retryable });
  });

  test("no error keeps what the library knows", () => {
    for (const failure of [oauth("invalid_grant", "no"), { ...oauth("x"), code: "ECONNRESET" }]) {
      const error = tokenFailure(failure, "/key.json");
      expect(`${error.message} ${error.hint} ${JSON.stringify(error)}`).not.toContain("SECRET");
      expect(error.cause).toBeUndefined();
    }
  });

  test("signingFailure() says who can sign", () => {
    const error = signingFailure(new Error("Cannot sign data without `client_email`."), "gs://b");
    expect(error.message).toBe(
      "Cannot share from gs://b: these credentials are not those of a service account, and cannot sign",
    );
  });
});

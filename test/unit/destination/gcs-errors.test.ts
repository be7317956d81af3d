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

/** An answer as Google gives it. */
function answer(status: number, reason: string, message: string, headers: Record<string, string> = {}) {
  const text = JSON.stringify({ error: { code: status, message, errors: [{ domain: "global", reason, message }] } });
  return refusalOf({ status, header: (name) => headers[name] }, text);
}

describe("refusal()", () => {
  test.each<[number, string, string, string, boolean, RegExp]>([
    [401, "authError", "Invalid Credentials", "NOT_PERMITTED", false, /does not accept the credentials/],
    [403, "forbidden", "no access", "NOT_PERMITTED", false, /storage\.objects\.create is missing/],
    [403, "insufficientPermissions", "no", "NOT_PERMITTED", false, /storage\.objects\.create is missing/],
    [403, "rateLimitExceeded", "slow down", "UNREACHABLE", true, /cannot do it now \(status 403: slow down\)/],
    [403, "quotaExceeded", "x", "FAILED", false, /quota of the project/],
    [403, "billingNotEnabled", "x", "NOT_PERMITTED", false, /billing is not enabled/],
    [403, "retentionPolicyNotMet", "x", "NOT_PERMITTED", false, /retention policy/],
    [403, "objectUnderActiveHold", "x", "NOT_PERMITTED", false, /a hold protects it/],
    [404, "notFound", "The specified bucket does not exist.", "CONFIG_INVALID", false, /there is no bucket "b"/],
    [400, "customerEncryptionKeyIsIncorrect", "x", "NOT_PERMITTED", false, /encrypted with another key/],
    [400, "resourceIsEncryptedWithCustomerEncryptionKey", "x", "NOT_PERMITTED", false, /the config file has none/],
    [400, "customerEncryptionKeyFormatIsInvalid", "x", "CONFIG_INVALID", false, /not 32 bytes/],
    [400, "invalid", "the MD5 does not match", "FAILED", false, /status 400: the MD5 does not match/],
    [408, "requestTimeout", "x", "UNREACHABLE", true, /status 408/],
    [429, "rateLimitExceeded", "x", "UNREACHABLE", true, /status 429/],
    [500, "backendError", "x", "UNREACHABLE", true, /status 500/],
    [503, "backendError", "x", "UNREACHABLE", true, /status 503/],
  ])("%i %s (%s) is %s", (status, reason, message, code, retryable, words) => {
    const error = refusal(answer(status, reason, message), DOING);
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
    const { message, hint } = refusal(answer(403, "forbidden", "denied"), { ...DOING, verb });
    expect(message).toContain(`the permission ${permission} is missing`);
    expect(hint).toContain('"backup@project.iam.gserviceaccount.com"');
    expect(hint).toContain(permission);
  });

  test("403 names the permission that the server names", () => {
    const said = answer(403, "forbidden", "a@b does not have storage.objects.delete access to the object.");
    expect(refusal(said, DOING).message).toContain("the permission storage.objects.delete is missing");
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
    const headers = { "retry-after": "3" };
    expect(refusal(answer(503, "backendError", "x", headers), DOING).retryAfterMilliseconds).toBe(3000);
    expect(refusal(answer(403, "forbidden", "x", headers), DOING).retryAfterMilliseconds).toBeUndefined();
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

import { describe, expect, test } from "vitest";
import { type AzDeed, type AzError, azError } from "../../../src/destination/az-errors.ts";
import { type AzFacts, AzFailure } from "../../../src/destination/az-failure.ts";
import { MEANINGS } from "../../../src/destination/az-meanings.ts";

const DEED: AzDeed = {
  action: "store",
  now: new Date("2026-11-21T16:00:00Z"),
  place: {
    host: "acme.blob.core.windows.net",
    account: "acme",
    container: "copies",
    login: "key",
  },
};
const SAS: Partial<AzDeed> = { place: { ...DEED.place, login: "sas" } };

/** Code, part of the message, part of the hint. */
type Expected = readonly [string, string, string];

function explained(facts: AzFacts, deed: Partial<AzDeed> = {}): AzError {
  return azError(new AzFailure(facts), { ...DEED, ...deed }) as AzError;
}

describe("azError()", () => {
  test("azError() leaves what is no failure of Azure as it is", () => {
    const error = new TypeError("a mistake");
    expect(azError(error, DEED)).toBe(error);
  });

  test.each<[AzFacts, Partial<AzDeed>, ...Expected]>([
    [
      { status: 403, code: "AuthenticationFailed" },
      {},
      "NOT_PERMITTED",
      'the key of the account "acme" is refused',
      "rotated",
    ],
    [{ status: 403, code: "AuthenticationFailed" }, SAS, "NOT_PERMITTED", "has expired", "new signature (SAS)"],
    [
      { status: 403, code: "AuthorizationPermissionMismatch" },
      { ...SAS, action: "remove" },
      "NOT_PERMITTED",
      "not allow to remove",
      "delete and list",
    ],
    [
      { status: 403, code: "AuthorizationPermissionMismatch" },
      { ...SAS, action: "list" },
      "NOT_PERMITTED",
      "not allow to list",
      "delete and list",
    ],
    [{ status: 403, code: "AuthorizationFailure" }, {}, "NOT_PERMITTED", "refuses this host", 'under "Networking"'],
    [
      { status: 403, code: "KeyBasedAuthenticationNotPermitted" },
      {},
      "NOT_PERMITTED",
      "does not allow account keys",
      "Configuration",
    ],
    [
      { status: 400, code: "AccountRequiresHttps" },
      {},
      "CONFIG_INVALID",
      "https only",
      "DefaultEndpointsProtocol=https",
    ],
    [
      { status: 404, code: "ContainerNotFound" },
      {},
      "CONFIG_INVALID",
      'no container "copies"',
      "az storage container create --account-name acme --name copies",
    ],
    [{ status: 409, code: "ContainerBeingDeleted" }, {}, "FAILED", "is being deleted", "Wait until"],
    [{ status: 403, code: "AccountIsDisabled" }, {}, "NOT_PERMITTED", "is disabled", "subscription"],
    [{ status: 400, code: "InvalidResourceName" }, {}, "CONFIG_INVALID", "does not take the name", "container_name"],
    [{ status: 409, code: "BlobArchived" }, { action: "read" }, "NOT_PERMITTED", "archive tier", "access tier"],
    [{ status: 409, code: "BlobImmutableDueToPolicy" }, { action: "remove" }, "NOT_PERMITTED", "legal hold", "policy"],
    [
      { status: 409, code: "SnapshotsPresent" },
      { action: "remove" },
      "NOT_PERMITTED",
      "snapshots",
      "--delete-snapshots",
    ],
    [{ status: 412, code: "LeaseIdMissing" }, { action: "replace" }, "NOT_PERMITTED", "lease", "Break"],
    [{ code: "NO_ACCOUNT_KEY" }, { ...SAS, action: "share" }, "CONFIG_INVALID", "holds a signature", "AccountKey"],
    [{ status: 401 }, {}, "NOT_PERMITTED", "answers 401", "error codes"],
    [{ status: 407 }, {}, "NOT_PERMITTED", "proxy", "HTTPS_PROXY"],
    [{ status: 404 }, {}, "UNREACHABLE", "without a word of Azure's", "BlobEndpoint"],
    [{ code: "CERT_HAS_EXPIRED" }, {}, "UNREACHABLE", "not trusted", "NODE_EXTRA_CA_CERTS"],
    [{ status: 400, code: "SomethingNew" }, {}, "FAILED", "answers 400 SomethingNew", "error codes"],
  ])("azError() explains %j, %j", (facts, deed, ...[code, what, hint]) => {
    const error = explained(facts, deed);
    expect(error).toMatchObject({ code, retryable: false });
    expect(error.message).toMatch(/^[^\n]+[^.\n]$/);
    expect(error.message).toContain(what);
    expect(error.hint).toContain(hint);
  });

  test.each<[AzFacts, string]>([
    [{ status: 503, code: "ServerBusy" }, "too busy"],
    [{ status: 500, code: "OperationTimedOut" }, "too busy"],
    [{ status: 500, code: "InternalError" }, "too busy"],
    [{ status: 502 }, "answers 502"],
    [{ status: 429 }, "answers 429"],
    [{ status: 200, code: "PARSE_ERROR" }, "not an answer of Azure"],
    [{ code: "ECONNREFUSED" }, "refuses the connection"],
    [{ code: "ECONNRESET" }, "reset the connection"],
    [{ code: "ETIMEDOUT" }, "does not answer"],
    [{ code: "EAI_AGAIN" }, "cannot be looked up now"],
    [{ code: "ENOTFOUND" }, "there is no host acme.blob.core.windows.net"],
    [{ code: "CUT_OFF" }, "ended its answer too early"],
    [{ code: "WRONG_ANSWER" }, "did not send what was asked for"],
    [{ code: "REQUEST_SEND_ERROR" }, "does not answer (REQUEST_SEND_ERROR)"],
  ])("azError() wants another try after %j", (facts, what) => {
    const error = explained({ ...facts, retryAfterMilliseconds: 7000 });
    expect(error).toMatchObject({ code: "UNREACHABLE", retryable: true, retryAfterMilliseconds: 7000 });
    expect(error.message).toContain(what);
  });

  test("azError() wants another try for bytes that changed on their way", () => {
    expect(explained({ status: 400, code: "Md5Mismatch" })).toMatchObject({ code: "FAILED", retryable: true });
  });

  test.each([
    ["store", "BlobAlreadyExists", "ALREADY_EXISTS"],
    ["store", "ConditionNotMet", "ALREADY_EXISTS"],
    ["read", "ConditionNotMet", "CHANGED"],
    ["read", "InvalidRange", "CHANGED"],
    ["read", "BlobNotFound", "NOT_FOUND"],
    ["replace", "ConditionNotMet", "CONFLICT"],
    ["replace", "BlobAlreadyExists", "CONFLICT"],
    ["replace", "BlobNotFound", "CONFLICT"],
  ] as const)("azError() takes it, on %s, for %s: %s", (action, refusal, code) => {
    expect(explained({ status: 412, code: refusal }, { action })).toMatchObject({ code, retryable: false });
  });

  test("azError() names both clocks when they are apart", () => {
    const saidAt = new Date("2026-11-21T14:30:00Z");
    const error = explained({ status: 403, code: "AuthenticationFailed", saidAt });
    expect(error.message).toContain(
      "of this host says 2026-11-21T16:00:00.000Z, that of Azure 2026-11-21T14:30:00.000Z",
    );
    expect(error.hint).toContain("NTP");
    const near = new Date("2026-11-21T15:58:00Z");
    expect(explained({ status: 403, code: "AuthenticationFailed", saidAt: near }).message).toContain("key");
  });

  test.each(Object.keys(MEANINGS))("azError() says of %s what to do, or that it is about one object", (code) => {
    const { message, hint, code: kind } = explained({ status: 409, code });
    expect(message).not.toMatch(/undefined|\n|\.$/);
    if (kind !== "ALREADY_EXISTS") expect(hint).toMatch(/^[A-Z]\w+ /);
  });
});

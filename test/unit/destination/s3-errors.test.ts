import { expect, test } from "vitest";
import { type S3Failure, s3Error } from "../../../src/destination/s3-errors.ts";

const PLACE = {
  url: "s3://copies/db at https://store.example.org",
  bucket: "copies",
  region: "eu-west-1",
  endpoint: "https://store.example.org",
  isLocking: false,
};
const STORING = { verb: "store", object: "h/daily/x", permission: "s3:PutObject" };
const NOTHING: S3Failure = {
  name: "",
  message: "",
  status: undefined,
  bucketRegion: undefined,
  clocks: undefined,
  retryAfterMilliseconds: undefined,
};

const explained = (failure: Partial<S3Failure>, deed = STORING, place = PLACE) =>
  s3Error(deed, place, { ...NOTHING, ...failure });

test.for<[Partial<S3Failure>, string, RegExp, RegExp, boolean]>([
  [
    { status: 403, name: "InvalidAccessKeyId" },
    "NOT_PERMITTED",
    /not know the access key$/,
    /aws_access_key_id/,
    false,
  ],
  [{ status: 403, name: "SignatureDoesNotMatch" }, "NOT_PERMITTED", /secret key/, /aws_secret_access_key/, false],
  [{ status: 400, name: "ExpiredToken" }, "NOT_PERMITTED", /have expired/, /instance role/, false],
  [{ status: 400, name: "ExpiredToken", isRenewed: true }, "NOT_PERMITTED", /have expired/, /instance role/, true],
  [{ name: "CredentialsProviderError" }, "NOT_PERMITTED", /no credentials were found/, /profile/, false],
  [
    { status: 403, name: "AccessDenied" },
    "NOT_PERMITTED",
    /need s3:PutObject$/,
    /Allow s3:PutObject on .*copies/,
    false,
  ],
  [{ status: 403 }, "NOT_PERMITTED", /need s3:PutObject$/, /Allow/, false],
  [
    { status: 403, name: "AccessDenied", message: "no kms:GenerateDataKey" },
    "NOT_PERMITTED",
    /key cannot be used/,
    /kms:Decrypt/,
    false,
  ],
  [
    { status: 400, name: "KMS.DisabledException", message: "off" },
    "NOT_PERMITTED",
    /KMS.DisabledException: off/,
    /sse_kms_key_id/,
    false,
  ],
  [{ status: 404, name: "NoSuchBucket" }, "CONFIG_INVALID", /there is no bucket "copies"$/, /Create the bucket/, false],
  [
    { status: 301, name: "PermanentRedirect", bucketRegion: "us-west-2" },
    "CONFIG_INVALID",
    /not in the region eu-west-1 but in us-west-2$/,
    /aws_default_region=us-west-2/,
    false,
  ],
  [{ status: 301 }, "CONFIG_INVALID", /not in the region eu-west-1$/, /aws_default_region/, false],
  [
    { status: 400, name: "AuthorizationHeaderMalformed", bucketRegion: "us-east-1" },
    "CONFIG_INVALID",
    /but in us-east-1$/,
    /us-east-1/,
    false,
  ],
  [{ status: 503, name: "SlowDown" }, "UNREACHABLE", /busy or out of order \(503 SlowDown\)$/, /later/, true],
  [{ status: 500, name: "InternalError" }, "UNREACHABLE", /busy or out of order/, /later/, true],
  [{ status: 429 }, "UNREACHABLE", /busy or out of order \(429\)$/, /later/, true],
  [{ status: 599, name: "Odd" }, "UNREACHABLE", /599 Odd/, /later/, true],
  [{ status: 400, name: "RequestTimeout" }, "UNREACHABLE", /waited too long/, /again/, true],
  [{ status: 400, name: "BadDigest" }, "FAILED", /damaged or lost/, /again/, true],
  [
    { status: 403, name: "InvalidObjectState" },
    "FAILED",
    /archive storage class/,
    /restore-object --bucket copies/,
    false,
  ],
  [{ status: 507 }, "NO_SPACE", /no room/, /fewer copies/, false],
  [{ status: 403, name: "QuotaExceeded" }, "NO_SPACE", /no room/, /quota/, false],
  [
    { status: 501, name: "NotImplemented", message: "A header." },
    "CONFIG_INVALID",
    /NotImplemented: A header\)$/,
    /when_required/,
    false,
  ],
  [{ name: "ENOTFOUND" }, "UNREACHABLE", /name of the server is unknown \(https:\/\/store/, /name service/, true],
  [{ name: "ECONNREFUSED" }, "UNREACHABLE", /refuses connections/, /endpoint/, true],
  [{ name: "ECONNRESET" }, "UNREACHABLE", /was cut/, /network/, true],
  [{ name: "ETIMEDOUT" }, "UNREACHABLE", /does not answer/, /network/, true],
  [
    { name: "CERT_HAS_EXPIRED", message: "certificate has expired" },
    "NOT_PERMITTED",
    /not trusted, certificate has expired$/,
    /NODE_EXTRA_CA_CERTS/,
    false,
  ],
  [{ name: "ERR_TLS_CERT_ALTNAME_INVALID", message: "Host: x" }, "NOT_PERMITTED", /not trusted/, /endpoint/, false],
  [{ name: "EPROTO" }, "CONFIG_INVALID", /does not speak TLS/, /http:\/\//, false],
  [
    { status: 418, name: "Teapot", message: "short\n and  stout." },
    "FAILED",
    /418, Teapot: short and stout$/,
    /--debug/,
    false,
  ],
])("s3Error() explains %j", ([failure, code, what, hint, retryable]) => {
  const error = explained(failure);
  expect(error.message.startsWith('Cannot store "h/daily/x" on s3://copies/db at https://store.example.org: ')).toBe(
    true,
  );
  expect(error).toMatchObject({
    code,
    message: expect.stringMatching(what),
    hint: expect.stringMatching(hint),
    retryable,
  });
});

test("s3Error() shows both clocks when they differ by more than is allowed", () => {
  const here = new Date("2026-11-21T12:00:00Z");
  const clocks = (server: string) => ({ here, server: new Date(server) });
  const skewed = { status: 403, clocks: clocks("2026-11-21T13:00:05Z") };
  for (const name of ["", "AccessDenied", "RequestTimeTooSkewed"]) {
    expect(explained({ ...skewed, name })).toMatchObject({
      message: expect.stringContaining("the clock here says 2026-11-21T12:00:00Z, the server's 2026-11-21T13:00:05Z"),
      retryable: true,
    });
  }
  expect(explained({ status: 403, clocks: clocks("2026-11-21T12:01:00Z") }).message).toContain("access is denied");
});

test("s3Error() tells a lock from a missing permission", () => {
  const removing = { verb: "remove", object: "h/daily/x", permission: "s3:DeleteObject" };
  const denied = { status: 403, name: "AccessDenied" };
  const locked = "it is locked against removal";
  expect(explained(denied, removing).message).not.toContain(locked);
  expect(explained(denied, removing, { ...PLACE, isLocking: true }).message).toContain(locked);
  expect(explained({ ...denied, message: "protected by object lock" }, removing).message).toContain(locked);
  expect(explained(denied, STORING, { ...PLACE, isLocking: true }).message).not.toContain(locked);
});

test("s3Error() passes on how long to wait", () => {
  expect(explained({ status: 503, retryAfterMilliseconds: 1500 }).retryAfterMilliseconds).toBe(1500);
});

test("s3Error() names the region of Amazon where there is no endpoint", () => {
  expect(explained({ name: "ENOTFOUND" }, STORING, { ...PLACE, endpoint: undefined as never }).message).toContain(
    "(Amazon S3 in eu-west-1)",
  );
});

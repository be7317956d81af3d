import { expect, test } from "vitest";
import { codeOf, failureOf, statusOf } from "../../../src/destination/s3-failure.ts";

const failed = (name: string, facts: object = {}) => Object.assign(new Error("said"), { name }, facts);

test("codeOf() tells the code of S3, or the system's where there was no answer", () => {
  expect(codeOf(failed("NoSuchKey", { $metadata: { httpStatusCode: 404 } }))).toBe("NoSuchKey");
  expect(codeOf(failed("X", { Code: "SlowDown", $metadata: { httpStatusCode: 503 } }))).toBe("SlowDown");
  expect(codeOf(failed("Error", { code: "ECONNRESET" }))).toBe("ECONNRESET");
  expect(codeOf(failed("UnknownError", { $metadata: { httpStatusCode: 403 } }))).toBe("");
  expect(codeOf("text")).toBe("");
});

test("statusOf() is undefined where there was no answer", () => {
  expect(statusOf(failed("Error", { code: "ECONNRESET" }))).toBeUndefined();
  expect(statusOf(failed("X", { $response: { statusCode: 502 } }))).toBe(502);
});

test.for<[object, string | undefined]>([
  [{ $response: { headers: { "x-amz-bucket-region": "eu-north-1" } } }, "eu-north-1"],
  [{ Region: "ap-south-1" }, "ap-south-1"],
  [{ message: "the region 'us-east-1' is wrong; expecting 'eu-west-3'" }, "eu-west-3"],
  [{ Region: "no region at all" }, undefined],
  [{}, undefined],
])("failureOf() finds the region of the bucket in %j", ([facts, region]) => {
  expect(failureOf(failed("PermanentRedirect", facts), undefined).bucketRegion).toBe(region);
});

test("failureOf() reads how long to wait, as seconds and as a date", () => {
  const waitOf = (header: string) =>
    failureOf(failed("SlowDown", { $response: { headers: { "retry-after": header } } }), undefined)
      .retryAfterMilliseconds;
  expect(waitOf("7")).toBe(7000);
  expect(waitOf(new Date(Date.now() + 60_000).toUTCString())).toBeGreaterThan(57_000);
  expect(waitOf(new Date(Date.now() - 60_000).toUTCString())).toBeUndefined();
  expect(waitOf("soon")).toBeUndefined();
});

test("failureOf() takes the error of IPv4 of a name with several addresses", () => {
  const one = (address: string, code: string) => Object.assign(new Error(code), { address, code });
  const error = new AggregateError([one("::1", "ENETUNREACH"), one("192.0.2.1", "ECONNREFUSED")]);
  expect(failureOf(error, undefined).name).toBe("ECONNREFUSED");
});

test("failureOf() tells clocks only where the server has answered", () => {
  const clocks = { server: new Date(0), here: new Date(1) };
  expect(failureOf(failed("X", { $metadata: { httpStatusCode: 403 } }), clocks).clocks).toBe(clocks);
  expect(failureOf(failed("X", { code: "ECONNRESET" }), clocks).clocks).toBeUndefined();
});

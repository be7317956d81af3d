import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { KEY, STATUS } from "../../src/destination/contract/subject.ts";
import type { Destination } from "../../src/destination/destination.ts";
import { retrying } from "../../src/destination/retrying.ts";
import { openS3 } from "../../src/destination/s3.ts";
import { s3Driver } from "../../src/destination/s3-driver.ts";
import { breaking, type FaultyProxy, type HttpFault, s3Answer, startFaultyProxy } from "../support/http-faults.ts";
import { BUCKET, makeBucket, s3Options } from "../support/s3-options.ts";
import { rawClient } from "../support/servers/s3-server.ts";
import { hasSeaweed, type Seaweed, startSeaweed } from "../support/servers/seaweedfs.ts";
import { chunks, collect, keysOf, noise, sliced } from "../support/streams.ts";

const { signal } = new AbortController();
/** Three parts, for they begin with 5 MiB. */
const CONTENT = noise(13 * 1024 * 1024 + 5);
const QUICK = { tries: 4, firstWaitMilliseconds: 5, longestWaitMilliseconds: 20, withinMilliseconds: 60_000 };

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

describe.skipIf(!hasSeaweed())("S3 behind a bad network", () => {
  let server: Seaweed;
  let proxy: FaultyProxy;
  let raw: S3Client;
  let destination: Destination;

  beforeAll(async () => {
    server = await startSeaweed();
    await makeBucket(server);
    proxy = await startFaultyProxy(server.plainEndpoint);
    raw = rawClient(server);
  });
  afterAll(async () => {
    raw.destroy();
    await proxy.stop();
    await server.stop();
  });

  beforeEach(async () => {
    proxy.reset();
    destination = await open();
    for await (const { key } of destination.list("", { signal })) {
      await raw.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key }));
    }
    for (const { Key, UploadId } of await openUploads()) {
      await raw.send(new AbortMultipartUploadCommand({ Bucket: BUCKET, Key, UploadId }));
    }
    proxy.reset();
  });

  const open = (idleMilliseconds = 20_000) =>
    openS3(s3Options({ ...server, endpoint: proxy.endpoint }), { idleMilliseconds, policy: QUICK });

  /** Where something stalls on purpose, not long. */
  async function openFor(fault: HttpFault): Promise<void> {
    if (fault.kind === "stall") destination = await open(1500);
  }

  async function openUploads() {
    return (await raw.send(new ListMultipartUploadsCommand({ Bucket: BUCKET }))).Uploads ?? [];
  }

  const put = () => destination.put(KEY, sliced(CONTENT, 1_000_000), { signal });
  const asked = (action: string) => proxy.seen.filter((one) => one.action === action).length;

  async function expectStored(): Promise<void> {
    proxy.reset();
    expect(sha256(await collect(destination.get(KEY, { signal })))).toBe(sha256(CONTENT));
    expect(await openUploads()).toEqual([]);
  }

  async function expectNothing(): Promise<void> {
    proxy.reset();
    expect(await keysOf(destination.list("", { signal }))).toEqual([]);
    expect(await openUploads()).toEqual([]);
  }

  test.for<[string, string, HttpFault]>([
    ["a part is refused with 500", "UploadPart", s3Answer(500, "InternalError")],
    ["a part is refused with 503", "UploadPart", s3Answer(503, "SlowDown")],
    ["a part is refused with 429", "UploadPart", s3Answer(429, "TooManyRequests")],
    ["a part is refused by a proxy that knows no S3", "UploadPart", { kind: "answer", status: 502, body: "<html>no" }],
    ["a part is cut in its middle", "UploadPart", { kind: "cut", afterBytes: 3_000_000 }],
    ["a part stalls", "UploadPart", { kind: "stall" }],
    ["the answer to a part is lost", "UploadPart", { kind: "lose answer" }],
    ["a bit of a part flips", "UploadPart", { kind: "flip" }],
    ["the beginning is refused with 503", "CreateMultipartUpload", s3Answer(503, "SlowDown")],
    ["the end is refused with 500", "CompleteMultipartUpload", s3Answer(500, "InternalError")],
    ["the end is refused in an answer with 200", "CompleteMultipartUpload", s3Answer(200, "InternalError")],
    ["the end is answered with nothing", "CompleteMultipartUpload", { kind: "answer", status: 200 }],
    ["the answer to the end is lost", "CompleteMultipartUpload", { kind: "lose answer" }],
    ["the end stalls", "HeadObject", { kind: "stall" }],
  ])("put() stores all when %s twice", async ([, action, fault]) => {
    await openFor(fault);
    proxy.meet = breaking(action, fault, 2);
    expect(await put()).toEqual({ bytes: CONTENT.length, sha256: sha256(CONTENT) });
    expect(asked(action)).toBeGreaterThanOrEqual(fault.kind === "lose answer" ? 1 : 2);
    await expectStored();
  });

  test.for<[string, string, HttpFault, { code: string; message?: RegExp }]>([
    ["parts are refused with 503", "UploadPart", s3Answer(503, "SlowDown"), { code: "UNREACHABLE", message: /busy/ }],
    ["parts are cut", "UploadPart", { kind: "cut", afterBytes: 10 }, { code: "UNREACHABLE", message: /was cut/ }],
    ["parts are damaged", "UploadPart", { kind: "flip" }, { code: "FAILED", message: /damaged or lost/ }],
    ["the end is refused with 500", "CompleteMultipartUpload", s3Answer(500, "InternalError"), { code: "UNREACHABLE" }],
    ["the end is refused with 200", "CompleteMultipartUpload", s3Answer(200, "InternalError"), { code: "UNREACHABLE" }],
  ])("put() fails and leaves nothing when %s always", async ([, action, fault, expected]) => {
    proxy.meet = breaking(action, fault);
    await expect(put()).rejects.toMatchObject({
      code: expected.code,
      message: expect.stringMatching(expected.message ?? /./),
    });
    await expectNothing();
  });

  test.for<[string, HttpFault, { code: string; message: RegExp }]>([
    ["access is denied", s3Answer(403, "AccessDenied"), { code: "NOT_PERMITTED", message: /need s3:PutObject/ }],
    ["the credentials expire", s3Answer(400, "ExpiredToken"), { code: "NOT_PERMITTED", message: /have expired/ }],
    ["the disk is full", s3Answer(507, "InsufficientStorage"), { code: "NO_SPACE", message: /no room/ }],
  ])("put() gives up at once and leaves nothing when %s in the middle", async ([, fault, { code, message }]) => {
    proxy.meet = ({ action, nth }) => (action === "UploadPart" && nth >= 2 ? fault : undefined);
    await expect(put()).rejects.toMatchObject({ code, message: expect.stringMatching(message), retryable: false });
    expect(asked("UploadPart")).toBeLessThanOrEqual(3);
    expect(asked("CompleteMultipartUpload")).toBe(0);
    await expectNothing();
  });

  test("put() waits as long as the server says", async () => {
    proxy.meet = breaking("UploadPart", s3Answer(503, "SlowDown", { "retry-after": "1" }), 1);
    const started = performance.now();
    await put();
    expect(performance.now() - started).toBeGreaterThan(950);
    await expectStored();
  });

  test("put() knows its own small object when the answer is lost", async () => {
    proxy.meet = breaking("PutObject", { kind: "lose answer" }, 1);
    await destination.put(KEY, chunks("small"), { signal });
    expect((await collect(destination.get(KEY, { signal }))).toString()).toBe("small");
  });

  test("replaceSmall() knows its own bytes when the answer is lost", async () => {
    proxy.meet = breaking("PutObject", { kind: "lose answer" }, 1);
    const store = retrying(destination, QUICK);
    const version = await store.replaceSmall(STATUS, Buffer.from("one"), { signal, expected: undefined });
    expect((await store.readSmall(STATUS, { signal }))?.version).toBe(version);
  });

  test("put() ends with the reason when aborted while the server stalls, and leaves nothing", async () => {
    proxy.meet = breaking("UploadPart", { kind: "stall" });
    const reason = new Error("the time limit passed");
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 300);
    const started = performance.now();
    await expect(destination.put(KEY, sliced(CONTENT, 1_000_000), controller)).rejects.toBe(reason);
    expect(performance.now() - started).toBeLessThan(3000);
    await expectNothing();
  });

  test.for<[string, HttpFault]>([
    ["cut after some bytes", { kind: "cut answer", afterBytes: 777_777 }],
    ["refused with 503", s3Answer(503, "SlowDown")],
    ["stalled", { kind: "stall" }],
  ])("get() delivers all when answers are %s", async ([, fault]) => {
    await openFor(fault);
    await put();
    proxy.reset();
    proxy.meet = ({ action, nth }) => (action === "GetObject" && nth % 2 === 1 && nth < 8 ? fault : undefined);
    expect(sha256(await collect(destination.get(KEY, { signal })))).toBe(sha256(CONTENT));
    expect(asked("GetObject")).toBeGreaterThan(3);
  });

  const answer = (body: string, contentRange?: string): HttpFault => ({
    kind: "answer",
    status: contentRange === undefined ? 200 : 206,
    body,
    headers: {
      "content-length": String(body.length),
      ...(contentRange !== undefined && { "content-range": contentRange }),
    },
  });

  test.for<[string, HttpFault, RegExp]>([
    ["end early", { kind: "cut answer", afterBytes: 0 }, /was cut|sent 0 bytes/],
    ["are short", answer("012", "bytes 0-2/10"), /sends 3 bytes instead of 10$/],
    ["are long", answer("0123456789x"), /sends 11 bytes instead of 10$/],
    ["are of another range", answer("5678901234", "bytes 5-14/20"), /sends bytes 5-14\/20 instead of bytes 0-9$/],
    ["hold everything instead of a range", answer("0123456789"), /sends everything instead of bytes 0-9$/],
  ])("get() throws when answers always %s", async ([, fault, message]) => {
    await destination.put(KEY, chunks("0123456789"), { signal });
    proxy.meet = breaking("GetObject", fault);
    await expect(collect(destination.get(KEY, { signal }))).rejects.toMatchObject({
      code: "UNREACHABLE",
      message: expect.stringMatching(message),
    });
  });

  test("get() tells to bring a copy back from the archive", async () => {
    await put();
    proxy.meet = breaking("GetObject", s3Answer(403, "InvalidObjectState"));
    await expect(collect(destination.get(KEY, { signal }))).rejects.toMatchObject({
      message: expect.stringContaining("archive storage class"),
      hint: expect.stringContaining("restore-object"),
    });
  });

  test("list() throws when a page does not say where the next one is", async () => {
    const page = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>";
    proxy.meet = breaking("ListObjectsV2", { kind: "answer", status: 200, body: page });
    await expect(keysOf(destination.list("", { signal }))).rejects.toThrow("does not say where");
  });

  test("list() throws when it is cut", async () => {
    await put();
    proxy.meet = breaking("ListObjectsV2", { kind: "cut answer", afterBytes: 100 });
    await expect(keysOf(destination.list("", { signal }))).rejects.toMatchObject({ retryable: true });
  });

  test("put() does without conditions where the server refuses them", async () => {
    proxy.meet = ({ action, headers }) =>
      action !== "GetObject" && (headers["if-none-match"] ?? headers["if-match"]) !== undefined
        ? s3Answer(501, "NotImplemented")
        : undefined;
    await put();
    expect(await destination.capabilities({ signal })).toMatchObject({ conditionalReplace: "checked" });
    await expect(put()).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
    const first = await destination.replaceSmall(STATUS, Buffer.from("one"), { signal, expected: undefined });
    await destination.replaceSmall(STATUS, Buffer.from("two"), { signal, expected: first });
    const late = destination.replaceSmall(STATUS, Buffer.from("three"), { signal, expected: first });
    await expect(late).rejects.toMatchObject({ code: "CONFLICT" });
    await expectStored();
  });

  test("sweep() throws away what a killed process was sending", async () => {
    const pipe = { endpoint: server.plainEndpoint, region: server.region, admin: server.admin };
    const program = new URL("../support/s3-pipe.ts", import.meta.url).pathname;
    const child = spawn(process.execPath, [program, "put", KEY], {
      env: { ...process.env, S3_PIPE: JSON.stringify(pipe) },
      stdio: ["pipe", "ignore", "inherit"],
    });
    child.stdin.on("error", () => {});
    child.stdin.write(CONTENT);
    await expect.poll(openUploads, { timeout: 15_000, interval: 50 }).toHaveLength(1);
    const same = await openS3(s3Options({ ...server, endpoint: server.plainEndpoint }));
    expect(await same.sweep("h", { signal })).toBe(0);
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
    expect(await same.sweep("other", { signal })).toBe(0);
    expect(await openUploads()).toHaveLength(1);
    expect(await same.sweep("h", { signal })).toBe(1);
    await expectNothing();
    await same[Symbol.asyncDispose]();
  });

  test("commit() and write() leave alone what came under their name meanwhile", async () => {
    const driver = s3Driver(s3Options({ ...server, endpoint: proxy.endpoint }));
    const nonce = "0".repeat(32);
    const upload = await driver.start(KEY, { signal, nonce, expectedBytes: undefined });
    await upload.part(1, Buffer.from("new"), { signal });
    const version = await driver.write(KEY, Buffer.from("old"), { signal, nonce, expected: undefined });
    const whole = { parts: 1, bytes: 3, sha256: sha256(Buffer.from("new")) };
    await expect(upload.commit(whole, { signal })).rejects.toMatchObject({ code: "ALREADY_EXISTS", retryable: false });
    for (const expected of [undefined, "0123456789abcdef0123456789abcdef"]) {
      const late = driver.write(KEY, Buffer.from("new"), { signal, nonce, expected });
      await expect(late).rejects.toMatchObject({ code: "CONFLICT", retryable: false });
    }
    expect((await driver.stat(KEY, { signal }))?.version).toBe(version);
    await upload.abort({ signal });
    expect(await openUploads()).toEqual([]);
    await driver.close();
  });
});

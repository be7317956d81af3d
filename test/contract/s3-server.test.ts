import { GetObjectRetentionCommand, HeadObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KEY, STATUS } from "../../src/destination/contract/subject.ts";
import type { S3Options } from "../../src/destination/options.ts";
import { openS3 } from "../../src/destination/s3.ts";
import { s3Driver } from "../../src/destination/s3-driver.ts";
import { toKey } from "../../src/domain/key.ts";
import { Secret } from "../../src/domain/secret.ts";
import { startFaultyProxy } from "../support/http-faults.ts";
import { BUCKET, makeBucket, s3Options, secretKeys } from "../support/s3-options.ts";
import { rawClient, type S3Server } from "../support/servers/s3-server.ts";
import { hasSeaweed, type Seaweed, startSeaweed } from "../support/servers/seaweedfs.ts";
import { hasVersity, startVersity } from "../support/servers/versitygw.ts";
import { chunks, collect, keysOf, noise, sliced } from "../support/streams.ts";

const { signal } = new AbortController();
const MANIFEST = toKey("h/manifest/daily.files._etc-2026-11-21_02_36_45.tar.gz.json");
const READER = { accessKeyId: "reader0reader0", secretAccessKey: "may+only/read" };
const WRITER = { accessKeyId: "writer0writer0", secretAccessKey: "may+only/write" };
const ONE_TRY = { tries: 1, firstWaitMilliseconds: 1, longestWaitMilliseconds: 1, withinMilliseconds: 1000 };

describe.skipIf(!hasSeaweed())("S3, what a server refuses", () => {
  let server: Seaweed;

  beforeAll(async () => {
    server = await startSeaweed({
      users: {
        reader: { keys: READER, actions: ["Read", "List"] },
        writer: { keys: WRITER, actions: ["Write"] },
      },
    });
    await makeBucket(server);
  });
  afterAll(() => server.stop());

  const open = (more: Partial<S3Options> = {}, tuning: Parameters<typeof openS3>[1] = {}) =>
    openS3(s3Options(server, more), { certificate: server.certificate, policy: ONE_TRY, ...tuning });

  type Refusal = { code: string; message: RegExp; hint: RegExp };

  async function expectRefused(destination: Awaited<ReturnType<typeof open>>, refusal: Refusal): Promise<void> {
    const expected = {
      code: refusal.code,
      message: expect.stringMatching(refusal.message),
      hint: expect.stringMatching(refusal.hint),
    };
    await expect(keysOf(destination.list("", { signal }))).rejects.toMatchObject(expected);
    await expect(destination.put(KEY, chunks("x"), { signal })).rejects.toMatchObject(expected);
    await expect(collect(destination.get(KEY, { signal }))).rejects.toMatchObject(expected);
    await expect(destination.readSmall(STATUS, { signal })).rejects.toMatchObject(expected);
  }

  test("a wrong access key is told as such", async () => {
    const credentials = secretKeys({ ...server.admin, accessKeyId: "nobody00000000" });
    await expectRefused(await open({ credentials }), {
      code: "NOT_PERMITTED",
      message: /does not know the access key$/,
      hint: /aws_access_key_id/,
    });
  });

  test("a wrong secret key is told as such, and none is shown", async () => {
    const credentials = secretKeys({ ...server.admin, secretAccessKey: "not+the/secret" });
    const destination = await open({ credentials });
    await expectRefused(destination, { code: "NOT_PERMITTED", message: /secret key does not belong/, hint: /secret/ });
    const error: unknown = await destination.readSmall(KEY, { signal }).catch((error: unknown) => error);
    expect(JSON.stringify([error, String(error), (error as Error).cause, (error as Error).stack])).not.toMatch(
      /not\+the|StringToSign/,
    );
  });

  test("a bucket that is not there is told as such", async () => {
    await expectRefused(await open({ bucket: "no-such-bucket" }), {
      code: "CONFIG_INVALID",
      message: /there is no bucket "no-such-bucket"$/,
      hint: /Create the bucket/,
    });
  });

  test("a server that is not there, or not known, is told as such and asked again", async () => {
    await expect((await open({ endpoint: "https://127.0.0.1:9" })).readSmall(KEY, { signal })).rejects.toMatchObject({
      code: "UNREACHABLE",
      message: expect.stringContaining("refuses connections (https://127.0.0.1:9)"),
      retryable: true,
    });
    const nowhere = await open({ endpoint: "https://no-such-host.invalid" });
    await expect(nowhere.readSmall(KEY, { signal })).rejects.toMatchObject({ code: "UNREACHABLE", retryable: true });
  });

  test("a certificate that nobody vouches for is refused, and not asked again", async () => {
    const destination = await open({}, { certificate: undefined });
    await expect(destination.put(KEY, chunks("x"), { signal })).rejects.toMatchObject({
      code: "NOT_PERMITTED",
      message: expect.stringContaining("certificate of the server is not trusted, self-signed certificate"),
      hint: expect.stringContaining("NODE_EXTRA_CA_CERTS"),
      retryable: false,
    });
  });

  test("an endpoint with the wrong scheme is told as such", async () => {
    const tls = await open({ endpoint: server.plainEndpoint.replace("http:", "https:") });
    await expect(tls.readSmall(KEY, { signal })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining("does not speak TLS"),
    });
    const plain = await open({ endpoint: server.endpoint.replace("https:", "http:") });
    await expect(plain.readSmall(KEY, { signal })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining("does not speak the S3 protocol"),
    });
  });

  test("a clock an hour off is told with both clocks, and does not keep the next call from working", async () => {
    const driver = s3Driver(s3Options(server), {
      certificate: server.certificate,
      clockOffsetMilliseconds: 3_600_000,
    });
    await expect(Array.fromAsync(driver.list("", { signal }))).rejects.toMatchObject({
      code: "FAILED",
      message: expect.stringMatching(/the clock here says \S+Z, the server's \S+Z$/),
      hint: expect.stringContaining("chrony"),
      retryable: true,
    });
    expect(await Array.fromAsync(driver.list("nobody/", { signal }))).toEqual([]);
    await driver.close();
  });

  test("missing permissions are named", async () => {
    const admin = await open();
    await admin.put(toKey("h/x"), chunks("x"), { signal });
    const reader = await open({ credentials: secretKeys(READER) });
    expect(await keysOf(reader.list("", { signal }))).toEqual(["h/x"]);
    const needs = (permission: string) => ({
      code: "NOT_PERMITTED",
      message: expect.stringContaining(`they need ${permission}`),
      hint: expect.stringContaining(`Allow ${permission} on the bucket "${BUCKET}"`),
    });
    await expect(reader.put(KEY, chunks("x"), { signal })).rejects.toMatchObject(needs("s3:PutObject"));
    await expect(reader.put(KEY, sliced(noise(9_000_000), 1e6), { signal })).rejects.toMatchObject(
      needs("s3:PutObject"),
    );
    await expect(reader.remove(toKey("h/x"), { signal })).rejects.toMatchObject(needs("s3:DeleteObject"));
    const writer = await open({ credentials: secretKeys(WRITER) });
    await expect(keysOf(writer.list("", { signal }))).rejects.toMatchObject(needs("s3:ListBucket"));
    await expect(collect(writer.get(toKey("h/x"), { signal }))).rejects.toMatchObject(
      needs("s3:GetObject and s3:ListBucket"),
    );
    await admin.remove(toKey("h/x"), { signal });
  });

  test("a key of the customer encrypts, and nothing is read without it", async () => {
    const sse = { kind: "customer", key: new Secret(Buffer.alloc(32, 7).toString("base64")) } as const;
    const [withKey, without] = [await open({ sse, prefix: "sse" }), await open({ prefix: "sse" })];
    const content = noise(9_000_000);
    await withKey.put(KEY, sliced(content, 1_000_000), { signal });
    expect(content.equals(await collect(withKey.get(KEY, { signal })))).toBe(true);
    await expect(collect(without.get(KEY, { signal }))).rejects.toMatchObject({ code: "FAILED" });
    await expect(withKey.share?.(KEY, { signal, expiresSeconds: 60 })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
    });
  });

  test("share() gives a URL that reads the object until it expires", async () => {
    const destination = await open({}, {});
    const key = toKey("h/daily/files/a b+c%20ü.tar");
    await destination.put(key, chunks("shared"), { signal });
    // Node's own fetch trusts no certificate of ours: the same URL by the door without TLS has another host, so it is made there.
    const plain = await open({ endpoint: server.plainEndpoint });
    const url = (await plain.share?.(key, { signal, expiresSeconds: 2 })) ?? "";
    expect(await (await fetch(url)).text()).toBe("shared");
    expect((await fetch(url.replace("Expires=2", "Expires=3"))).status).toBe(403);
    await new Promise((resolve) => setTimeout(resolve, 3100));
    expect((await fetch(url)).status).toBe(403);
    await expect(plain.share?.(key, { signal, expiresSeconds: 8 * 86_400 })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
    });
    await destination.remove(key, { signal });
  });

  test("now() tells the clock of the server", async () => {
    const driver = s3Driver(s3Options(server), { certificate: server.certificate });
    expect(Math.abs(((await driver.now?.({ signal })) ?? new Date(0)).getTime() - Date.now())).toBeLessThan(5000);
    await driver.close();
  });

  test("only copies go into another storage class", async () => {
    const destination = await open({ storageClass: "STANDARD_IA", prefix: "class" });
    const raw = rawClient(server);
    await destination.put(KEY, chunks("x"), { signal });
    await destination.put(MANIFEST, chunks("y"), { signal });
    await destination.replaceSmall(STATUS, Buffer.from("z"), { signal, expected: undefined });
    const classOf = async (key: string) =>
      (await raw.send(new HeadObjectCommand({ Bucket: BUCKET, Key: `class/${key}` }))).StorageClass;
    expect(await classOf(KEY)).toBe("STANDARD_IA");
    expect([await classOf(MANIFEST), await classOf(STATUS)]).not.toContain("STANDARD_IA");
    raw.destroy();
  });
});

describe.skipIf(!hasSeaweed())("S3, a server that passes over conditions in silence", () => {
  test("put() finds it out, and looks by itself from then on", async () => {
    await using stack = new AsyncDisposableStack();
    const server = await startSeaweed({ isOpen: true });
    stack.defer(() => server.stop());
    await makeBucket(server);
    const proxy = await startFaultyProxy(server.plainEndpoint);
    stack.defer(() => proxy.stop());
    proxy.meet = ({ action }) =>
      action === "GetObject" ? undefined : { kind: "strip", headers: ["if-none-match", "if-match"] };
    const destination = await openS3(s3Options({ ...server, endpoint: proxy.endpoint }));
    expect(await destination.capabilities({ signal })).toMatchObject({ conditionalReplace: "native" });
    await destination.put(MANIFEST, chunks("x"), { signal });
    expect(await destination.capabilities({ signal })).toMatchObject({ conditionalReplace: "checked" });
    const first = await destination.replaceSmall(STATUS, Buffer.from("one"), { signal, expected: undefined });
    await destination.replaceSmall(STATUS, Buffer.from("two"), { signal, expected: first });
    const late = destination.replaceSmall(STATUS, Buffer.from("three"), { signal, expected: first });
    await expect(late).rejects.toMatchObject({ code: "CONFLICT" });
    expect((await collect(destination.get(STATUS, { signal }))).toString()).toBe("two");
    await destination[Symbol.asyncDispose]();
  });
});

describe.skipIf(!hasVersity())("S3, a bucket with Object Lock", () => {
  let server: S3Server;
  let raw: S3Client;

  beforeAll(async () => {
    server = await startVersity();
    await makeBucket(server, { isLockable: true });
    raw = rawClient(server);
  });
  afterAll(async () => {
    raw.destroy();
    await server.stop();
  });

  const lastsUntil = async (key: string) => {
    const { Retention } = await raw.send(new GetObjectRetentionCommand({ Bucket: BUCKET, Key: key }));
    return { mode: Retention?.Mode, days: ((Retention?.RetainUntilDate?.getTime() ?? 0) - Date.now()) / 86_400_000 };
  };

  test.for(["when_supported", "when_required"] as const)(
    "copies and manifests are locked with checksums %s, records are not",
    async (checksums) => {
      const host = checksums === "when_required" ? "required" : "supported";
      const objectLock = { mode: "compliance", days: 3 } as const;
      const options = s3Options(server, { objectLock, checksums });
      const destination = await openS3(options, { certificate: server.certificate });
      const [small, large] = [toKey(`${host}/daily/files/small`), toKey(`${host}/daily/files/large`)];
      const manifest = toKey(`${host}/manifest/daily.files.small.json`);
      await destination.put(small, chunks("x"), { signal });
      await destination.put(large, sliced(noise(9_000_000), 1_000_000), { signal });
      await destination.put(manifest, chunks("x"), { signal });
      for (const key of [small, large, manifest]) {
        expect(await lastsUntil(key)).toEqual({ mode: "COMPLIANCE", days: expect.closeTo(3, 1) });
        await expect(destination.remove(key, { signal })).rejects.toMatchObject({
          code: "NOT_PERMITTED",
          message: expect.stringContaining("locked against removal"),
          hint: expect.stringContaining("retention"),
        });
      }
      for (const name of ["status", "binlog-status", "files-status", "status.previous"]) {
        const key = toKey(`${host}/${name}`);
        const first = await destination.replaceSmall(key, Buffer.from("one"), { signal, expected: undefined });
        await destination.replaceSmall(key, Buffer.from("two"), { signal, expected: first });
        await destination.remove(key, { signal });
      }
      expect(await keysOf(destination.list(`${host}/`, { signal }))).toEqual([large, small, manifest]);
      await destination[Symbol.asyncDispose]();
    },
  );

  test("a wrong region is told with the right one", async () => {
    const destination = await openS3(s3Options(server, { region: "eu-west-3" }), { certificate: server.certificate });
    for (const call of [
      () => destination.readSmall(STATUS, { signal }),
      () => keysOf(destination.list("", { signal })),
    ]) {
      await expect(call()).rejects.toMatchObject({
        code: "CONFIG_INVALID",
        message: expect.stringContaining("not in the region eu-west-3 but in us-east-1"),
        hint: expect.stringContaining("aws_default_region=us-east-1"),
      });
    }
  });
});

import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { gcsDriver, openGcs } from "../../src/destination/gcs.ts";
import { openCredentials } from "../../src/destination/gcs-credentials.ts";
import type { GcsOptions } from "../../src/destination/options.ts";
import { toKey } from "../../src/domain/key.ts";
import { Secret } from "../../src/domain/secret.ts";
import { type GcsProxy, type Seen, startGcsProxy } from "../support/gcs-proxy.ts";
import { type FakeGcs, hasFakeGcs, startFakeGcs } from "../support/servers/fake-gcs.ts";
import { chunks, collect, keysOf, noise, sliced } from "../support/streams.ts";

const KEY = toKey("h/daily/files/a b-2026-11-21_02_36_45.tar.gz");
const { signal } = new AbortController();

/** Gives out a new token for each request, as a service of workload identities does. */
type TokenServer = {
  readonly url: string;
  given: number;
  answer: { status: number; body: object } | undefined;
  stop(): void;
};

async function startTokenServer(): Promise<TokenServer> {
  const server: Server = createServer((request, response) => {
    request.resume().on("end", () => {
      if (tokens.answer === undefined) tokens.given += 1;
      const token = { access_token: `token-${tokens.given}`, expires_in: 3600, token_type: "Bearer" };
      const issued = { ...token, issued_token_type: "urn:ietf:params:oauth:token-type:access_token" };
      const { status, body } = tokens.answer ?? { status: 200, body: issued };
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const stop = () => {
    server.closeAllConnections();
    server.close();
  };
  const tokens: TokenServer = { url: `http://127.0.0.1:${port}/token`, given: 0, answer: undefined, stop };
  return tokens;
}

describe.skipIf(!hasFakeGcs())("gcs credentials", () => {
  const directory = mkdtempSync(join(tmpdir(), "gcs-"));
  const file = join(directory, "credentials.json");
  let server: FakeGcs;
  let proxy: GcsProxy;
  let tokens: TokenServer;
  let options: GcsOptions;
  let count = 0;

  beforeAll(async () => {
    server = await startFakeGcs();
    proxy = await startGcsProxy(server.endpoint);
    tokens = await startTokenServer();
  });
  afterAll(async () => {
    tokens.stop();
    await proxy.stop();
    await server.stop();
    rmSync(directory, { recursive: true });
  });
  beforeEach(async () => {
    const bucket = `bucket-${++count}`;
    await server.makeBucket(bucket);
    const { endpoint } = proxy;
    options = { kind: "gcs", bucket, prefix: "p", endpoint, credentialsFile: file, encryptionKey: undefined };
    tokens.given = 0;
    tokens.answer = undefined;
    proxy.seen.length = 0;
    proxy.fault = () => undefined;
    write(workloadIdentity());
  });

  function write(content: object | string): void {
    writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
  }

  function workloadIdentity(): object {
    writeFileSync(join(directory, "subject"), "SUBJECT-TOKEN");
    return {
      type: "external_account",
      audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
      subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
      token_url: tokens.url,
      credential_source: { file: join(directory, "subject") },
    };
  }

  function serviceAccount(): { type: string; client_email: string; private_key: string } {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    return {
      type: "service_account",
      client_email: "backup@test.iam.gserviceaccount.com",
      private_key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    };
  }

  const tokenOf = ({ headers }: Seen) => headers["authorization"];

  test("every request brings the token of a workload identity, which is got once, and nothing is printed", async () => {
    const printed = [vi.spyOn(console, "warn"), vi.spyOn(process.stderr, "write"), vi.spyOn(process, "emitWarning")];
    await using destination = await openGcs(options, { chunkBytes: 8 * 1024 * 1024 });
    const content = noise(9_000_000);
    await destination.put(KEY, sliced(content, 1_000_000), { signal });
    expect(content.equals(await collect(destination.get(KEY, { signal })))).toBe(true);
    expect(await keysOf(destination.list("", { signal }))).toEqual([KEY]);
    await destination.remove(KEY, { signal });
    expect(new Set(proxy.seen.map(tokenOf))).toEqual(new Set(["Bearer token-1"]));
    expect(tokens.given).toBe(1);
    for (const spy of printed) {
      expect(spy).not.toHaveBeenCalled();
      spy.mockRestore();
    }
  });

  test("a token that is not accepted any more is replaced, once per request", async () => {
    await using destination = await openGcs(options);
    await destination.put(KEY, chunks("x"), { signal });
    proxy.fault = (seen) => (tokenOf(seen) === "Bearer token-1" ? { kind: "answer", status: 401 } : undefined);
    expect((await collect(destination.get(KEY, { signal }))).toString()).toBe("x");
    expect(tokens.given).toBe(2);
    proxy.fault = () => ({ kind: "answer", status: 401 });
    await expect(collect(destination.get(KEY, { signal }))).rejects.toMatchObject({ code: "NOT_PERMITTED" });
    expect(tokens.given).toBe(3);
  });

  test("a refused token is told without what was sent", async () => {
    tokens.answer = {
      status: 400,
      body: { error: "invalid_grant", error_description: "The subject token is expired." },
    };
    await using destination = await openGcs(options);
    const error: unknown = await destination.readSmall(KEY, { signal }).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: "NOT_PERMITTED", message: expect.stringContaining("invalid_grant") });
    expect(String(error)).not.toContain("SUBJECT-TOKEN");
    expect(proxy.seen).toEqual([]);
  });

  test("a server of tokens that is not there is told as such", async () => {
    write({ ...workloadIdentity(), token_url: "http://127.0.0.1:9/token" });
    await using destination = await openGcs(options);
    await expect(destination.readSmall(KEY, { signal })).rejects.toMatchObject({
      code: "UNREACHABLE",
      retryable: true,
    });
  });

  test.each<[string, object | string | undefined, RegExp]>([
    ["a missing file", undefined, /there is no such file/],
    ["no JSON", "-----BEGIN SECRET-----", /it is no key file/],
    ["another kind", { type: "odd", private_key: "SECRET" }, /it is no key file/],
    ["a list", "[1]", /it is no key file/],
    ["a missing key", { type: "service_account", client_email: "a@b" }, /it lacks private_key/],
    ["two missing", { type: "service_account", private_key: "" }, /it lacks client_email and private_key/],
  ])("%s is told with the file's name, and without what is in it", async (_, content, words) => {
    if (content === undefined) rmSync(file);
    else write(content);
    await using destination = await openGcs(options);
    const error: unknown = await destination.readSmall(KEY, { signal }).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: "CONFIG_INVALID", message: expect.stringMatching(words) });
    expect(String(error)).toContain(file);
    expect(String(error)).not.toContain("SECRET");
  });

  test("a damaged private key is told without it", async () => {
    write({ type: "service_account", client_email: "a@b", private_key: "SECRET" });
    await using destination = await openGcs(options);
    const error: unknown = await destination.readSmall(KEY, { signal }).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: "CONFIG_INVALID" });
    expect(`${String(error)} ${JSON.stringify(error)}`).not.toContain("SECRET");
  });

  test.each<[string, Partial<GcsOptions>, string]>([
    ["an endpoint that is no URL", { endpoint: "storage" }, "as endpoint of [gcs]"],
    ["an endpoint of another kind", { endpoint: "ftp://x" }, "as endpoint of [gcs]"],
    ["a key that is too short", { encryptionKey: new Secret("c2hvcnQ=") }, "it is not 32 bytes in base64"],
    ["a key that is no base64", { encryptionKey: new Secret("!".repeat(44)) }, "it is not 32 bytes in base64"],
  ])("%s is refused before anything is sent", async (_, changes, words) => {
    const opening = gcsDriver({ ...options, ...changes });
    await expect(opening).rejects.toMatchObject({ code: "CONFIG_INVALID", message: expect.stringContaining(words) });
    await expect(opening).rejects.not.toThrow("c2hvcnQ");
  });

  describe("share()", () => {
    test("sign() makes a URL that works without credentials, of a service account", async () => {
      write(serviceAccount());
      const warn = vi.spyOn(console, "warn");
      await server.store(options.bucket, "p/a b.gz", "shared");
      const credentials = await openCredentials({ file, endpoint: server.endpoint });
      const expiresAt = new Date(Date.now() + 600_000);
      const object = { bucket: options.bucket, name: "p/a b.gz", expiresAt, place: "gs://test" };
      const url = new URL(await credentials.sign(object, signal));
      expect(await (await fetch(url)).text()).toBe("shared");
      expect(warn).not.toHaveBeenCalled();
      warn.mockRestore();
      expect(Math.abs(Number(url.searchParams.get("X-Goog-Expires")) - 600)).toBeLessThan(2);
      expect(url.searchParams.get("X-Goog-Algorithm")).toBe("GOOG4-RSA-SHA256");
    });

    const customer = new Secret(Buffer.alloc(32).toString("base64"));

    test.for<{ what: string; words: string; changes?: Partial<GcsOptions>; expiresSeconds?: number }>([
      { what: "too long a life", words: "7 days at most", expiresSeconds: 8 * 24 * 3600 },
      { what: "a key of the customer", words: "gc_encryption_key", changes: { encryptionKey: customer } },
      { what: "an account that cannot sign", words: "not those of a service account" },
      { what: "no account", words: "not those of a service account", changes: { credentialsFile: undefined } },
    ])("share() refuses $what", async ({ words, changes = {}, expiresSeconds = 60 }) => {
      await server.store(options.bucket, `p/${KEY}`, "x");
      await using destination = await openGcs({ ...options, ...changes });
      await expect(destination.share?.(KEY, { signal, expiresSeconds })).rejects.toThrow(words);
    });

    test("share() refuses what is not there, and what is in parts", async () => {
      await using destination = await openGcs(options);
      const share = () => destination.share?.(KEY, { signal, expiresSeconds: 60 });
      await expect(share()).rejects.toMatchObject({ code: "NOT_FOUND" });
      for (const number of ["0", "1"]) {
        await server.store(options.bucket, `p/${KEY}/part-${number.padStart(16, "0")}`, "x");
      }
      await expect(share()).rejects.toThrow("it consists of 2 objects");
    });
  });

  test("a server whose certificate nobody trusts gets no token", async () => {
    const impostor = await startFakeGcs("https");
    await using destination = await openGcs({ ...options, endpoint: impostor.endpoint });
    const reading = destination.readSmall(KEY, { signal });
    await expect(reading).rejects.toMatchObject({ code: "UNREACHABLE", retryable: false });
    await expect(reading).rejects.toThrow(/certificate/);
    await impostor.stop();
  });

  test("now() is the server's clock", async () => {
    const driver = await gcsDriver(options);
    expect(Math.abs(((await driver.now?.({ signal }))?.getTime() ?? 0) - Date.now())).toBeLessThan(5000);
    await driver.close();
  });
});

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Destination } from "../../src/destination/destination.ts";
import { driven } from "../../src/destination/driven.ts";
import { gcsDriver } from "../../src/destination/gcs.ts";
import type { GcsOptions } from "../../src/destination/options.ts";
import { toKey } from "../../src/domain/key.ts";
import { Secret } from "../../src/domain/secret.ts";
import { type Fault, type GcsProxy, type Seen, startGcsProxy } from "../support/gcs-proxy.ts";
import { type FakeGcs, hasFakeGcs, startFakeGcs } from "../support/servers/fake-gcs.ts";
import { collect, keysOf, noise, sliced } from "../support/streams.ts";

const MIB = 1024 * 1024;
const KEY = toKey("h/daily/mysql/mysql-2026-11-21_02_36_45.xbstream.gz");
const STATUS = toKey("h/status");
/** Three parts of the shared layer, so four chunks. */
const CONTENT = noise(16 * MIB + 300_000);
/** Two ranges. */
const SHORTER = CONTENT.subarray(0, 9 * MIB);
const CUSTOMER_KEY = Buffer.alloc(32, 7).toString("base64");
const { signal } = new AbortController();

/** Requests of a resumable upload. */
const isChunk = ({ method, path }: Seen) => method === "PUT" && path.includes("upload_id=");
const isQuestion = (seen: Seen) => isChunk(seen) && String(seen.headers["content-range"]).startsWith("bytes */");
const isLast = (seen: Seen) => isChunk(seen) && /\d+-\d+\/\d+$/.test(String(seen.headers["content-range"]));
const isMedia = ({ path }: Seen) => path.includes("alt=media");
const isPage = ({ method, path }: Seen) => method === "GET" && /\/o\?/.test(path);
const isCancel = ({ method, path }: Seen) => method === "DELETE" && path.includes("upload_id=");

function said(status: number, reason: string, message = "no"): Fault {
  return {
    kind: "answer",
    status,
    text: JSON.stringify({ error: { code: status, message, errors: [{ reason, message }] } }),
  };
}

describe.skipIf(!hasFakeGcs())("gcs faults", () => {
  let server: FakeGcs;
  let proxy: GcsProxy;
  let options: GcsOptions;
  let count = 0;
  const waits: number[] = [];
  const opened: Destination[] = [];

  beforeAll(async () => {
    server = await startFakeGcs();
    proxy = await startGcsProxy(server.endpoint);
  });
  afterAll(async () => {
    await proxy.stop();
    await server.stop();
  });
  beforeEach(async () => {
    const bucket = `bucket-${++count}`;
    await server.makeBucket(bucket);
    const { endpoint } = proxy;
    options = { kind: "gcs", bucket, prefix: "", endpoint, credentialsFile: undefined, encryptionKey: undefined };
    proxy.fault = () => undefined;
    proxy.seen.length = 0;
    waits.length = 0;
  });
  afterEach(async () => {
    for (const destination of opened.splice(0)) await destination[Symbol.asyncDispose]();
  });

  function open(changes: Partial<GcsOptions> = {}): Destination {
    const destination = driven(
      () => gcsDriver({ ...options, ...changes }, { stallMilliseconds: 400, chunkBytes: 8 * MIB }),
      {
        url: "gs://test",
        policy: { tries: 4, firstWaitMilliseconds: 4, longestWaitMilliseconds: 4, withinMilliseconds: 60_000 },
        clock: {
          now: () => performance.now(),
          random: () => 0.5,
          pause: async (milliseconds) => {
            waits.push(milliseconds);
          },
        },
      },
    );
    opened.push(destination);
    return destination;
  }

  /** Fail the n-th (from 1) of the requests that match, once. */
  function once(matches: (seen: Seen) => boolean, nth: number, fault: Fault): void {
    let met = 0;
    proxy.fault = (seen) => (matches(seen) && ++met === nth ? fault : undefined);
  }

  const put = (destination: Destination, content = CONTENT) =>
    destination.put(KEY, sliced(content, 1_000_000), { signal });
  const read = (destination: Destination) => collect(destination.get(KEY, { signal }));
  const listed = () => server.names(options.bucket);
  const offsets = () => proxy.seen.filter(isChunk).map(({ headers }) => String(headers["content-range"]));

  test("put() sends chunks of multiples of 256 KiB, and all but the last without a total", async () => {
    const destination = open();
    expect(await put(destination)).toMatchObject({ bytes: CONTENT.length });
    expect(CONTENT.equals(await read(destination))).toBe(true);
    const first = 8 * MIB - 256 * 1024;
    expect(offsets()).toEqual([
      `bytes 0-${first - 1}/*`,
      `bytes ${first}-${first + 8 * MIB - 1}/*`,
      `bytes ${first + 8 * MIB}-${16 * MIB + 256 * 1024 - 1}/*`,
      `bytes ${16 * MIB + 256 * 1024}-${CONTENT.length - 1}/${CONTENT.length}`,
    ]);
    const hashed = proxy.seen.filter(({ headers }) => headers["x-goog-hash"] !== undefined);
    expect(hashed.map(isLast)).toEqual([true]);
    expect(proxy.seen.filter(({ path }) => path.includes("uploadType=resumable&")).at(0)?.path).toContain(
      "ifGenerationMatch=0",
    );
  });

  test("put() stores content that ends at a boundary of chunks", async () => {
    const destination = open();
    const content = CONTENT.subarray(0, 16 * MIB);
    await put(destination, content);
    expect(content.equals(await read(destination))).toBe(true);
    expect(offsets().at(-1)).toBe(`bytes ${16 * MIB - 256 * 1024}-${16 * MIB - 1}/${16 * MIB}`);
  });

  test.each<[string, number, Fault]>([
    ["503", 2, { kind: "answer", status: 503 }],
    ["500 on the first chunk", 1, { kind: "answer", status: 500 }],
    ["429", 3, said(429, "rateLimitExceeded")],
    ["a stall", 2, { kind: "stall" }],
    ["a cut at its start", 2, { kind: "cut", afterBytes: 0 }],
    ["a cut in the middle of 256 KiB", 2, { kind: "cut", afterBytes: MIB + 1000 }],
    ["a cut of the first chunk", 1, { kind: "cut", afterBytes: 3 * MIB }],
    ["a lost answer", 2, { kind: "lose" }],
    ["a lost answer to the last one", 4, { kind: "lose" }],
    ["a stall of the last one", 4, { kind: "stall" }],
    ["503 to the last one", 4, { kind: "answer", status: 503 }],
  ])("put() goes on after %s", async (_, nth, fault) => {
    const destination = open();
    once((seen) => isChunk(seen) && !isQuestion(seen), nth, fault);
    expect(await put(destination)).toMatchObject({ bytes: CONTENT.length });
    expect(CONTENT.equals(await read(destination))).toBe(true);
    expect(await listed()).toEqual([KEY]);
  });

  test("put() sends again what the server did not keep, and no more", async () => {
    once(isChunk, 2, { kind: "cut", afterBytes: MIB + 1000 });
    await put(open());
    const second = 8 * MIB - 256 * 1024;
    expect(offsets().slice(1, 4)).toEqual([
      `bytes ${second}-${second + 8 * MIB - 1}/*`,
      "bytes */*",
      `bytes ${second + MIB}-${second + 8 * MIB - 1}/*`,
    ]);
  });

  test("put() knows its own object when the answer to the last chunk was lost and the upload is forgotten", async () => {
    const destination = open();
    proxy.fault = (seen) => (isQuestion(seen) ? said(410, "gone") : isLast(seen) ? { kind: "lose" } : undefined);
    await put(destination);
    expect(CONTENT.equals(await read(destination))).toBe(true);
  });

  test.each<[string, Fault, string]>([
    ["503 for ever", { kind: "answer", status: 503 }, "UNREACHABLE"],
    ["no permission", said(403, "forbidden", "x does not have storage.objects.create access"), "NOT_PERMITTED"],
    ["a dropped upload", said(410, "gone"), "FAILED"],
    ["lost answers for ever", { kind: "lose" }, "UNREACHABLE"],
  ])("put() fails and leaves nothing after %s", async (_, fault, code) => {
    const destination = open();
    let met = 0;
    proxy.fault = (seen) => (isChunk(seen) && ++met > 1 ? fault : undefined);
    await expect(put(destination)).rejects.toMatchObject({ code });
    expect(await listed()).toEqual([]);
    expect(proxy.seen.filter(isCancel)).toHaveLength(1);
    expect(await keysOf(destination.list("", { signal }))).toEqual([]);
  });

  test("put() cancels the upload when the content fails", async () => {
    async function* failing() {
      yield* sliced(CONTENT.subarray(0, 12 * MIB), 1_000_000);
      throw new Error("killed");
    }
    await expect(open().put(KEY, failing(), { signal })).rejects.toThrow("killed");
    expect(proxy.seen.filter(isCancel)).toHaveLength(1);
    expect(await listed()).toEqual([]);
  });

  test("put() ends soon when it is aborted in the middle of a chunk", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    proxy.fault = (seen) => {
      if (!isChunk(seen)) return undefined;
      controller.abort(reason);
      return { kind: "stall" };
    };
    await expect(open().put(KEY, sliced(CONTENT, 1_000_000), controller)).rejects.toBe(reason);
    expect(await listed()).toEqual([]);
  });

  test.each([
    ["in parts", CONTENT],
    ["small", CONTENT.subarray(0, 100_000)],
  ])("put() does not take damaged bytes for stored: %s", async (_, content) => {
    proxy.fault = ({ method, bytes }) => (method !== "GET" && bytes > 90_000 ? { kind: "flip" } : undefined);
    await expect(put(open(), content)).rejects.toMatchObject({ code: "FAILED" });
    expect(await listed()).toEqual([]);
  });

  test("put() waits as long as the server asks for", async () => {
    once(isChunk, 2, { kind: "answer", status: 429, headers: { "retry-after": "7" } });
    await put(open());
    expect(waits).toEqual([7000]);
  });

  test.each<[string, Fault]>([
    ["a cut", { kind: "cut answer", afterBytes: 3 * MIB + 5 }],
    ["a cut before the first byte", { kind: "cut answer", afterBytes: 0 }],
    ["503", { kind: "answer", status: 503 }],
    ["a stall", { kind: "stall" }],
  ])("get() goes on after %s", async (_, fault) => {
    const destination = open();
    await put(destination, SHORTER);
    once(isMedia, 2, fault);
    expect(SHORTER.equals(await read(destination))).toBe(true);
  });

  test.each<[string, Fault, string]>([
    ["cuts for ever", { kind: "cut answer", afterBytes: 0 }, "UNREACHABLE"],
    ["a server without ranges", { kind: "strip", header: "range" }, "UNREACHABLE"],
    ["no permission", said(403, "forbidden"), "NOT_PERMITTED"],
    ["another version", said(412, "conditionNotMet"), "DATA_DAMAGED"],
    ["an object that is gone", said(404, "notFound"), "NOT_FOUND"],
  ])("get() never ends short: %s", async (_, fault, code) => {
    const destination = open();
    await put(destination, SHORTER);
    let met = 0;
    proxy.fault = (seen) => (isMedia(seen) && ++met > 1 ? fault : undefined);
    await expect(read(destination)).rejects.toMatchObject({ code });
  });

  test("get() notices an object that was replaced while it was read", async () => {
    const destination = open();
    await put(destination, SHORTER);
    const replaced = (async () => {
      let bytes = 0;
      for await (const chunk of destination.get(KEY, { signal })) {
        if (bytes === 0) await server.store(options.bucket, KEY, noise(SHORTER.length));
        bytes += chunk.length;
      }
    })();
    await expect(replaced).rejects.toMatchObject({ code: "DATA_DAMAGED" });
  });

  describe("list()", () => {
    const items = (...names: string[]) =>
      names.map((name) => ({ name, size: "1", generation: "1", timeCreated: "2026-11-21T00:00:00Z" }));
    const page = (content: object): Fault => ({ kind: "answer", status: 200, text: JSON.stringify(content) });
    const keysFound = () => keysOf(open().list("", { signal }));

    test("list() fails when a page does not come", async () => {
      proxy.fault = (seen) => {
        if (!isPage(seen)) return undefined;
        if (seen.path.includes("pageToken")) return { kind: "answer", status: 503 };
        return page({ items: items("h/a"), nextPageToken: "more" });
      };
      await expect(keysFound()).rejects.toMatchObject({ code: "UNREACHABLE" });
    });

    test.each([
      ["no JSON", "<html>"],
      ["a cut text", '{"items": [{"name": "h/a"'],
      ["an item without a size", JSON.stringify({ items: [{ name: "h/a", generation: "1" }] })],
    ])("list() fails when a page is %s", async (_, text) => {
      proxy.fault = (seen) => (isPage(seen) ? { kind: "answer", status: 200, text } : undefined);
      await expect(keysFound()).rejects.toMatchObject({ code: "UNREACHABLE" });
    });

    test("list() fails when it does not get on", async () => {
      proxy.fault = (seen) => (isPage(seen) ? page({ items: items("h/a"), nextPageToken: "same" }) : undefined);
      await expect(keysFound()).rejects.toMatchObject({ code: "UNREACHABLE" });
    });

    test("list() jumps over the rest of a folder that is skipped", async () => {
      proxy.fault = (seen) => {
        const query = new URL(seen.path, "http://x").searchParams;
        if (query.get("startOffset") === null) return page({ items: items("h/a", "h/b/c/1"), nextPageToken: "more" });
        return page({ items: items("h/b0", "h/c") });
      };
      const found = await keysOf(open().list("h/", { signal, skip: (folder) => folder === "h/b/" }));
      expect(found.filter((key) => !key.startsWith("h/b/"))).toEqual(["h/a", "h/b0", "h/c"]);
      const asked = proxy.seen.map(({ path }) => new URL(path, "http://x").searchParams);
      expect(asked.map((query) => query.get("startOffset"))).toEqual([null, "h/b0"]);
      expect(asked.map((query) => query.get("pageToken"))).toEqual([null, null]);
    });
  });

  test("every call tells of a bucket that is missing", async () => {
    const destination = open({ bucket: "nobody" });
    const missing = { code: "CONFIG_INVALID", message: expect.stringContaining('there is no bucket "nobody"') };
    await expect(put(destination)).rejects.toMatchObject(missing);
    await expect(read(destination)).rejects.toMatchObject(missing);
    await expect(keysOf(destination.list("", { signal }))).rejects.toMatchObject(missing);
    await expect(destination.remove(KEY, { signal })).rejects.toMatchObject(missing);
    await expect(destination.readSmall(STATUS, { signal })).rejects.toMatchObject(missing);
    const replaced = destination.replaceSmall(STATUS, Buffer.from("x"), { signal, expected: undefined });
    await expect(replaced).rejects.toMatchObject(missing);
  });

  test("every call tells of a server that is not there", async () => {
    const destination = open({ endpoint: "http://127.0.0.1:9" });
    const refused = { code: "UNREACHABLE", retryable: true, message: expect.stringContaining("127.0.0.1:9") };
    await expect(destination.readSmall(STATUS, { signal })).rejects.toMatchObject(refused);
    await expect(keysOf(destination.list("", { signal }))).rejects.toMatchObject(refused);
  });

  describe("a key of the customer", () => {
    const encryptionKey = new Secret(CUSTOMER_KEY);
    const sent = (seen: Seen) => seen.headers["x-goog-encryption-key"] === CUSTOMER_KEY;

    test("every request about an object's bytes brings the key, and no other", async () => {
      const destination = open({ encryptionKey });
      await put(destination);
      await read(destination);
      await destination.replaceSmall(STATUS, Buffer.from("x"), { signal, expected: undefined });
      await destination.readSmall(STATUS, { signal });
      await keysOf(destination.list("", { signal }));
      await destination.remove(KEY, { signal });
      const isAboutBytes = (seen: Seen) => !isPage(seen) && seen.method !== "DELETE";
      expect(proxy.seen.filter(sent)).toEqual(proxy.seen.filter(isAboutBytes));
      expect(proxy.seen.filter(sent).length).toBeGreaterThan(9);
      expect(proxy.seen.find(sent)?.headers).toMatchObject({
        "x-goog-encryption-algorithm": "AES256",
        "x-goog-encryption-key-sha256": "S7Bvjk46dxXSAdVz0KpCN2LlXavWGiwCJ4+lbMbSlOA=",
      });
      expect(proxy.seen.every(({ path }) => !path.includes(encodeURIComponent(CUSTOMER_KEY)))).toBe(true);
    });

    test("get() reads an object that was stored without a key", async () => {
      await put(open(), SHORTER);
      proxy.fault = (seen) => (sent(seen) ? said(400, "resourceNotEncryptedWithCustomerEncryptionKey") : undefined);
      expect(SHORTER.equals(await read(open({ encryptionKey })))).toBe(true);
    });

    test("get() tells that the key is another one, and not which", async () => {
      proxy.fault = () => said(400, "customerEncryptionKeyIsIncorrect");
      const error = await read(open({ encryptionKey })).catch(String);
      expect(error).toContain("it was encrypted with another key");
      expect(error).not.toContain(CUSTOMER_KEY);
    });
  });
});

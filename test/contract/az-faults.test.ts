import type { ContainerClient } from "@azure/storage-blob";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openAz } from "../../src/destination/az.ts";
import type { Destination } from "../../src/destination/destination.ts";
import { retrying } from "../../src/destination/retrying.ts";
import { toKey } from "../../src/domain/key.ts";
import { Secret } from "../../src/domain/secret.ts";
import { type Fault, type FaultyHttp, type Passing, startFaultyHttp } from "../support/faulty-http.ts";
import { type Azurite, hasAzurite, startAzurite } from "../support/servers/azurite.ts";
import { freePort } from "../support/servers/ports.ts";
import { chunks, collect, keysOf, noise } from "../support/streams.ts";
import { KEY, STATUS } from "./leftovers.ts";

const MIB = 1024 * 1024;
const SILENCE_MILLISECONDS = 800;
const { signal } = new AbortController();
const BYTES = noise(9 * MIB);

/** Quick, so that tests need not wait. */
const POLICY = { tries: 4, firstWaitMilliseconds: 1, longestWaitMilliseconds: 20, withinMilliseconds: 20_000 };

const isBlock = ({ url }: Passing) => url.includes("comp=block&");
const isCommit = ({ url }: Passing) => url.includes("comp=blocklist");
const isList = ({ url }: Passing) => url.includes("comp=list");
const isBlob = ({ url }: Passing) => /\/h\/[^?]*$/.test(url);
const isHead = (passing: Passing) => passing.method === "HEAD";
const isGet = (passing: Passing) => passing.method === "GET" && isBlob(passing);
const isWrite = (passing: Passing) => passing.method === "PUT" && isBlob(passing);
const isDelete = (passing: Passing) => passing.method === "DELETE";

/** An answer as Azure gives it. */
function refusal(status: number, code: string, headers: Record<string, string> = {}): Fault {
  const body = `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>secret words</Message></Error>`;
  const about = { "content-type": "application/xml", "x-ms-error-code": code, "x-ms-version": "2025-01-05" };
  return { kind: "answer", status, headers: { ...about, ...headers }, body };
}

function xml(body: string): Fault {
  return { kind: "answer", status: 200, body, headers: { "content-type": "application/xml" } };
}

describe.skipIf(!hasAzurite())("azure that fails", () => {
  let azurite: Azurite;
  let proxy: FaultyHttp;
  let container: ContainerClient;
  let destination: Destination;
  let count = 0;

  beforeAll(async () => {
    azurite = await startAzurite();
    proxy = await startFaultyHttp(azurite.port);
  });
  afterAll(async () => {
    await proxy.stop();
    await azurite.stop();
  });
  beforeEach(async () => {
    proxy.fault = () => undefined;
    container = await azurite.container(`faults-${++count}`);
    destination = await through({});
    return async () => {
      await destination[Symbol.asyncDispose]();
      await container.deleteIfExists();
    };
  });

  function through({
    text = azurite.connectionString(proxy.port),
    name = container.containerName,
  }): Promise<Destination> {
    const options = { kind: "az", container: name, chunkBytes: MIB, remotePath: "/a" } as const;
    const connectionString = new Secret(text);
    return openAz({ ...options, connectionString }, { silenceMilliseconds: SILENCE_MILLISECONDS, policy: POLICY });
  }

  /** Spoil the requests that match, from the n-th on, `times` of them. */
  function spoil(matches: (passing: Passing) => boolean, fault: Fault, { from = 0, times = 1 } = {}): void {
    let seen = 0;
    proxy.fault = (passing) => {
      if (!matches(passing)) return undefined;
      seen += 1;
      return seen > from && seen <= from + times ? fault : undefined;
    };
  }

  const ALWAYS = { times: Number.POSITIVE_INFINITY };

  async function names(): Promise<string[]> {
    const found: string[] = [];
    for await (const { name } of container.listBlobsFlat()) found.push(name);
    return found;
  }

  const put = () => destination.put(KEY, chunks(BYTES), { signal });
  const get = () => collect(destination.get(KEY, { signal }));
  const stored = () => container.getBlobClient(`a/${KEY}`).downloadToBuffer();

  describe("on storing", () => {
    test.each<[string, (passing: Passing) => boolean, Fault, number]>([
      ["500 at the second block", isBlock, refusal(500, "InternalError"), 1],
      ["503 at the first block, three times", isBlock, refusal(503, "ServerBusy"), 3],
      ["429 without a body", isBlock, { kind: "answer", status: 429 }, 1],
      [
        "a gateway's page",
        isBlock,
        { kind: "answer", status: 502, body: "<html>", headers: { "content-type": "text/html" } },
        1,
      ],
      ["a lost answer to a block", isBlock, { kind: "lose" }, 1],
      ["silence at a block", isBlock, { kind: "swallow" }, 1],
      ["a bit that flips in a block", isBlock, { kind: "flip" }, 1],
      ["503 at the commit", isCommit, refusal(503, "ServerBusy"), 2],
      ["a lost answer to the commit", isCommit, { kind: "lose" }, 1],
      ["a lost answer to the commit, three times", isCommit, { kind: "lose" }, 3],
      ["silence at the commit", isCommit, { kind: "swallow" }, 1],
      ["500 when it is looked at", isHead, refusal(500, "InternalError"), 2],
    ])("%s is got over, and the object is whole", async (_, ...[matches, fault, times]) => {
      spoil(matches, fault, { times });
      await put();
      expect((await stored()).equals(BYTES)).toBe(true);
      expect(await names()).toEqual([`a/${KEY}`]);
    });

    test.each<[string, (passing: Passing) => boolean, Fault, object]>([
      ["blocks that are always refused", isBlock, refusal(503, "ServerBusy"), { code: "UNREACHABLE" }],
      ["blocks that always change on their way", isBlock, { kind: "flip" }, { code: "FAILED" }],
      ["a server that is silent at blocks", isBlock, { kind: "swallow" }, { code: "UNREACHABLE" }],
      ["a right that ends on the way", isBlock, refusal(403, "AuthenticationFailed"), { code: "NOT_PERMITTED" }],
      ["a commit that is always refused", isCommit, refusal(500, "InternalError"), { code: "UNREACHABLE" }],
      ["blocks that got lost", isCommit, refusal(400, "InvalidBlockList"), { code: "FAILED" }],
    ])("%s end it, and nothing is there", async (_, ...[matches, fault, expected]) => {
      spoil(matches, fault, ALWAYS);
      await expect(put()).rejects.toMatchObject({ ...expected, message: expect.stringContaining(`"${KEY}"`) });
      proxy.fault = () => undefined;
      expect(await names()).toEqual([]);
      expect(await keysOf(destination.list("", { signal }))).toEqual([]);
      await put();
      expect((await stored()).equals(BYTES)).toBe(true);
    });

    test("a commit whose answers are all lost leaves the object whole, or nothing", async () => {
      spoil(isCommit, { kind: "lose" }, ALWAYS);
      await put();
      expect((await stored()).equals(BYTES)).toBe(true);
    });

    test("Retry-After is waited for", async () => {
      spoil(isBlock, refusal(503, "ServerBusy", { "retry-after": "1" }));
      const startedAt = performance.now();
      await put();
      expect(performance.now() - startedAt).toBeGreaterThan(1000);
    });

    test("a lost answer to a status is resolved by what is there", async () => {
      const patient = retrying(destination, POLICY);
      const version = await patient.replaceSmall(STATUS, Buffer.from("one"), { signal, expected: undefined });
      spoil(isWrite, { kind: "lose" });
      const next = await patient.replaceSmall(STATUS, Buffer.from("two"), { signal, expected: version });
      expect(next).not.toBe(version);
      await patient.replaceSmall(STATUS, Buffer.from("three"), { signal, expected: next });
      expect((await container.getBlobClient("a/h/status").downloadToBuffer()).toString()).toBe("three");
    });
  });

  describe("on reading", () => {
    beforeEach(async () => {
      await put();
    });

    test.each<[string, Fault, number]>([
      ["an answer that is cut", { kind: "cut", afterBytes: 1_000_000 }, 3],
      ["an answer that is cut at once", { kind: "cut", afterBytes: 0 }, 1],
      ["an answer that stalls", { kind: "stall", afterBytes: 1_000_000 }, 2],
      ["silence", { kind: "swallow" }, 1],
      ["500", refusal(500, "InternalError"), 3],
      ["503 with a body in another language", { kind: "answer", status: 503, body: "{}" }, 1],
    ])("%s is got over, and every byte comes", async (_, fault, times) => {
      spoil(isGet, fault, { times });
      expect((await get()).equals(BYTES)).toBe(true);
    });

    test.each<[string, Fault]>([
      ["answers that are all cut", { kind: "cut", afterBytes: 0 }],
      ["answers with another range", { kind: "answer", status: 200, body: "short", headers: { etag: '"x"' } }],
      ["answers that are refused", refusal(503, "ServerBusy")],
      ["silence", { kind: "stall", afterBytes: 0 }],
    ])("%s never pass for a short object", async (_, fault) => {
      spoil(isGet, fault, { ...ALWAYS, from: 1 });
      await expect(get()).rejects.toMatchObject({ code: "UNREACHABLE" });
    });

    test("bytes from elsewhere in the object never pass for those that were asked for", async () => {
      await destination.put(STATUS, chunks("0123456789"), { signal });
      const headers = { etag: '"x"', "content-range": "bytes 10-19/20", "content-length": "10" };
      spoil(isGet, { kind: "answer", status: 206, body: "abcdefghij", headers }, ALWAYS);
      await expect(collect(destination.get(STATUS, { signal }))).rejects.toMatchObject({ code: "UNREACHABLE" });
    });

    test("an object that is replaced meanwhile is not mixed", async () => {
      const reading = destination.get(KEY, { signal })[Symbol.asyncIterator]();
      spoil(isGet, { kind: "swallow" }, { times: 20 });
      const first = reading.next();
      await container.getBlockBlobClient(`a/${KEY}`).uploadData(Buffer.alloc(BYTES.length));
      proxy.fault = () => undefined;
      await expect(first).rejects.toMatchObject({ code: "DATA_DAMAGED" });
    });
  });

  describe("on listing", () => {
    beforeEach(async () => {
      for (const key of ["h/a", "h/b"]) await destination.put(toKey(key), chunks("x"), { signal });
    });

    const list = () => keysOf(destination.list("h/", { signal }));

    test.each<[string, Fault]>([
      ["500", refusal(500, "InternalError")],
      ["a page that is cut", { kind: "cut", afterBytes: 300 }],
      [
        "half of a page that looks whole",
        {
          kind: "answer",
          status: 200,
          body: "<?xml version='1.0'?><Enum",
          headers: { "content-type": "application/xml" },
        },
      ],
      [
        "a page of a portal",
        {
          kind: "answer",
          status: 200,
          body: "<html><body>Log in</body></html>",
          headers: { "content-type": "text/html" },
        },
      ],
      [
        "an XML of another kind",
        { kind: "answer", status: 200, body: "<html/>", headers: { "content-type": "application/xml" } },
      ],
      ["an XML that holds no blobs of Azure's", xml("<Other><Blobs/></Other>")],
      ["no page at all", { kind: "answer", status: 200 }],
      ["silence", { kind: "swallow" }],
    ])("%s is an error that can be tried again, never an empty store", async (_, fault) => {
      spoil(isList, fault, ALWAYS);
      await expect(list()).rejects.toMatchObject({ code: "UNREACHABLE", retryable: true });
      proxy.fault = () => undefined;
      expect(await list()).toEqual(["h/a", "h/b"]);
    });

    test("a 404 that is not of Azure is no missing object", async () => {
      spoil(isHead, { kind: "answer", status: 404 }, ALWAYS);
      await expect(destination.readSmall(STATUS, { signal })).rejects.toMatchObject({ code: "UNREACHABLE" });
    });
  });

  test.each<[string, Fault, object]>([
    [
      "a policy",
      refusal(409, "BlobImmutableDueToPolicy"),
      { code: "NOT_PERMITTED", hint: expect.stringContaining("policy") },
    ],
    [
      "snapshots",
      refusal(409, "SnapshotsPresent"),
      { code: "NOT_PERMITTED", hint: expect.stringContaining("snapshots") },
    ],
  ])("remove() says that %s keeps an object", async (_, fault, expected) => {
    spoil(isDelete, fault, ALWAYS);
    await expect(destination.remove(KEY, { signal })).rejects.toMatchObject(expected);
  });

  test("real snapshots keep an object", async () => {
    await destination.put(KEY, chunks("x"), { signal });
    await container.getBlobClient(`a/${KEY}`).createSnapshot();
    await expect(destination.remove(KEY, { signal })).rejects.toMatchObject({ code: "NOT_PERMITTED" });
    expect(await names()).toEqual([`a/${KEY}`]);
  });

  describe("what is wrong with the set-up", () => {
    const every = async (broken: Destination, expected: object): Promise<void> => {
      const options = { signal };
      await expect(keysOf(broken.list("", options))).rejects.toMatchObject(expected);
      await expect(broken.readSmall(STATUS, options)).rejects.toMatchObject(expected);
      await expect(collect(broken.get(KEY, options))).rejects.toMatchObject(expected);
      await expect(broken.put(KEY, chunks("x"), options)).rejects.toMatchObject(expected);
      const replacing = broken.replaceSmall(STATUS, Buffer.from("x"), { ...options, expected: undefined });
      await expect(replacing).rejects.toMatchObject(expected);
      await expect(broken.remove(KEY, options)).rejects.toMatchObject(expected);
      await broken[Symbol.asyncDispose]();
    };

    test("a container that is missing is named, and not made", async () => {
      await every(await through({ name: "missing" }), {
        code: "CONFIG_INVALID",
        message: expect.stringMatching(/: the account "twindbtest" has no container "missing"$/),
        hint: expect.stringContaining("--name missing"),
      });
    });

    test("a wrong key is named, and not shown", async () => {
      const wrong = Buffer.alloc(64, 7).toString("base64");
      await every(await through({ text: azurite.connectionString(proxy.port).replace(azurite.key, wrong) }), {
        code: "NOT_PERMITTED",
        message: expect.stringMatching(
          /: the account "twindbtest" refuses this host or this key \(AuthorizationFailure\)$/,
        ),
        hint: expect.not.stringContaining(wrong),
      });
    });

    test("a clock that is off is named", async () => {
      proxy.fault = () => refusal(403, "AuthenticationFailed", { date: "Sat, 21 Nov 2020 16:00:00 GMT" });
      await every(destination, {
        code: "NOT_PERMITTED",
        message: expect.stringMatching(/: the clock of this host says 20.+Z, that of Azure 2020-11-21T16:00:00.000Z$/),
        hint: expect.stringContaining("NTP"),
      });
    });

    test("a connection string that is none is refused at once, and not shown", async () => {
      await expect(through({ text: "AccountName=acme;AccountKey=secret" })).rejects.toMatchObject({
        code: "CONFIG_INVALID",
        message: "Cannot use connection_string in [az]: its AccountKey is not base64, so a part of it is missing",
      });
    });

    test("a host that is unknown, and one that does not listen", async () => {
      const unknown = azurite.connectionString(proxy.port).replace("127.0.0.1", "acme.blob.invalid");
      await every(await through({ text: unknown }), {
        code: "UNREACHABLE",
        hint: expect.stringMatching(/spelling of the account|Check the network/),
      });
      const deaf = await through({ text: azurite.connectionString(await freePort()) });
      await every(deaf, { code: "UNREACHABLE", message: expect.stringContaining("refuses the connection") });
    });

    test("no error shows what it signs with", async () => {
      const text = `BlobEndpoint=http://127.0.0.1:${proxy.port}/${azurite.account};SharedAccessSignature=sv=2025-01-05&sig=SECRET0SIGNATURE`;
      const broken = await through({ text });
      const error: unknown = await keysOf(broken.list("", { signal })).catch((thrown: unknown) => thrown);
      const { inspect } = await import("node:util");
      expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/SECRET0SIGNATURE|secret words/);
    });
  });

  test("an aborted call ends at once, and throws the reason", async () => {
    const reason = new Error("the time limit passed");
    proxy.fault = () => ({ kind: "swallow" });
    const calls: readonly ((options: { signal: AbortSignal }) => Promise<unknown>)[] = [
      (options) => keysOf(destination.list("", options)),
      (options) => destination.readSmall(STATUS, options),
      (options) => destination.put(KEY, chunks("x"), options),
      (options) => destination.remove(KEY, options),
    ];
    for (const call of calls) {
      const controller = new AbortController();
      setTimeout(() => controller.abort(reason), 30);
      const startedAt = performance.now();
      await expect(call(controller)).rejects.toBe(reason);
      expect(performance.now() - startedAt).toBeLessThan(SILENCE_MILLISECONDS - 100);
    }
  });
});

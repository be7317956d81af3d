import { type ContainerClient, ContainerSASPermissions } from "@azure/storage-blob";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type AzTuning, openAz } from "../../src/destination/az.ts";
import type { Destination } from "../../src/destination/destination.ts";
import { toKey } from "../../src/domain/key.ts";
import { Secret } from "../../src/domain/secret.ts";
import { type Azurite, hasAzurite, startAzurite } from "../support/servers/azurite.ts";
import { chunks, collect, keysOf } from "../support/streams.ts";
import { destinationContract } from "./destination.ts";
import { KEY, STATUS } from "./leftovers.ts";

const MIB = 1024 * 1024;
const { signal } = new AbortController();

describe.skipIf(!hasAzurite())("azure", () => {
  let azurite: Azurite;
  let count = 0;

  beforeAll(async () => {
    azurite = await startAzurite();
  });
  afterAll(() => azurite.stop());

  type Made = {
    readonly container: ContainerClient;
    readonly open: (remotePath?: string, tuning?: AzTuning) => Promise<Destination>;
  };

  /** A container of its own. */
  async function made(): Promise<Made> {
    const name = `copies-${++count}`;
    const container = await azurite.container(name);
    const connectionString = new Secret(azurite.connectionString());
    return {
      container,
      open: (remotePath = "/", tuning = {}) =>
        openAz({ kind: "az", connectionString, container: name, chunkBytes: 4 * MIB, remotePath }, tuning),
    };
  }

  async function namesIn(container: ContainerClient): Promise<string[]> {
    const names: string[] = [];
    for await (const { name } of container.listBlobsFlat()) names.push(name);
    return names.sort();
  }

  async function upload(container: ContainerClient, name: string, text: string): Promise<void> {
    await container.getBlockBlobClient(name).upload(text, Buffer.byteLength(text));
  }

  describe.each([
    { remotePath: "backups/mysql", pageBlobs: 100, manyObjects: 330 },
    { remotePath: "/", pageBlobs: 20, manyObjects: 90 },
  ])("remote_path $remotePath", ({ remotePath, pageBlobs, manyObjects }) => {
    const open = async () => {
      const { container, open: openIt } = await made();
      const another = () => openIt(remotePath, { pageBlobs });
      return {
        destination: await another(),
        another,
        secrets: [azurite.key],
        cleanup: async () => {
          await container.delete();
        },
      };
    };
    destinationContract(`AzDestination (${remotePath})`, open, { manyObjects });
  });

  describe("names of the predecessor", () => {
    const OLD = [
      { remotePath: "/", name: "//h/daily/x" },
      { remotePath: "/", name: "/h/daily/x" },
      { remotePath: "/", name: "h/daily/x" },
      { remotePath: "/backups/mysql", name: "/backups/mysql/h/daily/x" },
      { remotePath: "backups/mysql/", name: "backups/mysql//h/daily/x" },
      { remotePath: "/backups/mysql/", name: "backups/mysql//h/daily/x" },
    ];

    test.each(OLD)("$name of remote_path $remotePath is listed, read and removed", async ({ remotePath, name }) => {
      const { container, open } = await made();
      await using destination = await open(remotePath);
      const key = toKey("h/daily/x");
      await upload(container, name, "old copy");
      expect(await keysOf(destination.list("h/", { signal }))).toEqual([key]);
      expect(await keysOf(destination.list("", { signal }))).toEqual([key]);
      expect((await collect(destination.get(key, { signal }))).toString()).toBe("old copy");
      await expect(destination.put(key, chunks("new"), { signal })).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
      await destination.remove(key, { signal });
      expect(await namesIn(container)).toEqual([]);
    });

    test.each(OLD)("a status at $name of remote_path $remotePath stays there", async ({ remotePath, name }) => {
      const { container, open } = await made();
      await using destination = await open(remotePath);
      const status = name.replace("daily/x", "status");
      await upload(container, status, "one");
      const small = await destination.readSmall(STATUS, { signal });
      expect(Buffer.from(small?.content ?? []).toString()).toBe("one");
      const replacing = destination.replaceSmall(STATUS, Buffer.from("x"), { signal, expected: undefined });
      await expect(replacing).rejects.toMatchObject({ code: "CONFLICT" });
      const second = { signal, expected: small?.version };
      const third = { signal, expected: await destination.replaceSmall(STATUS, Buffer.from("two"), second) };
      await destination.replaceSmall(STATUS, Buffer.from("three"), third);
      expect(await namesIn(container)).toEqual([status]);
      expect((await container.getBlobClient(status).downloadToBuffer()).toString()).toBe("three");
      const late = destination.replaceSmall(STATUS, Buffer.from("x"), { signal, expected: small?.version });
      await expect(late).rejects.toMatchObject({ code: "CONFLICT" });
    });

    test.each([
      ["/", "h/x"],
      ["", "h/x"],
      ["/backups/mysql/", "backups/mysql/h/x"],
      ["//a", "a/h/x"],
    ])("new objects of remote_path %j get the tidy name %s", async (remotePath, name) => {
      const { container, open } = await made();
      await using destination = await open(remotePath);
      await destination.put(toKey("h/x"), chunks("a"), { signal });
      expect(await namesIn(container)).toEqual([name]);
    });

    test("old and new objects are listed together, each once, in order, over several pages", async () => {
      const { container, open } = await made();
      await using destination = await open("/", { pageBlobs: 2 });
      const old = ["h/b", "h/c", "h/e", "h/g", "h/i"];
      const fresh = ["h/a", "h/c", "h/d", "h/f", "h/h", "i/a"];
      for (const key of old) await upload(container, `//${key}`, "old");
      for (const key of fresh) await upload(container, key, "fresh");
      await upload(container, "h/c", "fresh");
      const all = [...new Set([...old, ...fresh])].sort();
      expect(await keysOf(destination.list("", { signal }))).toEqual(all);
      expect(await keysOf(destination.list("h/", { signal }))).toEqual(all.slice(0, -1));
      expect((await collect(destination.get(toKey("h/c"), { signal }))).toString()).toBe("fresh");
    });

    test("another folder of the container is left alone", async () => {
      const { container, open } = await made();
      await using destination = await open("/backups");
      for (const name of ["backup/h/x", "backups2/h/x", "other", "//h/x"]) await upload(container, name, "theirs");
      expect(await keysOf(destination.list("", { signal }))).toEqual([]);
      await destination.remove(toKey("h/x"), { signal });
      expect(await namesIn(container)).toHaveLength(4);
    });
  });

  describe("uploads", () => {
    const bytes = Buffer.alloc(20 * MIB, 7);

    test("blocks of several uploads of one key never mix, and one wins", async () => {
      const { container, open } = await made();
      await using destination = await open();
      const fills = [1, 2, 3];
      const results = await Promise.allSettled(
        fills.map((fill) => destination.put(KEY, chunks(Buffer.alloc(20 * MIB, fill)), { signal })),
      );
      expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      const winner = fills[results.findIndex(({ status }) => status === "fulfilled")];
      for (const result of results) {
        if (result.status === "rejected") expect(result.reason).toMatchObject({ code: "ALREADY_EXISTS" });
      }
      const stored = await collect(destination.get(KEY, { signal }));
      expect(stored.equals(Buffer.alloc(20 * MIB, winner))).toBe(true);
      expect(await namesIn(container)).toEqual([KEY]);
    });

    test("blocks that the predecessor left under the name are no hindrance", async () => {
      const { container, open } = await made();
      await using destination = await open();
      const id = Buffer.from(encodeURIComponent(Buffer.from("0".repeat(32)).toString("base64"))).toString("base64");
      await container.getBlockBlobClient(KEY).stageBlock(id, "half a copy", 11);
      expect(await keysOf(destination.list("", { signal }))).toEqual([]);
      await destination.put(KEY, chunks(bytes), { signal });
      expect((await collect(destination.get(KEY, { signal }))).equals(bytes)).toBe(true);
    });

    test.each([KEY, `//${KEY}`])("an upload onto %s, which was taken meanwhile, leaves what is there", async (name) => {
      const { container, open } = await made();
      await using destination = await open();
      async function* content() {
        yield bytes;
        await upload(container, name, "theirs");
      }
      await expect(destination.put(KEY, content(), { signal })).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
      expect((await collect(destination.get(KEY, { signal }))).toString()).toBe("theirs");
    });
  });

  describe("share()", () => {
    test("share() gives a URL for one object that reads only and expires", async () => {
      const { container, open } = await made();
      await using destination = await open();
      await upload(container, "//h/Ü ber#?%.gz", "old copy");
      await upload(container, "h/x", "secret");
      const url = await destination.share?.(toKey("h/Ü ber#?%.gz"), { signal, expiresSeconds: 2 });
      const shared = new URL(url ?? "");
      expect(await (await fetch(shared)).text()).toBe("old copy");
      expect(shared.searchParams.get("sp")).toBe("r");
      expect((await fetch(shared, { method: "DELETE" })).status).toBe(403);
      const other = new URL(url ?? "");
      other.pathname = other.pathname.replace(/\/\/\/h.*/, "/h/x");
      expect((await fetch(other)).status).toBe(403);
      expect((await fetch(new URL(shared.pathname, shared))).status).toBe(403);
      await expect.poll(async () => (await fetch(shared)).status, { timeout: 5000 }).toBe(403);
    });

    test("share() knows no missing object", async () => {
      await using destination = await (await made()).open();
      const sharing = destination.share?.(toKey("h/x"), { signal, expiresSeconds: 60 });
      await expect(sharing).rejects.toMatchObject({ code: "NOT_FOUND" });
    });
  });

  describe("signature instead of a key", () => {
    async function withSignature(letters: string): Promise<{ destination: Destination; container: ContainerClient }> {
      const { container } = await made();
      const permissions = ContainerSASPermissions.parse(letters);
      const url = new URL(await container.generateSasUrl({ permissions, expiresOn: new Date(Date.now() + 3_600_000) }));
      const text = `BlobEndpoint=http://127.0.0.1:${azurite.port}/${azurite.account};SharedAccessSignature=${url.search}`;
      const options = { container: container.containerName, chunkBytes: MIB, remotePath: "/" };
      return { container, destination: await openAz({ kind: "az", connectionString: new Secret(text), ...options }) };
    }

    test("it stores, lists, reads, replaces and removes", async () => {
      const { container, destination } = await withSignature("racwdl");
      await destination.put(KEY, chunks("a"), { signal });
      const version = await destination.replaceSmall(STATUS, Buffer.from("1"), { signal, expected: undefined });
      await destination.replaceSmall(STATUS, Buffer.from("2"), { signal, expected: version });
      expect(await keysOf(destination.list("", { signal }))).toEqual([KEY, STATUS]);
      expect((await collect(destination.get(STATUS, { signal }))).toString()).toBe("2");
      await destination.remove(KEY, { signal });
      expect(await namesIn(container)).toEqual([STATUS]);
      expect(destination.url).not.toContain("sig");
      await destination[Symbol.asyncDispose]();
    });

    test("share() says that it needs a key", async () => {
      const { container, destination } = await withSignature("racwdl");
      await upload(container, KEY, "x");
      await expect(destination.share?.(KEY, { signal, expiresSeconds: 60 })).rejects.toMatchObject({
        code: "CONFIG_INVALID",
        hint: expect.stringContaining("AccountKey"),
      });
    });

    test("a right that is missing is named", async () => {
      const { container, destination } = await withSignature("rl");
      await upload(container, KEY, "x");
      expect(await keysOf(destination.list("", { signal }))).toEqual([KEY]);
      await expect(destination.remove(KEY, { signal })).rejects.toMatchObject({
        code: "NOT_PERMITTED",
        message: expect.stringMatching(/^Cannot remove "h\/.*: the signature does not allow to remove$/),
        hint: expect.stringContaining("read, add, create, write, delete and list"),
      });
    });
  });
});

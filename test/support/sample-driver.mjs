/**
 * A store of objects in a directory of this host, as an example of a driver: nothing but Node is needed.
 *
 * Each object is one file of data per version and a small file beside it that says which version is the current one; replacing that
 * file publishes the object. Uploads that are not finished lie in a folder of their own.
 */
import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";

const MIB = 1024 * 1024;

export default async function makeDriver({ settings, log, count }) {
  const root = settings.directory;
  if (!root) throw Object.assign(new Error("directory is not set in [module]"), { code: "CONFIG_INVALID" });
  const objects = join(root, "objects");
  const uploads = join(root, "uploads");
  for (const folder of [objects, uploads]) await mkdir(folder, { recursive: true, mode: 0o700 });
  log.debug(`keeping objects in ${root}`);

  const nameOf = (key) => join(objects, createHash("sha256").update(key).digest("hex"));
  const dataOf = (key, version) => `${nameOf(key)}.${version}`;

  /** Write a file so that it is whole or not there, and stays when the machine crashes. */
  async function save(path, chunks) {
    const unfinished = join(uploads, randomUUID());
    const file = await open(unfinished, "wx", 0o600);
    try {
      for await (const chunk of chunks) await file.writeFile(chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(unfinished, path);
  }

  async function load(path) {
    try {
      return JSON.parse(await readFile(path, "utf8"));
    } catch (error) {
      if (error.code === "ENOENT") return undefined;
      throw error;
    }
  }

  async function stat(key) {
    const found = await load(`${nameOf(key)}.json`);
    return found && { ...found, modifiedAt: new Date(found.modifiedAt) };
  }

  /** Publish data under a key; the version before it goes. */
  async function publish(object, chunks) {
    const before = await stat(object.key);
    const version = randomUUID();
    await save(dataOf(object.key, version), chunks);
    await save(`${nameOf(object.key)}.json`, [JSON.stringify({ ...object, version, modifiedAt: new Date() })]);
    if (before) await rm(dataOf(object.key, before.version), { force: true });
    count("bytes_stored", object.bytes);
    return version;
  }

  return {
    kind: "sample",
    url: `sample:${root}`,
    limits: {
      leastPartBytes: 1,
      mostPartBytes: 4096 * MIB,
      mostParts: 10_000,
      mostObjectBytes: 5 * MIB * MIB,
      parallelParts: 4,
      isConditional: false,
    },

    async *list(prefix, { signal }) {
      for (const name of await readdir(objects)) {
        signal.throwIfAborted();
        const found = name.endsWith(".json") ? await load(join(objects, name)) : undefined;
        if (found?.key.startsWith(prefix)) yield { ...found, modifiedAt: new Date(found.modifiedAt) };
      }
    },

    stat,

    async *read(key, { offset, bytes, version }, { signal }) {
      const found = await stat(key);
      if (!found) throw Object.assign(new Error("there is no such object"), { code: "NOT_FOUND" });
      if (found.version !== version) throw Object.assign(new Error("it was replaced"), { code: "CHANGED" });
      yield* createReadStream(dataOf(key, version), { start: offset, end: offset + bytes - 1, signal });
    },

    async start(key, { nonce }) {
      const folder = join(uploads, randomUUID());
      await mkdir(folder);
      await save(join(folder, "upload.json"), [JSON.stringify({ key, startedAt: new Date() })]);
      return {
        part: (number, bytes) => save(join(folder, String(number)), [bytes]),
        commit: async ({ parts, bytes }) => {
          if (await stat(key)) throw Object.assign(new Error("the name is taken"), { code: "ALREADY_EXISTS" });
          const chunks = (async function* () {
            for (let number = 1; number <= parts; number++) yield* createReadStream(join(folder, String(number)));
          })();
          await publish({ key, bytes, nonce }, chunks);
          await rm(folder, { recursive: true, force: true });
        },
        abort: () => rm(folder, { recursive: true, force: true }),
      };
    },

    async write(key, bytes, { expected, nonce }) {
      if ((await stat(key))?.version !== expected) throw Object.assign(new Error("another is there"), { code: "CONFLICT" });
      return publish({ key, bytes: bytes.length, nonce }, [bytes]);
    },

    async remove(key) {
      const found = await stat(key);
      await rm(`${nameOf(key)}.json`, { force: true });
      if (found) await rm(dataOf(key, found.version), { force: true });
    },

    async *unfinished(prefix) {
      for (const id of await readdir(uploads)) {
        const found = await load(join(uploads, id, "upload.json")).catch(() => undefined);
        if (found?.key.startsWith(prefix)) yield { key: found.key, id, startedAt: new Date(found.startedAt) };
      }
    },

    discard: ({ id }) => rm(join(uploads, id), { recursive: true, force: true }),

    async close() {},
  };
}

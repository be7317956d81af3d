import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { expect, test } from "vitest";

const SRC = new URL("../src/", import.meta.url).pathname;

/** A file of src and everything it imports, relative files as paths below src. */
type Module = { readonly file: string; readonly imports: readonly string[] };

/** What a folder may import besides itself: folders, or single files ("doors") of folders. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  domain: [],
  lib: ["domain"],
  destination: ["domain", "lib"],
  engine: ["domain", "lib"],
  mysql: ["domain", "lib"],
  modifier: ["domain", "lib"],
  source: ["domain", "lib", "engine/engine.ts", "mysql/client.ts", "mysql/binlog-events.ts"],
  status: ["domain", "lib", "destination/destination.ts"],
  export: ["domain", "lib"],
  config: ["domain", "lib", "destination/options.ts", "modifier/options.ts", "export/options.ts"],
  replica: ["domain", "lib", "mysql", "engine/engine.ts", "engine/open-far.ts", "source/mysql-clone.ts"],
  job: [
    "domain",
    "lib",
    "destination/destination.ts",
    "modifier/chain.ts",
    "modifier/modifier.ts",
    "source/source.ts",
    "source/binlog-spool.ts",
    "engine/engine.ts",
    "mysql/client.ts",
    "mysql/binlog-events.ts",
    "mysql/replay-server.ts",
    "mysql/binlog-follower.ts",
    "status/store.ts",
    "status/manifests.ts",
    "replica",
  ],
  cli: [
    "domain",
    "lib",
    "destination",
    "modifier",
    "source",
    "engine",
    "mysql",
    "status",
    "export",
    "config",
    "replica",
    "job",
  ],
  "main.ts": ["domain", "lib", "cli"],
};

/** The one file that may name each package. */
const OWNERS: Readonly<Record<string, string>> = {
  "@azure/storage-blob": "destination/az-client.ts",
  "../package.json": "cli/version.ts",
  "@google-cloud/storage": "destination/gcs-credentials.ts",
  "@aws-sdk/client-s3": "destination/s3-client.ts",
  commander: "cli/command-line.ts",
  mysql2: "mysql/client.ts",
  pino: "cli/log.ts",
  "proper-lockfile": "lib/lock.ts",
  ssh2: "lib/ssh.ts",
  valibot: "config/schema.ts",
};

function modules(): Module[] {
  return readdirSync(SRC, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => {
      const text = readFileSync(join(SRC, file), "utf8");
      const found = text.matchAll(/(?:from\s+|import\s*\(\s*|import\s+)"([^"]+)"/g);
      const imports = [...found].map(([, name = ""]) =>
        name.startsWith(".") ? normalize(join(dirname(file), name)) : name,
      );
      return { file, imports };
    });
}

function roomOf(file: string): string {
  return file.split("/")[0] ?? file;
}

function isLocal(name: string): boolean {
  return name.endsWith(".ts");
}

test("modules import only what their folder may", () => {
  const wrong = modules().flatMap(({ file, imports }) => {
    const room = roomOf(file);
    return imports
      .filter(isLocal)
      .filter(
        (target) =>
          roomOf(target) !== room &&
          !ALLOWED[room]?.some((allowed) => target === allowed || roomOf(target) === allowed),
      )
      .map((target) => `${file} → ${target}`);
  });
  expect(wrong).toEqual([]);
});

test("each package has one owner", () => {
  const wrong = modules().flatMap(({ file, imports }) =>
    imports
      .filter((name) => !isLocal(name) && !name.startsWith("node:"))
      .filter((name) => OWNERS[name] !== file)
      .map((name) => `${file} → ${name}`),
  );
  expect(wrong).toEqual([]);
});

test("domain imports nothing from the system", () => {
  const wrong = modules().filter(
    ({ file, imports }) => roomOf(file) === "domain" && imports.some((name) => name.startsWith("node:")),
  );
  expect(wrong).toEqual([]);
});

test("modules cover every folder of the map", () => {
  expect(new Set(modules().map(({ file }) => roomOf(file)))).toEqual(new Set(Object.keys(ALLOWED)));
});

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseConfig } from "../../../src/config/config.ts";
import { statusKey } from "../../../src/status/store.ts";
import { at, filesCopy } from "../../support/copies.ts";
import { MemoryDestination } from "../../support/memory-destination.ts";
import { shelfOn } from "../../support/shelves.ts";
import { chunks, keysOf } from "../../support/streams.ts";

const HOME = new URL("../../../", import.meta.url).pathname;
const DOCUMENT = readFileSync(`${HOME}docs/object-storage.md`, "utf8");

/** What Amazon asks for each call: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html */
const ACTIONS: Readonly<Record<string, readonly string[]>> = {
  HeadBucketCommand: ["s3:ListBucket"],
  ListObjectsV2Command: ["s3:ListBucket"],
  ListMultipartUploadsCommand: ["s3:ListBucketMultipartUploads"],
  HeadObjectCommand: ["s3:GetObject"],
  GetObjectCommand: ["s3:GetObject", "kms:Decrypt"],
  PutObjectCommand: ["s3:PutObject", "s3:PutObjectRetention", "kms:GenerateDataKey"],
  CreateMultipartUploadCommand: ["s3:PutObject", "s3:PutObjectRetention", "kms:GenerateDataKey"],
  UploadPartCommand: ["s3:PutObject", "kms:Decrypt"],
  CompleteMultipartUploadCommand: ["s3:PutObject", "kms:Decrypt"],
  AbortMultipartUploadCommand: ["s3:AbortMultipartUpload"],
  ListPartsCommand: ["s3:ListMultipartUploadParts"],
  DeleteObjectCommand: ["s3:DeleteObject"],
};

/** Actions on the bucket itself; the others are on what lies in it. */
const ON_BUCKET = new Set(["s3:ListBucket", "s3:ListBucketMultipartUploads"]);

type Statement = {
  readonly Effect: "Allow" | "Deny";
  readonly Action: readonly string[];
  readonly Resource: string | readonly string[];
};

function blockOf(name: string): unknown {
  const block = DOCUMENT.split(`\`\`\`json ${name}\n`)[1]?.split("\n```")[0];
  return JSON.parse(block ?? "") as unknown;
}

function policy(name: string): { readonly allowed: Set<string>; readonly denied: Set<string> } {
  const { Version, Statement } = blockOf(name) as { Version: string; Statement: Statement[] };
  expect(Version).toBe("2012-10-17");
  for (const { Effect, Action, Resource } of Statement.filter((each) => each.Effect === "Allow")) {
    expect(Effect).toBe("Allow");
    const bucketOnly = Action.filter((action) => ON_BUCKET.has(action));
    expect([0, Action.length], "a statement is about the bucket or about objects").toContain(bucketOnly.length);
    expect(String(Resource).includes("/*")).toBe(
      Action.some((action) => action.startsWith("s3:") && bucketOnly.length === 0),
    );
  }
  const actionsOf = (effect: string) =>
    new Set(Statement.filter(({ Effect }) => Effect === effect).flatMap(({ Action }) => Action));
  return { allowed: actionsOf("Allow"), denied: actionsOf("Deny") };
}

function source(prefix: string): string {
  const folder = `${HOME}src/destination/`;
  return readdirSync(folder)
    .filter((name) => name.startsWith(prefix))
    .map((name) => readFileSync(folder + name, "utf8"))
    .join("\n");
}

/** Every action of Amazon's that the driver needs, told from the calls it makes. */
function neededOnS3(): Set<string> {
  const commands = [...source("s3").matchAll(/new (\w+Command)\(/g)].map(([, name = ""]) => name);
  expect(commands.length).toBeGreaterThan(8);
  expect(commands.filter((name) => ACTIONS[name] === undefined)).toEqual([]);
  return new Set(commands.flatMap((name) => ACTIONS[name] ?? []));
}

describe("docs/object-storage.md", () => {
  test("its policy for S3 allows just what the driver does", () => {
    expect(policy("s3 full")).toEqual({ allowed: neededOnS3(), denied: new Set() });
  });

  test("its writer on S3 may do all of that but delete", () => {
    const { allowed, denied } = policy("s3 writer");
    expect(allowed).toEqual(new Set([...neededOnS3()].filter((action) => action !== "s3:DeleteObject")));
    expect(denied).toContain("s3:DeleteObject");
    expect(denied).toContain("s3:DeleteObjectVersion");
    expect([...allowed].filter((action) => denied.has(action))).toEqual([]);
  });

  test("its lifecycle rule is one rule that ends unfinished uploads and deletes no copy", () => {
    const { Rules } = blockOf("s3 lifecycle") as { Rules: Record<string, Record<string, unknown>>[] };
    expect(Rules).toHaveLength(1);
    expect(Rules[0]).toMatchObject({ Status: "Enabled", AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 } });
    expect(Rules[0]?.["Expiration"]).toEqual({ ExpiredObjectDeleteMarker: true });
  });

  test("its role for GCS has just the permissions that the driver names", () => {
    const named = source("gcs").match(/storage\.objects\.[a-z]+/g) ?? [];
    const { includedPermissions } = blockOf("gcs full") as { includedPermissions: string[] };
    expect(new Set(includedPermissions)).toEqual(new Set(named));
    expect(includedPermissions).toHaveLength(4);
  });

  test("its condition for GCS lets all be replaced that a run replaces, and no copy be deleted", async () => {
    const [, text = ""] = /```text\n(resource\.name[^`]*)```/.exec(DOCUMENT) ?? [];
    const endings = [...text.matchAll(/resource\.name\.endsWith\("([^"]+)"\)/g)].map(([, ending = ""]) => ending);
    expect(text.trim()).toBe(endings.map((ending) => `resource.name.endsWith("${ending}")`).join(" || "));
    const mayGo = (key: string) => endings.some((ending) => key.endsWith(ending));

    const { signal } = new AbortController();
    const destination = new MemoryDestination();
    const shelf = shelfOn(destination, "files");
    const first = filesCopy(at(1));
    for (const copy of [first, filesCopy(at(2)), filesCopy(at(3))]) {
      await shelf.manifests.begin(copy.key, { signal });
      await destination.put(copy.key, chunks("content"), { signal });
      await shelf.status.update((now) => ({ copies: [...now.copies, copy] }), { signal });
    }
    await shelf.manifests.begin(filesCopy(at(4)).key, { signal });
    await shelf.manifests.amend(first, { signal });
    const small = await destination.readSmall(statusKey("db7", "files"), { signal });
    const expected = small?.version;
    await destination.replaceSmall(statusKey("db7", "files"), Buffer.from("torn"), { signal, expected });
    await shelf.status.update((now) => ({ copies: now.copies.slice(1) }), { signal });
    const stored = await keysOf(destination.list("", { signal }));
    for (const ending of endings) expect(stored.some((key) => key.endsWith(ending))).toBe(true);
    expect(stored.filter((key) => !mayGo(key)).sort()).toEqual([1, 2, 3].map((day) => filesCopy(at(day)).key).sort());
  });

  test("its configs are good ones", () => {
    const blocks = [...DOCUMENT.matchAll(/```ini\n([\s\S]*?)```/g)].map(([, text = ""]) => text);
    const ofStores = blocks.filter((text) => /backup_destination = (s3|gcs|az)$/m.test(text));
    expect(ofStores).toHaveLength(4);
    for (const text of ofStores) {
      // One shows a single key that goes with a section shown before.
      const whole = text.includes("[s3]") || !text.includes("= s3") ? text : `${text}[s3]\nbucket = b\n`;
      const { warnings } = parseConfig(`[source]\nbackup_dirs = /etc\n${whole}`, { path: "x", hostname: "db1" });
      expect(warnings).toEqual([]);
    }
  });
});

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { FilesCopy } from "../../../src/domain/copy.ts";
import { BackupError } from "../../../src/domain/errors.ts";
import { withVerification } from "../../../src/domain/status.ts";
import { recordFindings } from "../../../src/job/record-findings.ts";
import { restoreFile } from "../../../src/job/restore-file.ts";
import { storeCopy } from "../../../src/job/shelf.ts";
import { verifyFile } from "../../../src/job/verify-file.ts";
import { decompressors } from "../../../src/modifier/compress.ts";
import { explainDecoding } from "../../../src/modifier/decode.ts";
import { extractCommand, isNotInArchive, listCommand, openTar } from "../../../src/source/tar.ts";
import { at, filesCopy } from "../../support/copies.ts";
import { FailingDestination, unreachable } from "../../support/failing-destination.ts";
import { shelfOn } from "../../support/shelves.ts";
import { chunks } from "../../support/streams.ts";

const { signal } = new AbortController();
const [gunzip] = decompressors(".gz").filter(({ file }) => file === "gzip");
const DECODERS = [{ name: "gzip", suffix: ".gz", revert: gunzip ?? { file: "gzip", args: ["-dc"] } }] as const;

let scratch: string;
let destination: FailingDestination;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "read-copies-test-"));
  destination = new FailingDestination();
});
afterEach(() => rmSync(scratch, { recursive: true }));

/** Store a real archive of one small file, `etc/fstab`, recorded as `recorded` says. */
async function stored(
  recorded: Partial<FilesCopy> = {},
  change = (bytes: Buffer): Buffer => bytes,
): Promise<FilesCopy> {
  const tree = mkdtempSync(join(scratch, "tree-"));
  execFileSync("mkdir", [join(tree, "etc")]);
  writeFileSync(join(tree, "etc", "fstab"), "# nothing\n");
  const archive = change(execFileSync("tar", ["-C", tree, "-czf", "-", "etc"]));
  const shelf = shelfOn(destination, "files");
  const copy = filesCopy(at(1));
  const describe = (digest: { bytes: number; sha256: string }) => ({ ...copy, ...digest, ...recorded });
  const { status } = await storeCopy(shelf, { key: copy.key, content: chunks(archive), describe }, { signal });
  return status.copies[0] ?? copy;
}

const explainOf = (copy: FilesCopy) => (error: unknown) => explainDecoding(error, copy.key, DECODERS);

async function restore(copy: FilesCopy, paths: readonly string[] = []): Promise<void> {
  const tar = await openTar({ signal });
  await restoreFile({
    destination,
    copy,
    decoders: DECODERS,
    explain: explainOf(copy),
    idleSeconds: 0,
    signal,
    target: join(scratch, "target"),
    unpack: (directory) => extractCommand(tar, { directory, paths }),
    isMissing: isNotInArchive,
  });
}

async function verify(copy: FilesCopy, doubt?: "gone") {
  return verifyFile(copy, doubt, {
    shelf: shelfOn(destination, "files"),
    open: async () => ({ decoders: DECODERS, explain: explainOf(copy), async [Symbol.asyncDispose]() {} }),
    list: listCommand(await openTar({ signal })),
    idleSeconds: 0,
    signal,
  });
}

/** What the manifest of a copy says of the last verify. */
async function described({ key }: FilesCopy): Promise<FilesCopy["verified"]> {
  return (await shelfOn(destination, "files").manifests.read(key, { signal }))?.verified;
}

async function recorded(): Promise<FilesCopy | undefined> {
  return (await shelfOn(destination, "files").status.load({ signal })).status.copies[0];
}

const ZEROS = "0".repeat(64);

describe("restoreFile()", () => {
  test("restoreFile() brings back what was stored", async () => {
    await restore(await stored());
    expect(readFileSync(join(scratch, "target", "etc", "fstab"), "utf8")).toBe("# nothing\n");
  });

  test.each([
    ["another digest", { sha256: ZEROS }, "its SHA-256 is"],
    ["another size", { bytes: 3 }, "3 were recorded"],
  ])("restoreFile() leaves nothing of a copy that has %s than was recorded", async (_what, facts, words) => {
    const copy = await stored(facts);
    await expect(restore(copy)).rejects.toMatchObject({
      code: "DATA_DAMAGED",
      message: expect.stringContaining(words) as string,
    });
    expect(readdirSync(scratch).filter((name) => !name.startsWith("tree-"))).toEqual([]);
  });

  test("restoreFile() calls what the decoder refuses damaged", async () => {
    const copy = await stored({ bytes: undefined, sha256: undefined }, (bytes) => bytes.subarray(0, -12));
    await expect(restore({ ...copy, bytes: undefined, sha256: undefined })).rejects.toMatchObject({
      code: "DATA_DAMAGED",
    });
    expect(existsSync(join(scratch, "target"))).toBe(false);
  });

  test("restoreFile() names the path that is not in the copy", async () => {
    const copy = await stored();
    await expect(restore(copy, ["/etc/passwd"])).rejects.toMatchObject({
      code: "NOT_FOUND",
      message: `Cannot restore "etc/passwd": it is not in "${copy.key}"`,
    });
  });
});

describe("verifyFile()", () => {
  test("verifyFile() records that a copy is good", async () => {
    const { error } = await verify(await stored());
    expect(error).toBeUndefined();
    expect((await recorded())?.verified).toMatchObject({ ok: true, level: "checksum" });
  });

  test("verifyFile() records that a copy is not", async () => {
    const copy = await stored({ sha256: ZEROS });
    const { error } = await verify(copy);
    expect(error).toMatchObject({ code: "DATA_DAMAGED" });
    expect((await recorded())?.verified).toMatchObject({ ok: false });
    expect(await described(copy)).toMatchObject({ ok: false });
  });

  test("verifyFile() takes back in the manifest what a verify found wrong before", async () => {
    const copy = await stored();
    const failed = { at: at(2), ok: false, level: "checksum" };
    await recordFindings(shelfOn(destination, "files"), {
      keys: [copy.key],
      change: (now) => withVerification(now, copy.key, failed),
      signal,
    });
    expect(await described(copy)).toEqual(failed);
    expect((await verify(copy)).error).toBeUndefined();
    expect(await described(copy)).toMatchObject({ ok: true });
  });

  test("verifyFile() records a copy that is gone, without reading it", async () => {
    const { error } = await verify(await stored(), "gone");
    expect(error).toMatchObject({ code: "NOT_FOUND", hint: expect.any(String) as string });
    expect((await recorded())?.verified).toMatchObject({ ok: false });
  });

  test("verifyFile() says nothing about a copy that could not be reached", async () => {
    const copy = await stored();
    destination.faults.push({ on: "get", error: unreachable() });
    expect((await verify(copy)).error).toMatchObject({ code: "UNREACHABLE" });
    expect((await recorded())?.verified).toBeUndefined();
  });

  test("verifyFile() tells a result that it may not record", async () => {
    const copy = await stored();
    destination.faults.push({
      on: "replaceSmall",
      error: new BackupError("NOT_PERMITTED", 'Cannot replace "x": read-only'),
    });
    expect(await verify(copy)).toMatchObject({ error: undefined, unrecorded: { code: "NOT_PERMITTED" } });
  });
});

import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readReport, unframe, uploadScript } from "../../../src/destination/ssh-program-transport.ts";
import { betweenMarkers, PROBE, readProbe } from "../../../src/destination/ssh-shell.ts";
import { chunks, collect } from "../../support/streams.ts";

const MARKER = "twindb-marker";
const SHELL = { hasher: "sha256sum", tee: "tee", canSync: true };
let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "ssh-transport-"));
});
afterAll(() => rmSync(dir, { recursive: true }));

function frame(bytes: number) {
  return { bytes, marker: MARKER, path: "/x" };
}

function runUpload(path: string, input: Buffer, shell = SHELL) {
  return spawnSync("/bin/sh", ["-c", uploadScript(shell), "sh", MARKER, path], { input, encoding: "buffer" });
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

test.each([
  ["in one chunk", [`Welcome!\nno newline\n${MARKER}\nhello${MARKER}\nBye\n`]],
  ["in single bytes", `junk\n${MARKER}\nhello${MARKER}\n`.split("")],
  ["without noise", [`\n${MARKER}\nhello${MARKER}\n`]],
])("unframe() finds the content %s", async (_, parts) => {
  expect((await collect(unframe(chunks(...parts), frame(5)))).toString()).toBe("hello");
});

test("unframe() keeps a marker that is content", async () => {
  const content = `\n${MARKER}\n`;
  const said = chunks(`\n${MARKER}\n${content}${MARKER}\n`);
  expect((await collect(unframe(said, frame(content.length)))).toString()).toBe(content);
});

test.each([
  ["fewer bytes", `\n${MARKER}\nhell${MARKER}\n`],
  ["more bytes", `\n${MARKER}\nhello!${MARKER}\n`],
  ["no end", `\n${MARKER}\nhello`],
  ["half an end", `\n${MARKER}\nhello${MARKER.slice(0, 4)}`],
  ["no start", "hello"],
  ["nothing", ""],
])("unframe() throws for %s", async (_, said) => {
  await expect(collect(unframe(chunks(said), frame(5)))).rejects.toMatchObject({ code: "DATA_DAMAGED" });
});

test("unframe() gives up on a far side that only chatters", async () => {
  async function* chatter() {
    for (;;) yield Buffer.alloc(100_000, "chatter ");
  }
  await expect(collect(unframe(chatter(), frame(5)))).rejects.toMatchObject({ code: "DATA_DAMAGED" });
});

test.each(["sha256sum", "openssl dgst -sha256 -r"])("uploadScript() writes and hashes with %s", (hasher) => {
  const path = join(dir, `it's a "file" ${hasher[0]}`);
  const input = Buffer.alloc(300_000, "x");
  const { status, stdout } = runUpload(path, input, { ...SHELL, hasher });
  expect(status).toBe(0);
  expect(readReport(betweenMarkers(stdout.toString(), MARKER) ?? "", path)).toEqual({
    bytes: input.length,
    sha256: sha256(input),
  });
  expect(readFileSync(path).equals(input)).toBe(true);
});

test("uploadScript() refuses a file that is there", () => {
  const path = join(dir, "taken");
  writeFileSync(path, "old");
  expect(runUpload(path, Buffer.from("new")).status).toBe(73);
  expect(readFileSync(path, "utf8")).toBe("old");
});

test.each([
  ["a hasher that fails", { hasher: "sh -c 'cat >/dev/null; exit 3'" }],
  ["a hasher that dies at once", { hasher: "false" }],
])("uploadScript() does not vouch for %s", (_, broken) => {
  const path = join(dir, `broken ${broken.hasher.length}`);
  const { stdout } = runUpload(path, Buffer.alloc(1_000_000), { ...SHELL, ...broken });
  expect(() => readReport(betweenMarkers(stdout.toString(), MARKER) ?? "", path)).toThrow("the far side reports");
});

test("uploadScript() fails when tee cannot write", () => {
  const tee = join(dir, "full-tee");
  writeFileSync(tee, '#!/bin/sh\ncat\necho "tee: $1: No space left on device" >&2\nexit 1\n');
  chmodSync(tee, 0o755);
  const { status, stderr } = runUpload(join(dir, "full"), Buffer.alloc(10), { ...SHELL, tee });
  expect([status, stderr.toString()]).toEqual([74, expect.stringContaining("No space left")]);
});

test("uploadScript() removes the file when nobody is left to hear the report", () => {
  const path = join(dir, "deaf");
  execFileSync("bash", [
    "-c",
    `echo data | sh -c "$1" sh m "$2" 2>/dev/null | exec <&- sleep 0.2`,
    "-",
    `sleep 0.4; ${uploadScript(SHELL)}`,
    path,
  ]);
  expect(existsSync(path)).toBe(false);
});

test("readProbe() understands what this machine's shell says", () => {
  const said = execFileSync("/bin/sh", ["-c", PROBE, "sh", MARKER], { encoding: "utf8" });
  expect(readProbe(betweenMarkers(`Welcome${said}`, MARKER) ?? "")).toMatchObject({
    tee: "tee --output-error=exit",
    canSync: true,
  });
});

test("readProbe() prefers openssl, and is content with plain tools", () => {
  expect(readProbe("hasher=openssl dgst -sha256 -r\nhasher=sha256sum\ntee=tee\ncat=cat\n")).toEqual({
    hasher: "openssl dgst -sha256 -r",
    tee: "tee",
    canSync: false,
  });
  expect(readProbe("hasher=sha256sum\ncat=cat\n")).toBeUndefined();
  expect(readProbe("")).toBeUndefined();
});

test("betweenMarkers() needs both", () => {
  expect(betweenMarkers("a\nm\nb\nm\nc", "m")).toBe("b\n");
  expect(betweenMarkers("a\nm\nb", "m")).toBeUndefined();
});

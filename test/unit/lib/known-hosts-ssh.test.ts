import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  fingerprint,
  judgeHostKey,
  keyType,
  knownTypes,
  parseKnownHosts,
  rememberHostKey,
} from "../../../src/lib/known-hosts.ts";

let dir: string;
let publicKeys: { ed25519: string; ecdsa: string; other: string };

function makeKey(name: string, type: string): string {
  execFileSync("ssh-keygen", ["-q", "-t", type, "-N", "", "-C", "", "-f", join(dir, name)]);
  return readFileSync(join(dir, `${name}.pub`), "utf8").trim();
}

function blob(publicKey: string): Buffer {
  return Buffer.from(publicKey.split(" ")[1] ?? "", "base64");
}

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "known-hosts-"));
  publicKeys = { ed25519: makeKey("a", "ed25519"), ecdsa: makeKey("b", "ecdsa"), other: makeKey("c", "ed25519") };
});

afterAll(() => rmSync(dir, { recursive: true }));

function judge(text: string, key: string, at: [host?: string, port?: number] = []): string {
  const [host = "db7", port = 22] = at;
  return judgeHostKey(parseKnownHosts(text), { host, port }, blob(key));
}

test("judgeHostKey() knows a host by its name, in any case", () => {
  expect(judge(`db7 ${publicKeys.ed25519}`, publicKeys.ed25519)).toBe("known");
  expect(judge(`DB7,10.0.0.1 ${publicKeys.ed25519}`, publicKeys.ed25519, ["Db7"])).toBe("known");
});

test("judgeHostKey() calls another key of a known host changed, whatever its type", () => {
  expect(judge(`db7 ${publicKeys.ed25519}`, publicKeys.other)).toBe("changed");
  expect(judge(`db7 ${publicKeys.ed25519}`, publicKeys.ecdsa)).toBe("changed");
});

test("judgeHostKey() accepts each of several keys", () => {
  const text = `db7 ${publicKeys.ed25519}\ndb7 ${publicKeys.ecdsa}\n`;
  expect(judge(text, publicKeys.ecdsa)).toBe("known");
  expect(knownTypes(parseKnownHosts(text), { host: "db7", port: 22 })).toEqual(["ssh-ed25519", "ecdsa-sha2-nistp256"]);
});

test("judgeHostKey() tells ports apart, and falls back to an entry without a port", () => {
  expect(judge(`[db7]:2222 ${publicKeys.ed25519}`, publicKeys.ed25519, ["db7", 2222])).toBe("known");
  expect(judge(`[db7]:2222 ${publicKeys.ed25519}`, publicKeys.ed25519)).toBe("unknown");
  expect(judge(`db7 ${publicKeys.ed25519}`, publicKeys.ed25519, ["db7", 2222])).toBe("known");
  expect(judge(`db7 ${publicKeys.ed25519}`, publicKeys.other, ["db7", 2222])).toBe("unknown");
  const both = `[db7]:2222 ${publicKeys.other}\ndb7 ${publicKeys.ed25519}`;
  expect(judge(both, publicKeys.ed25519, ["db7", 2222])).toBe("changed");
});

test("judgeHostKey() reads names that ssh-keygen hashed", () => {
  const file = join(dir, "hashed");
  writeFileSync(file, `db7 ${publicKeys.ed25519}\n[db8]:2222 ${publicKeys.ecdsa}\n`);
  execFileSync("ssh-keygen", ["-H", "-f", file], { stdio: "ignore" });
  const text = readFileSync(file, "utf8");
  expect(text).not.toContain("db7");
  expect(judge(text, publicKeys.ed25519)).toBe("known");
  expect(judge(text, publicKeys.ecdsa, ["db8", 2222])).toBe("known");
  expect(judge(text, publicKeys.ed25519, ["db9"])).toBe("unknown");
});

test("judgeHostKey() reads wildcards and their exceptions, and dots as dots", () => {
  const text = `*.example.com,!bad.example.com,db? ${publicKeys.ed25519}`;
  expect(judge(text, publicKeys.ed25519, ["a.example.com"])).toBe("known");
  expect(judge(text, publicKeys.ed25519, ["bad.example.com"])).toBe("unknown");
  expect(judge(text, publicKeys.ed25519, ["db7"])).toBe("known");
  expect(judge(text, publicKeys.ed25519, ["axexample.com"])).toBe("unknown");
});

test("judgeHostKey() refuses a revoked key, known or not", () => {
  expect(judge(`@revoked * ${publicKeys.ed25519}\ndb7 ${publicKeys.ed25519}`, publicKeys.ed25519)).toBe("revoked");
  expect(judge(`@revoked * ${publicKeys.ed25519}`, publicKeys.other)).toBe("unknown");
});

test("judgeHostKey() ignores comments, junk and certificate authorities", () => {
  const text = `# db7 ${publicKeys.ed25519}\n\njunk\n@cert-authority db7 ${publicKeys.ed25519}\n`;
  expect(judge(text, publicKeys.ed25519)).toBe("unknown");
});

test("fingerprint() is the one ssh-keygen prints", () => {
  const printed = execFileSync("ssh-keygen", ["-l", "-f", join(dir, "a.pub")], { encoding: "utf8" });
  expect(printed).toContain(fingerprint(blob(publicKeys.ed25519)));
  expect(keyType(blob(publicKeys.ecdsa))).toBe("ecdsa-sha2-nistp256");
});

test("rememberHostKey() appends a line that OpenSSH finds, after a line without an end", async () => {
  const file = join(dir, "new", "known_hosts");
  await rememberHostKey(file, { host: "db7", port: 2222 }, blob(publicKeys.ed25519));
  writeFileSync(file, readFileSync(file, "utf8").trimEnd());
  await rememberHostKey(file, { host: "db8", port: 22 }, blob(publicKeys.ecdsa));
  expect(execFileSync("ssh-keygen", ["-F", "[db7]:2222", "-f", file], { encoding: "utf8" })).toContain("ssh-ed25519");
  expect(execFileSync("ssh-keygen", ["-F", "db8", "-f", file], { encoding: "utf8" })).toContain("ecdsa");
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

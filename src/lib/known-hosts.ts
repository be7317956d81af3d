import { createHash, createHmac } from "node:crypto";
import { open, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { BackupError } from "../domain/errors.ts";
import { makeDirectories } from "./directories.ts";

/** One line of a known_hosts file (format: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
export type KnownHost = {
  /** Patterns as written, or one hashed name. */
  readonly patterns: readonly string[];
  readonly revoked: boolean;
  /** Such as `ssh-ed25519`. */
  readonly type: string;
  /** The key, base64 of its wire form. */
  readonly key: string;
};

/** A host and port as it is connected to. */
export type HostPort = { readonly host: string; readonly port: number };

/** What known_hosts says of a key that a host showed. */
export type KeyVerdict = "known" | "unknown" | "changed" | "revoked";

/** Lines that make no sense are skipped, as OpenSSH does. Certificate authorities are not supported and skipped too. */
export function parseKnownHosts(text: string): KnownHost[] {
  return text.split("\n").flatMap((line) => {
    const words = line.trim().split(/\s+/);
    const marker = words[0]?.startsWith("@") ? words.shift() : undefined;
    const [patterns = "", type, key] = words;
    if (patterns.startsWith("#") || type === undefined || key === undefined) return [];
    if (marker !== undefined && marker !== "@revoked") return [];
    return [{ patterns: patterns.split(","), revoked: marker === "@revoked", type, key }];
  });
}

/** The name under which a host is filed: `db7`, or `[db7]:2222` when the port is not 22. */
export function knownName({ host, port }: HostPort): string {
  const name = host.toLowerCase();
  return port === 22 ? name : `[${name}]:${port}`;
}

/** The wire form begins with the length and name of the type. */
export function keyType(key: Uint8Array): string {
  const bytes = Buffer.from(key);
  return bytes.toString("latin1", 4, 4 + bytes.readUInt32BE(0));
}

/** As OpenSSH prints it: `SHA256:` and unpadded base64. */
export function fingerprint(key: Uint8Array): string {
  return `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;
}

/** Judge the key that a host showed; `changed` means that only other keys of this host are known. */
export function judgeHostKey(known: readonly KnownHost[], at: HostPort, key: Uint8Array): KeyVerdict {
  const shown = Buffer.from(key).toString("base64");
  const named = known.filter((entry) => matches(entry, knownName(at)));
  // As OpenSSH: a key filed without a port also speaks for the other ports of that host.
  const portless = known.filter((entry) => matches(entry, at.host.toLowerCase()));
  if ([...named, ...portless].some((entry) => entry.revoked && entry.key === shown)) return "revoked";
  const accepted = named.some((entry) => !entry.revoked) ? named : portless;
  if (accepted.some((entry) => !entry.revoked && entry.key === shown)) return "known";
  return named.some((entry) => !entry.revoked) ? "changed" : "unknown";
}

/** Types of the keys known for a host, so that it can be asked to show one of these. */
export function knownTypes(known: readonly KnownHost[], at: HostPort): string[] {
  const names = [knownName(at), at.host.toLowerCase()];
  const types = names.flatMap((name) =>
    known.filter((entry) => !entry.revoked && matches(entry, name)).map(({ type }) => type),
  );
  return [...new Set(types)];
}

/** Read known_hosts files; one that is missing is empty. */
export async function readKnownHosts(files: readonly string[]): Promise<KnownHost[]> {
  const texts = await Promise.all(files.map(readOrEmpty));
  return texts.flatMap(parseKnownHosts);
}

/** Add a key to a known_hosts file, durably. The file and its directory are made when missing. */
export async function rememberHostKey(file: string, at: HostPort, key: Uint8Array): Promise<void> {
  try {
    const line = `${knownName(at)} ${keyType(key)} ${Buffer.from(key).toString("base64")}\n`;
    const before = await readOrEmpty(file);
    await makeDirectories(dirname(file), 0o700);
    await using handle = await open(file, "a", 0o600);
    await handle.appendFile(before === "" || before.endsWith("\n") ? line : `\n${line}`);
    await handle.sync();
  } catch (cause) {
    throw new BackupError("NOT_PERMITTED", `Cannot record a host key in "${file}": ${(cause as Error).message}`, {
      hint: "Make the file writable, or add the key of the host by hand.",
      cause,
    });
  }
}

async function readOrEmpty(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw new BackupError("NOT_PERMITTED", `Cannot read "${file}": ${(cause as Error).message}`, {
      hint: "Make the file with the known host keys readable.",
      cause,
    });
  }
}

function matches({ patterns }: KnownHost, name: string): boolean {
  if (patterns.some((pattern) => pattern.startsWith("!") && matchesPattern(pattern.slice(1), name))) return false;
  return patterns.some((pattern) => matchesPattern(pattern, name));
}

function matchesPattern(pattern: string, name: string): boolean {
  if (pattern.startsWith("|1|")) return matchesHash(pattern, name);
  const source = pattern
    .toLowerCase()
    .replaceAll(/[\\^$.+()[\]{}|/-]/g, String.raw`\$&`)
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${source}$`, "s").test(name);
}

/** `|1|salt|hash`: base64 of an HMAC-SHA1 of the name, keyed with the salt. */
function matchesHash(pattern: string, name: string): boolean {
  const [, , salt = "", hash = ""] = pattern.split("|");
  return createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest("base64") === hash;
}

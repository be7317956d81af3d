import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { BackupError } from "../domain/errors.ts";

/** A config file is text for people; more is a mistake. */
const LIMIT_BYTES = 1024 * 1024;
const WRITABLE_BY_OTHERS = 0o022;
const READABLE_BY_OTHERS = 0o044;

/** The text of a config file, and whether other users of the machine can read it. */
export type ConfigFile = { readonly text: string; readonly isReadableByOthers: boolean };

/** Whoever can write the file decides what root runs, so it must belong to `uid` or to root. */
type Reader = { readonly uid: number };

/** Read a config file that nobody else can have changed. @throws {BackupError} CONFIG_INVALID with what to do. */
export async function readConfigFile(path: string, { uid }: Reader): Promise<ConfigFile> {
  await using file = await openFile(path);
  const { mode, size } = await check(path, file, uid);
  const bytes = new Uint8Array(size);
  const { bytesRead } = await file.read(bytes, 0, size, 0);
  return {
    text: decode(path, bytes.subarray(0, bytesRead)),
    isReadableByOthers: (mode & READABLE_BY_OTHERS) !== 0,
  };
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    // Without O_NONBLOCK, opening a named pipe would wait for ever.
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw refusal(path, ...explanationOf(cause));
  }
}

function explanationOf(cause: unknown): [what: string, facts: { hint: string; cause: unknown }] {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (code === "ENOENT") {
    return ["there is no such file", { hint: 'Run "twindb-backup init" to write one.', cause }];
  }
  if (code === "EACCES") return ["reading it is not permitted", { hint: "Run the command as root.", cause }];
  return [`it cannot be opened (${String(code)})`, { hint: "Name another file with --config.", cause }];
}

async function check(path: string, file: FileHandle, uid: number): Promise<{ mode: number; size: number }> {
  const stat = await file.stat();
  const another = { hint: "Name a config file with --config." };
  if (stat.isDirectory()) throw refusal(path, "it is a directory", another);
  if (!stat.isFile()) throw refusal(path, "it is not a regular file", another);
  if (stat.uid !== 0 && stat.uid !== uid) {
    throw refusal(path, `it belongs to user ${stat.uid}, who could change it`, { hint: `Run "chown ${uid} ${path}".` });
  }
  if ((stat.mode & WRITABLE_BY_OTHERS) !== 0) {
    const octal = (stat.mode & 0o777).toString(8).padStart(4, "0");
    throw refusal(path, `other users may write it (mode ${octal})`, { hint: `Run "chmod 0600 ${path}".` });
  }
  if (stat.size > LIMIT_BYTES) throw refusal(path, `it is larger than ${LIMIT_BYTES} bytes`, another);
  return stat;
}

function decode(path: string, bytes: Uint8Array): string {
  const at = firstInvalidByte(bytes);
  if (at === undefined) return new TextDecoder().decode(bytes);
  const line = bytes.subarray(0, at).filter((byte) => byte === 0x0a).length + 1;
  throw refusal(path, `byte ${at + 1} (line ${line}) is not UTF-8`, { hint: "Save the file with the encoding UTF-8." });
}

/** Offset of the first byte that is not UTF-8: where decoding puts a replacement that the bytes do not hold. */
function firstInvalidByte(bytes: Uint8Array): number | undefined {
  const pieces = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes).split("\uFFFD");
  let offset = 0;
  for (const piece of pieces.slice(0, -1)) {
    offset += Buffer.byteLength(piece);
    if (Buffer.compare(bytes.subarray(offset, offset + 3), Buffer.from("\uFFFD")) !== 0) return offset;
    offset += 3;
  }
  return undefined;
}

function refusal(path: string, what: string, facts: { hint: string; cause?: unknown }): BackupError {
  return new BackupError("CONFIG_INVALID", `Cannot load "${path}": ${what}`, facts);
}

import { BackupError } from "../domain/errors.ts";
import { type ByteStream, type Digest, Measured } from "../lib/bytes.ts";
import { inOrder } from "../lib/in-order.ts";
import type { Handle } from "../lib/sftp.ts";
import { shellCommand } from "../lib/shell-quote.ts";
import { abortable } from "./abortable.ts";
import type { CallOptions } from "./destination.ts";
import type { Far } from "./ssh-far.ts";
import { betweenMarkers, type FarShell, newMarker } from "./ssh-shell.ts";
import { type FileTransport, wrongSize } from "./ssh-transport.ts";

/** Blocks in flight: 2 MiB, which fills a line of 160 Mbit/s at 100 ms. */
const WINDOW = 8;

/** Files through SFTP alone, hashed on this side; where the far side has a shell it hashes what it stored, too. */
export function sftpTransport(far: Far, shell: FarShell | undefined): FileTransport {
  return {
    name: "sftp",
    digest: shell === undefined ? "near" : "both",
    upload: async (path, content, options) => {
      const digest = await upload(far, { ...options, content, path });
      if (shell !== undefined) await confirm(far, digest, { ...options, shell, path });
      return digest;
    },
    download: (path, options) => receive(far, path, options),
  };
}

async function upload(far: Far, sending: Sending): Promise<Digest> {
  const handle = await far.sftp.open(sending.path, "wx", sending);
  try {
    const digest = await send(far, handle, sending);
    await far.sftp.close(handle, sending);
    return digest;
  } catch (error) {
    // The first failure is the one to tell; the far side closes the file with the connection at the latest.
    await far.sftp.close(handle, { signal: AbortSignal.timeout(1000) }).catch(() => undefined);
    throw error;
  }
}

type Sending = CallOptions & { readonly content: ByteStream; readonly path: string };

async function send(far: Far, handle: Handle, { content, path, signal }: Sending): Promise<Digest> {
  const measured = new Measured(content, path);
  const ended = AbortSignal.any([signal, far.lost]);
  const writes: Promise<void>[] = [];
  let at = 0;
  for await (const block of blocks(abortable(measured, ended), far.sftp.blockBytes)) {
    const write = far.sftp.write(handle, block, { signal, at });
    write.catch(() => {
      // It is seen when its turn comes; until then it must not count as unhandled.
    });
    writes.push(write);
    at += block.length;
    if (writes.length >= WINDOW) await writes.shift();
  }
  await Promise.all(writes);
  return measured.digest();
}

/** Copies of the content in blocks of one size, the last one excepted. */
async function* blocks(content: ByteStream, blockBytes: number): AsyncGenerator<Buffer, void> {
  let block = Buffer.allocUnsafeSlow(blockBytes);
  let filled = 0;
  for await (const chunk of content) {
    for (let taken = 0; taken < chunk.length; ) {
      const part = chunk.subarray(taken, taken + blockBytes - filled);
      block.set(part, filled);
      filled += part.length;
      taken += part.length;
      if (filled < blockBytes) continue;
      yield block;
      block = Buffer.allocUnsafeSlow(blockBytes);
      filled = 0;
    }
  }
  if (filled > 0) yield block.subarray(0, filled);
}

async function* receive(
  far: Far,
  path: string,
  { bytes, signal }: CallOptions & { readonly bytes: number },
): AsyncGenerator<Uint8Array, void> {
  const { sftp } = far;
  const handle = await sftp.open(path, "r", { signal });
  try {
    // One byte more than expected shows that the file has grown.
    const reads = steps(bytes + 1, sftp.blockBytes).map(
      (at) => () => sftp.read(handle, sftp.blockBytes, { signal, at }),
    );
    let left = bytes;
    for await (const block of inOrder(reads, WINDOW)) {
      left -= block.length;
      if (block.length > 0) yield block;
    }
    if (left !== 0) throw wrongSize(path, bytes);
  } finally {
    // What was read is complete or has failed by now; closing changes neither.
    await sftp.close(handle, { signal: AbortSignal.timeout(1000) }).catch(() => undefined);
  }
}

function* steps(end: number, by: number): Generator<number, void> {
  for (let at = 0; at < end; at += by) yield at;
}

type Confirming = CallOptions & { readonly shell: FarShell; readonly path: string };

/** Compare with what the far side reads back. */
async function confirm(far: Far, digest: Digest, { shell, path, signal }: Confirming): Promise<void> {
  const marker = newMarker();
  const script = `printf "\\n%s\\n" "$1"; ${shell.hasher} <"$2"; printf "%s\\n" "$1"`;
  const { stdout } = await far.session.exec(shellCommand(script, [marker, path]), { signal });
  const stored = betweenMarkers(stdout, marker) ?? "";
  if (new RegExp(String.raw`^\\?${digest.sha256}\b`, "m").test(stored)) return;
  throw new BackupError("DATA_DAMAGED", `Cannot trust "${path}": the far side reads other bytes than were sent`, {
    hint: "Check the memory and the disk of the far host.",
  });
}

import { BackupError } from "../domain/errors.ts";
import type { ByteStream, Digest } from "../lib/bytes.ts";
import { type Command, into, run } from "../lib/command.ts";
import { shellCommand } from "../lib/shell-quote.ts";
import { programFailure, sshProgram } from "../lib/ssh-program.ts";
import type { CallOptions } from "./destination.ts";
import type { Far } from "./ssh-far.ts";
import { betweenMarkers, type FarShell, newMarker } from "./ssh-shell.ts";
import { type FileTransport, wrongSize } from "./ssh-transport.ts";

/** Text that login files may print before the data, at most. */
const NOISE_LIMIT_BYTES = 1024 * 1024;

/**
 * Files through the system's ssh and tools of the far shell. The far side writes and hashes in one pass, so no
 * byte of an upload passes through this process. An upload cut off anywhere looks complete to the far side:
 * only who sees this side succeed may give the file its name.
 */
export function programTransport(far: Far, shell: FarShell): FileTransport {
  const { target } = far.place;
  return {
    name: "ssh program",
    digest: "far",
    upload: async (path, content, options) => {
      const marker = newMarker();
      const command = sshProgram(target, shellCommand(uploadScript(shell), [marker, path]));
      const said = await into(content, command, options).catch((error: unknown) => {
        options.signal.throwIfAborted();
        throw programFailure(error, command, target);
      });
      const report = betweenMarkers(said, marker) ?? "";
      return readReport(report, path);
    },
    download: (path, options) => {
      const marker = newMarker();
      const command = sshProgram(target, shellCommand(DOWNLOAD, [marker, path]));
      return download(far, command, { ...options, marker, path });
    },
  };
}

const DOWNLOAD = 'printf "\\n%s\\n" "$1"; cat "$2" || exit; printf "%s\\n" "$1"';

/**
 * Refuse a file that is there, then write and hash stdin. POSIX shells do not tell how the members of a pipe
 * ended, so each status goes through descriptor 5 into the report.
 */
export function uploadScript({ tee, hasher }: FarShell): string {
  return [
    "umask 077; set -C",
    'true >"$2" || exit 73',
    `said=$({ { ${tee} "$2"; echo "tee $?" >&5; } | ${hasher}; echo "hash $?" >&5; } 5>&1; echo "size" $(wc -c <"$2"))`,
    // A connection that was cut may have been so before the file was there for us to remove.
    'trap "" PIPE',
    'printf "\\n%s\\n%s\\n%s\\n" "$1" "$said" "$1" || rm -f "$2"',
    'case $said in *"tee 0"*) exit 0;; *) exit 74;; esac',
  ].join("; ");
}

/** What the far side stored, if both programs of its pipe succeeded. */
export function readReport(report: string, path: string): Digest {
  const [, sha256] = /^\\?([0-9a-f]{64})\b/m.exec(report) ?? [];
  const [, size] = /^size (\d+)$/m.exec(report) ?? [];
  const isWhole = /^tee 0$/m.test(report) && /^hash 0$/m.test(report);
  if (isWhole && sha256 !== undefined && size !== undefined) return { bytes: Number(size), sha256 };
  throw new BackupError(
    "FAILED",
    `Cannot write "${path}": the far side reports ${JSON.stringify(report.slice(0, 200))}`,
    { hint: "Check that tee, wc and sha256sum work for that user." },
  );
}

type Framed = CallOptions & { readonly bytes: number; readonly marker: string; readonly path: string };

async function* download(far: Far, command: Command, options: Framed): AsyncGenerator<Uint8Array, void> {
  const said = run(command, { signal: options.signal });
  try {
    yield* unframe(said, options);
  } catch (error) {
    options.signal.throwIfAborted();
    throw programFailure(error, command, far.place.target);
  }
}

/**
 * The content between two markers: everything before the first is noise of login files, and the second proves
 * that the far program read the file to its end.
 * @throws {BackupError} DATA_DAMAGED when exactly `bytes` bytes do not lie between them.
 */
export async function* unframe(
  said: ByteStream,
  { bytes, marker, path }: Pick<Framed, "bytes" | "marker" | "path">,
): AsyncGenerator<Uint8Array, void> {
  const end = Buffer.from(`${marker}\n`);
  let tail = Buffer.alloc(0);
  let left = bytes;
  for await (const chunk of afterMarker(said, marker)) {
    if (left > 0) yield chunk.subarray(0, left);
    if (tail.length < end.length) tail = Buffer.concat([tail, chunk.subarray(left)]);
    left = Math.max(0, left - chunk.length);
  }
  if (!tail.subarray(0, end.length).equals(end)) throw wrongSize(path, bytes);
}

/** What follows the first line that is `marker`; nothing when there is none. */
async function* afterMarker(said: ByteStream, marker: string): AsyncGenerator<Uint8Array, void> {
  const line = Buffer.from(`\n${marker}\n`);
  let noise = Buffer.alloc(0);
  let isContent = false;
  for await (const chunk of said) {
    if (isContent) {
      yield chunk;
      continue;
    }
    noise = Buffer.concat([noise, chunk]);
    const at = noise.indexOf(line);
    isContent = at >= 0;
    if (isContent) yield noise.subarray(at + line.length);
    else if (noise.length > NOISE_LIMIT_BYTES) return;
  }
}

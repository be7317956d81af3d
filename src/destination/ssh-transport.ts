import { BackupError } from "../domain/errors.ts";
import type { ByteStream, Digest } from "../lib/bytes.ts";
import type { CallOptions, Capabilities } from "./destination.ts";

/** How content travels to and from far files. */
export interface FileTransport {
  readonly name: "ssh program" | "sftp";
  readonly digest: Capabilities["digest"];

  /**
   * Write all of `content` to a new far file. When it throws, the file may be there, incomplete.
   * The error of `content` is thrown as it is.
   */
  upload(path: string, content: ByteStream, options: CallOptions): Promise<Digest>;

  /** The `bytes` bytes of a far file; throws when there are fewer or more. */
  download(path: string, options: CallOptions & { readonly bytes: number }): ByteStream;
}

/** A far file is shorter or longer than it was said to be. */
export function wrongSize(path: string, bytes: number): BackupError {
  return new BackupError("DATA_DAMAGED", `Cannot read "${path}": not exactly its ${bytes} bytes arrived`, {
    hint: "Find out whether somebody changes the file, and run the command again.",
  });
}

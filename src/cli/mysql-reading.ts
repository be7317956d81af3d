import { access } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "../config/options.ts";
import type { Destination } from "../destination/destination.ts";
import { nameOf, suffixesOf } from "../domain/names.ts";
import type { Binaries } from "../engine/open.ts";
import type { StoredCopy } from "../job/restore-file.ts";
import type { PartReading } from "../job/unpack-part.ts";
import { decodingOf } from "./decoding.ts";
import { keptKeyOf } from "./find-mysql.ts";
import type { Invocation } from "./invocation.ts";

type Options = {
  readonly config: Config;
  readonly destination: Destination;
  /** Prefer copies that are kept on this host. */
  readonly preferKept: boolean;
  readonly signal: AbortSignal;
};

type Stored = { readonly destination: Destination; readonly stored: StoredCopy; readonly suffixes: readonly string[] };

/** What is needed to know of a copy to read it. */
type Readable = StoredCopy & { readonly suffixes: readonly string[] };

/** How to read copies from the destination. */
export function storedParts(options: Options): (copy: Readable) => Promise<PartReading> {
  return mysqlParts({ ...options, preferKept: false });
}

/** How to read the parts of MySQL copies: from the destination or, where that is wanted, from this host. */
export function mysqlParts({ config, destination, preferKept, signal }: Options) {
  return async (copy: Readable): Promise<PartReading> => {
    const kept = preferKept ? await keptOf(copy, config.keepLocalPath) : undefined;
    const found = kept ?? { destination, stored: copy, suffixes: copy.suffixes };
    const decoding = await decodingOf(
      found.destination,
      { key: found.stored.key, suffixes: found.suffixes },
      { gpg: config.gpg, signal },
    );
    return {
      decoders: decoding.decoders,
      explain: decoding.explain,
      destination: found.destination,
      stored: found.stored,
      async [Symbol.asyncDispose]() {
        await decoding[Symbol.asyncDispose]();
        if (kept !== undefined) await kept.destination[Symbol.asyncDispose]();
      },
    };
  };
}

/** Size and digest were recorded of what is stored on the destination; they hold for the kept one when it was not encrypted on its way there. */
async function keptOf(copy: Readable, root: string | undefined): Promise<Stored | undefined> {
  if (root === undefined) return undefined;
  const key = keptKeyOf(copy.key);
  const isThere = await access(join(root, key)).then(
    () => true,
    () => false,
  );
  if (!isThere) return undefined;
  const { openLocal } = await import("../destination/local.ts");
  const stored = key === copy.key ? copy : { key, bytes: undefined, sha256: undefined };
  return {
    destination: await openLocal({ kind: "local", directory: root }),
    stored,
    suffixes: suffixesOf(nameOf(key)),
  };
}

/** Programs that the user named: on the command line, else in the config. */
export function mysqlBinaries({ mysql }: Config, { binaries }: Invocation): Binaries {
  return {
    xtrabackup: binaries.xtrabackup ?? mysql?.xtrabackupBinary,
    xbstream: binaries.xbstream ?? mysql?.xbstreamBinary,
  };
}

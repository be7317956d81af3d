import { readFile, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { meaningOf } from "../lib/system-error.ts";
import { includedFiles } from "./include-directory.ts";
import { type Include, includeOf, optionName } from "./option-file.ts";

/** Where servers look for their config, unless they are told another place. */
export const CONFIG_ROOTS = ["/etc/my.cnf", "/etc/mysql/my.cnf"];

/** As deep as the servers follow includes. */
const MAX_DEPTH = 10;

/** No config file is larger; what is stands in the status for ever, with every copy. */
const LIMIT_BYTES = 1024 * 1024;

/** Where config files are read; what it throws has the code of a system error. */
interface ConfigReader {
  /** @throws {Error} with the code ENOENT for a file that is not there. */
  text(path: string): Promise<string>;
  /** Paths of the files that `!includedir` reads, in its order. */
  list(directory: string): Promise<string[]>;
}

export type ServerConfigOptions = {
  /** Files to begin with; one that is not there is no error. */
  readonly roots?: readonly string[];
  /** Told of each file that could not be kept; none of them is a reason to have no copy. */
  readonly warn: (text: string) => void;
  /** The host they are on; this one unless it is given. */
  readonly reader?: ConfigReader;
};

const HERE: ConfigReader = { text: readHere, list: includedFiles };

/** The texts of the server's config files, by absolute path: the roots that exist, and all they include. */
export async function readServerConfig({
  roots = CONFIG_ROOTS,
  warn,
  reader = HERE,
}: ServerConfigOptions): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>();
  const visit = async (path: string, depth: number): Promise<void> => {
    if (texts.has(path) || depth > MAX_DEPTH) return;
    const text = await readText(path, { warn, reader });
    if (text === undefined) return;
    texts.set(path, text);
    for (const line of text.split("\n")) {
      for (const included of await filesOf(includeOf(line), { from: path, warn, reader }))
        await visit(included, depth + 1);
    }
  };
  for (const root of roots) await visit(resolve(root), 0);
  return texts;
}

type Warn = ServerConfigOptions["warn"];
type Reading = { readonly warn: Warn; readonly reader: ConfigReader };

async function filesOf(
  include: Include | undefined,
  { from, warn, reader }: Reading & { readonly from: string },
): Promise<string[]> {
  if (include === undefined) return [];
  const path = resolve(dirname(from), include.path);
  if (include.kind === "file") return [path];
  try {
    return await reader.list(path);
  } catch (error) {
    warnUnlessMissing(path, error, warn);
    return [];
  }
}

async function readText(path: string, { warn, reader }: Reading): Promise<string | undefined> {
  try {
    return await reader.text(path);
  } catch (error) {
    warnUnlessMissing(path, error, warn);
    return undefined;
  }
}

async function readHere(path: string): Promise<string> {
  const stats = await stat(path);
  if (stats.isFile() && stats.size <= LIMIT_BYTES) return readFile(path, "utf8");
  throw new NotKept(`it is ${stats.isFile() ? "larger than 1 MiB" : "not a file"}`);
}

/** A file that is there and is no config file. */
class NotKept extends Error {}

function warnUnlessMissing(path: string, error: unknown, warn: Warn): void {
  if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
  warn(`"${path}" is not kept with the copy: ${error instanceof NotKept ? error.message : meaningOf(error).what}`);
}

/** Names whose last word tells that the value is a secret, such as `password` and `wsrep_sst_auth`. */
const SECRET =
  /(?:^|[-.])(?:\w*password|passwd|passphrase|pass|pwd|secret|token|auth|credentials?|filekey|(?:\w+[-.])*key)\d*$/;

/** Names that look like it and are switches, or paths of files that a restored server needs. */
const HARMLESS =
  /(?:^|[-.])(?:(?:mysql-native|mysql-old|sha256|caching-sha2|old|expired|no-login)-password|(?:ssl|tls|public)-?key|secure-auth)$/;

const MASK = "***";

/**
 * Replace the values of options that look like secrets by `***`, also where they are commented out. Every other byte stays, line ends
 * included; a comment behind such a value goes with it.
 */
export function maskSecrets(text: string): string {
  return text
    .split("\n")
    .map((line) => maskLine(line))
    .join("\n");
}

function maskLine(line: string): string {
  const [before = "", name = ""] = /^[\s#;]*([\w.-]{1,100})\s*=\s*/.exec(line) ?? [];
  const value = line.slice(before.length).trimEnd();
  const option = optionName(name.toLowerCase());
  const isSecret = (SECRET.test(option) && !HARMLESS.test(option)) || /\bidentified\s+(?:by|via|with)\b/i.test(value);
  if (name === "" || value === "" || !isSecret) return line;
  return before + MASK + line.slice(before.length + value.length);
}

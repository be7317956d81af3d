import { BackupError } from "./errors.ts";
import { INTERVALS } from "./interval.ts";
import { type Key, keyProblem, toKey } from "./key.ts";
import { parseCopyKey } from "./names.ts";

/** Version of the manifests we write; a higher one is refused. */
export const MANIFEST_SCHEMA = 1;

/** Folder of the manifests, as a prefix for listing. */
export function manifestPrefix(host: string): string {
  return `${host}/manifest/`;
}

/** Whether a folder, as a listing names it, is that of the manifests of a host. */
export function isManifestFolder(folder: string): boolean {
  return folder === manifestPrefix(folder.slice(0, folder.indexOf("/")));
}

/**
 * What lies beside the copies: `complete` describes a copy; `unfinished` says that the object under the key is no copy,
 * because it is still being written or already being removed.
 */
export type ManifestState = "complete" | "unfinished";

const EXTENSION = { complete: ".json", unfinished: ".unfinished" } as const satisfies Record<ManifestState, string>;

const TIMED = new RegExp(`^(${INTERVALS.join("|")})\\.(files|mysql)\\.(.+)$`, "s");
const BINLOG = /^binlog\.(.+)$/s;

/** Folders are fixed words up to here; what follows may hold dots, so its own slash must not become one. */
function flatten(key: Key): string {
  const [, ...parts] = key.split("/");
  const fixed = parts[0] === "binlog" ? 1 : 2;
  const rest = parts.slice(fixed).join("/").replaceAll("%", "%25").replaceAll("/", "%2F");
  return [...parts.slice(0, fixed), rest].join(".");
}

function pathOf(key: Key, state: ManifestState): string {
  return `${manifestPrefix(key.slice(0, key.indexOf("/")))}${flatten(key)}${EXTENSION[state]}`;
}

function unflatten(flat: string): string | undefined {
  const [, interval, media, timed] = TIMED.exec(flat) ?? [];
  const [, binlog] = BINLOG.exec(flat) ?? [];
  const rest = (timed ?? binlog)?.replaceAll("%2F", "/").replaceAll("%25", "%");
  if (rest === undefined) return undefined;
  return timed === undefined ? `binlog/${rest}` : `${interval}/${media}/${rest}`;
}

/**
 * Where the manifest of the copy under `key` lies: `db7/manifest/daily.files._etc-….tar.gz.json`. No two keys share one: the
 * folders of a key are fixed words, and the slash of an incarnation's folder is written `%2F` (and `%` is `%25`).
 * @throws {BackupError} CONFIG_INVALID when the name would be too long; ask before storing data.
 */
export function manifestKey(key: Key, state: ManifestState = "complete"): Key {
  if (parseCopyKey(key) === undefined) throw new TypeError(`"${key}" is not the key of a copy`);
  const path = pathOf(key, state);
  const problem = keyProblem(path);
  if (problem === undefined) return toKey(path);
  throw new BackupError("CONFIG_INVALID", `Cannot store "${key}": its manifest cannot be named, ${problem}`, {
    hint: "Back up a directory with a shorter path.",
  });
}

/** The copy that a manifest is about, told from where it lies; `undefined` when it is no manifest. */
export function parseManifestKey(path: Key): { readonly key: Key; readonly state: ManifestState } | undefined {
  const [, host, name, extension] = /^([^/]+)\/manifest\/([^/]+)(\.json|\.unfinished)$/s.exec(path) ?? [];
  const rest = name === undefined ? undefined : unflatten(name);
  const text = `${host}/${rest}`;
  if (rest === undefined || keyProblem(text) !== undefined) return undefined;
  const key = toKey(text);
  const state = extension === EXTENSION.complete ? "complete" : "unfinished";
  // A name that we would write differently is none of ours.
  return parseCopyKey(key) !== undefined && pathOf(key, state) === path ? { key, state } : undefined;
}

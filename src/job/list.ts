import type { CallOptions, Destination, Entry } from "../destination/destination.ts";
import { hostsFrom } from "../domain/binlog-heirs.ts";
import type { Copy, Media } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import { type Key, toKey } from "../domain/key.ts";
import { isManifestFolder } from "../domain/manifest.ts";
import { parseCopyKey } from "../domain/names.ts";
import { type Doubt, locateBinlogs, reconcile } from "../domain/reconcile.ts";
import type { Status } from "../domain/status.ts";
import { StatusStore, statusKey } from "../status/store.ts";

/** One copy as a listing shows it. `doubt` says why it cannot be good, `storedBytes` how large its object is. */
export type Listed = {
  readonly copy: Copy;
  readonly doubt: Doubt | undefined;
  readonly storedBytes?: number | undefined;
};

/** A status that is not as it should be: it cannot be read at all, or was damaged or lost and recovered. */
export type StatusTrouble = {
  readonly host: string;
  readonly media: Media;
  readonly kind: "unreadable" | "recovered";
  readonly error: unknown;
};

/** What is on a destination, and what the reader should know about it. */
export type Listing = {
  readonly listed: readonly Listed[];
  readonly warnings: readonly string[];
  /** Every host that there is anything of. */
  readonly hosts: readonly string[];
  readonly troubles: readonly StatusTrouble[];
  /** Where one host is listed: the binary logs of those whose servers took over from it. */
  readonly heirs: readonly Listed[];
};

export type ListOptions = CallOptions & {
  readonly host: string | undefined;
  readonly media: Media | undefined;
  /** A status that cannot be read is one of the `troubles`, and the other ones still appear. */
  readonly isTolerant?: boolean;
};

const ALL: readonly Media[] = ["files", "mysql", "binlog"];

/** The copies of all hosts, or of one: what the status of each says, held against what is there. Changes nothing. */
export async function listCopies(
  destination: Destination,
  { host, media, signal, isTolerant }: ListOptions,
): Promise<Listing> {
  const read = isTolerant === true ? listTolerantly : listHost;
  const entries = await Array.fromAsync(
    destination.list(host === undefined ? "" : `${host}/`, { signal, skip: isManifestFolder }),
  );
  const byHost = Map.groupBy(entries, ({ key }) => key.slice(0, Math.max(0, key.indexOf("/"))));
  const found: HostListing[] = [];
  const hosts: string[] = [];
  for (const [name, objects] of [...byHost].sort(([left], [right]) => (left < right ? -1 : 1))) {
    const there = mediaOf(name, objects);
    if (there.size > 0) hosts.push(name);
    for (const kind of ALL.filter((each) => media === undefined || each === media)) {
      if (there.has(kind)) found.push(await read(destination, { host: name, media: kind, objects, signal }));
    }
  }
  const listed = found.flatMap((each) => each.listed);
  const later = host === undefined ? [] : await listHeirs(destination, { host, listed, signal });
  return {
    hosts,
    listed,
    heirs: later.flatMap((each) => each.listed),
    warnings: [...found, ...later].flatMap(({ warnings }) => warnings),
    troubles: found.flatMap(({ trouble }) => trouble ?? []),
  };
}

/** What cannot be read of another host is a warning: it only says less of how far a copy can be brought forward. */
async function listHeirs(
  destination: Destination,
  { host, listed, signal }: CallOptions & { readonly host: string; readonly listed: readonly Listed[] },
): Promise<HostListing[]> {
  const found: HostListing[] = [];
  const logs = listed.flatMap(({ copy }) => (copy.media === "binlog" ? [copy] : []));
  const read = new Set([host]);
  for (;;) {
    const next = [...hostsFrom(host, logs)].find((each) => !read.has(each));
    if (next === undefined) return found;
    read.add(next);
    const heir = await listHeir(destination, { host: next, signal });
    found.push(heir);
    logs.push(...heir.listed.flatMap(({ copy }) => (copy.media === "binlog" ? [copy] : [])));
  }
}

async function listHeir(destination: Destination, { host, signal }: CallOptions & { readonly host: string }) {
  try {
    const objects = await Array.fromAsync(destination.list(`${host}/`, { signal, skip: isManifestFolder }));
    if (!mediaOf(host, objects).has("binlog")) return { listed: [], warnings: [] };
    return await listHost(destination, { host, media: "binlog", objects, signal });
  } catch (error) {
    signal.throwIfAborted();
    const why = error instanceof Error ? error.message : String(error);
    return { listed: [], warnings: [`the binary logs of "${host}", which took over, cannot be read: ${why}`] };
  }
}

/** What a host has anything of; reading a status that was never written costs round trips. */
function mediaOf(host: string, objects: readonly Entry[]): Set<Media> {
  const statuses = new Map<Key, Media>();
  for (const media of ALL) {
    const file = statusKey(host, media);
    statuses.set(file, media).set(toKey(`${file}.previous`), media);
  }
  const found = new Set<Media>();
  let folder = "";
  for (const { key } of objects) {
    // One name of each folder is enough: it says which media lies there.
    const isNewFolder = folder === "" || !key.startsWith(folder) || key.includes("/", folder.length);
    const media = statuses.get(key) ?? (isNewFolder ? parseCopyKey(key)?.media : undefined);
    if (isNewFolder) folder = key.slice(0, key.lastIndexOf("/") + 1);
    if (media !== undefined) found.add(media);
  }
  return found;
}

type HostOptions = CallOptions & { readonly host: string; readonly media: Media; readonly objects: readonly Entry[] };

type HostListing = Pick<Listing, "listed" | "warnings"> & { readonly trouble?: StatusTrouble };

async function listTolerantly(destination: Destination, options: HostOptions): Promise<HostListing> {
  const { host, media, signal } = options;
  try {
    return await listHost(destination, options);
  } catch (error) {
    signal.throwIfAborted();
    return { listed: [], warnings: [], trouble: { host, media, kind: "unreadable", error } };
  }
}

async function listHost(destination: Destination, { host, media, objects, signal }: HostOptions): Promise<HostListing> {
  const { status, warnings, doubtful } = await new StatusStore(destination, { host, media }).load({ signal });
  const binlogs = status.copies.filter((copy) => copy.media === "binlog");
  const located: Status<Copy> = media === "binlog" ? locateBinlogs({ copies: binlogs }, objects) : status;
  const doubts = reconcile(located, objects);
  const sizes = new Map(objects.map(({ key, bytes }) => [key, bytes]));
  const listed = located.copies.map((copy) => ({
    copy,
    doubt: doubts.get(copy.key),
    storedBytes: sizes.get(copy.key),
  }));
  if (!doubtful) return { listed, warnings };
  const error = new BackupError("DATA_DAMAGED", warnings[0] ?? `Cannot trust the ${media} status of "${host}"`, {
    hint: `Run "twindb-backup status rebuild --hostname ${host}" to build it anew from what lies on the destination.`,
  });
  return { listed, warnings, trouble: { host, media, kind: "recovered", error } };
}

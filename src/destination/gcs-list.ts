import type { Driver, DriverCall, StoredObject, UnfinishedUpload } from "./driver.ts";
import type { GcsFound } from "./gcs-answer.ts";
import type { GcsClient, GcsRequest } from "./gcs-client.ts";
import { behindFolder, foldersOf, partPrefix } from "./gcs-names.ts";
import { asOne, Joiner, missingPart, type PartSet, partSet, type Seen } from "./gcs-parts.ts";

/** As many as the server gives at once. */
const PAGE_OBJECTS = "1000";

const FIELDS = "items(name,size,timeCreated,generation),nextPageToken";

type ListCall = Parameters<Driver["list"]>[1] & { readonly doing: GcsRequest["doing"] };

/** Where a page begins; `startOffset` goes with every page after it. */
type Place = { readonly pageToken?: string | undefined; readonly startOffset?: string | undefined };

/** The pages of a listing, in the store's order, which is that of the bytes of the names. */
async function* pages(
  client: GcsClient,
  prefix: string,
  { signal, skip, doing }: ListCall,
): AsyncGenerator<readonly GcsFound[], void> {
  let place: Place | undefined = {};
  while (place !== undefined) {
    const query = { prefix: client.nameOf(prefix), maxResults: PAGE_OBJECTS, fields: FIELDS, ...place };
    const url = client.url(undefined, query);
    const page = (await client.json({ method: "GET", url, expect: [200], doing, signal })) ?? {};
    const items = Array.isArray(page["items"]) ? (page["items"] as readonly Readonly<Record<string, unknown>>[]) : [];
    const found = items.map((item) => client.found(item, doing));
    yield found;
    const next = page["nextPageToken"];
    if (typeof next !== "string" || next === "") return;
    if (next === place.pageToken) throw client.broken(new Error("the listing does not get on"), doing);
    const folder = skippedFolder(found.at(-1)?.key, skip);
    // The rest of a folder that nobody wants is jumped over.
    place = folder === undefined ? { ...place, pageToken: next } : { startOffset: client.nameOf(behindFolder(folder)) };
  }
}

function skippedFolder(key: string | undefined, skip: ListCall["skip"]): string | undefined {
  return key === undefined || skip === undefined ? undefined : foldersOf(key).find((folder) => skip(folder));
}

/** Objects and sets of parts, whole or not. */
async function* seen(client: GcsClient, prefix: string, options: ListCall): AsyncGenerator<Seen, void> {
  const joiner = new Joiner();
  for await (const page of pages(client, prefix, options)) {
    for (const object of page) yield* joiner.add(object);
  }
  yield* joiner.flush();
}

/** See `Driver.list()`. A copy of the predecessor is one object; one whose parts are not all there is none. */
export async function* listObjects(
  client: GcsClient,
  prefix: string,
  options: Parameters<Driver["list"]>[1],
): AsyncGenerator<StoredObject, void> {
  const doing = { verb: "list", object: prefix === "" ? "/" : prefix } as const;
  for await (const one of seen(client, prefix, { ...options, doing })) {
    if (one.kind === "object") yield bare(one.object);
    // The prefix may end in the names of the parts.
    else if (missingPart(one.set) === undefined && one.set.key.startsWith(prefix)) yield asOne(one.set);
  }
}

function bare({ key, bytes, modifiedAt, version }: StoredObject): StoredObject {
  return { key, bytes, modifiedAt, version };
}

/** What is left of sets whose removal was interrupted. A set that lacks another part than the first was not left by us. */
export async function* listRemains(
  client: GcsClient,
  prefix: string,
  options: DriverCall,
): AsyncGenerator<UnfinishedUpload, void> {
  const doing = { verb: "list", object: prefix === "" ? "/" : prefix } as const;
  for await (const one of seen(client, prefix, { ...options, doing })) {
    if (one.kind === "object" || missingPart(one.set) !== 0 || !one.set.key.startsWith(prefix)) continue;
    const { key, version, modifiedAt } = asOne(one.set);
    yield { key, id: version, startedAt: modifiedAt };
  }
}

/**
 * The parts of a copy of the predecessor; there may be none.
 * @throws {BackupError} CONFIG_INVALID when there is no such bucket, which a missing object does not tell.
 */
export async function findParts(
  client: GcsClient,
  key: string,
  { signal, verb }: DriverCall & Pick<GcsRequest["doing"], "verb">,
): Promise<PartSet> {
  const objects: GcsFound[] = [];
  for await (const page of pages(client, partPrefix(key), { signal, doing: { verb, object: key } })) {
    objects.push(...page);
  }
  return partSet(key, objects);
}

/** A public key as gpg lists it. */
export type PublicKey = {
  /** 40 upper-case hex digits. */
  readonly fingerprint: string;
  /** Such as `Back Up <backup@example.com>`; revoked ones are left out. */
  readonly userIds: readonly string[];
  /** Why nothing can be encrypted to it, such as `it was revoked`. */
  readonly problem: string | undefined;
};

/** The one key that is meant, or why there is none. */
export type Choice = { readonly fingerprint: string } | { readonly problem: string };

type Line = { readonly kind: string; readonly field: (place: number) => string };

/** Places of the fields in a line of `gpg --with-colons`, from GnuPG's doc/DETAILS, counted from 1 as there. */
const FIELD = { kind: 1, validity: 2, expires: 7, text: 10, capabilities: 12 } as const;

function recordsOf(colons: string): Line[] {
  return colons
    .split("\n")
    .map((line) => line.split(":"))
    .map((fields) => ({ kind: fields[FIELD.kind - 1] ?? "", field: (place) => fields[place - 1] ?? "" }));
}

/** The records of each key: those from one `pub` up to the next. */
function groupsOf(records: readonly Line[]): Line[][] {
  const groups: Line[][] = [];
  for (const record of records) {
    if (record.kind === "pub") groups.push([record]);
    else groups.at(-1)?.push(record);
  }
  return groups;
}

function dayOf(record: Line): string {
  const seconds = Number(record.field(FIELD.expires));
  return seconds > 0 ? ` on ${new Date(seconds * 1000).toISOString().slice(0, 10)}` : "";
}

function subkeyProblem(group: readonly Line[]): string {
  const encrypting = group.filter(({ kind, field }) => kind === "sub" && field(FIELD.capabilities).includes("e"));
  const newest = encrypting.at(-1);
  const validity = newest?.field(FIELD.validity);
  if (newest !== undefined && validity === "e") return `its subkey for encryption expired${dayOf(newest)}`;
  return validity === "r" ? "its subkey for encryption was revoked" : "it has no subkey that can encrypt";
}

function problemOf(group: readonly Line[]): string | undefined {
  const [pub] = group;
  if (pub === undefined) return "it is empty";
  const validity = pub.field(FIELD.validity);
  const abilities = pub.field(FIELD.capabilities);
  if (validity === "r") return "it was revoked";
  if (validity === "e") return `it expired${dayOf(pub)}`;
  if (validity === "d" || abilities.includes("D")) return "it is disabled";
  // A capital E says that the key as a whole, subkeys included, can encrypt now.
  return abilities.includes("E") ? undefined : subkeyProblem(group);
}

function userIdsOf(group: readonly Line[]): string[] {
  return group
    .filter(({ kind, field }) => kind === "uid" && field(FIELD.validity) !== "r")
    .map(({ field }) => field(FIELD.text).replaceAll("\\x3a", ":"));
}

/** Read the output of `gpg --with-colons --list-keys` or `--show-keys`. */
export function parseKeys(colons: string): PublicKey[] {
  return groupsOf(recordsOf(colons)).map((group) => ({
    fingerprint: group.find(({ kind }) => kind === "fpr")?.field(FIELD.text) ?? "",
    userIds: userIdsOf(group),
    problem: problemOf(group),
  }));
}

function isExactly(userId: string, recipient: string): boolean {
  const text = userId.toLowerCase();
  const wanted = recipient.toLowerCase();
  return text === wanted || text.endsWith(`<${wanted}>`);
}

function describe({ fingerprint, userIds, problem }: PublicKey): string {
  const whose = userIds[0] === undefined ? fingerprint : `${fingerprint} (${userIds[0]})`;
  return problem === undefined ? whose : `${whose}: ${problem}`;
}

/**
 * Decide which key a recipient means. gpg itself takes any key whose user id merely contains the text, and of several
 * the one it finds first; here an exact address or user id goes before such matches, unusable keys do not count,
 * and what is left must be one.
 */
export function chooseKey(keys: readonly PublicKey[], recipient: string): Choice {
  const exact = keys.filter(({ userIds }) => userIds.some((userId) => isExactly(userId, recipient)));
  const meant = exact.length > 0 ? exact : keys;
  const usable = meant.filter(({ problem }) => problem === undefined);
  const [first, second] = usable;
  if (first !== undefined && second === undefined) return { fingerprint: first.fingerprint };
  if (first !== undefined) {
    return { problem: `it matches ${usable.length} keys, one is needed: ${usable.map(describe).join(", ")}` };
  }
  if (meant.length === 0) return { problem: "there is no such public key" };
  if (meant.length === 1) return { problem: meant[0]?.problem ?? "" };
  return { problem: `none of its ${meant.length} keys can be used: ${meant.map(describe).join(", ")}` };
}

import { BackupError } from "../domain/errors.ts";
import { Secret } from "../domain/secret.ts";

/** What a connection string says. */
export type AzConnection = {
  /** Of the blob service, without a slash at its end, such as `https://name.blob.core.windows.net`. */
  readonly endpoint: string;
  /** Name of the storage account; `undefined` where only the endpoint is known. */
  readonly account: string | undefined;
  readonly login:
    | { readonly kind: "key"; readonly account: string; readonly key: Secret }
    /** A shared access signature, without a question mark. */
    | { readonly kind: "sas"; readonly signature: Secret };
};

const HINT =
  'Copy "Connection string" under "Access keys" of the storage account again, without quotes or line breaks.';

/**
 * Read a connection string as the predecessor's library does: names in any case, `https` and Azure's own suffix when they are not
 * said, an account key before a signature.
 * @throws {BackupError} CONFIG_INVALID; the text itself is not shown.
 */
export function parseConnectionString(secret: Secret): AzConnection {
  const fields = fieldsOf(secret.reveal());
  const account = fields.get("ACCOUNTNAME");
  const endpoint = endpointOf(fields, account);
  const key = fields.get("ACCOUNTKEY");
  if (account !== undefined && key !== undefined) {
    if (!isBase64(key)) throw refuse("its AccountKey is not base64, so a part of it is missing");
    return { endpoint, account, login: { kind: "key", account, key: new Secret(key) } };
  }
  const signature = fields.get("SHAREDACCESSSIGNATURE")?.replace(/^\?/, "");
  if (signature !== undefined) return { endpoint, account, login: { kind: "sas", signature: new Secret(signature) } };
  throw refuse(account === undefined ? "it has no AccountName" : "it has no AccountKey or SharedAccessSignature");
}

function fieldsOf(text: string): ReadonlyMap<string, string> {
  const parts = text
    .split(";")
    .map((part) => part.trim())
    .filter(Boolean);
  if (parts.length === 0) throw refuse("it is empty");
  const fields = new Map<string, string>();
  for (const part of parts) {
    const split = part.indexOf("=");
    if (split < 1) throw refuse("a part of it is not NAME=VALUE");
    const value = part.slice(split + 1).trim();
    if (value !== "") fields.set(part.slice(0, split).trim().toUpperCase(), value);
  }
  return fields;
}

function endpointOf(fields: ReadonlyMap<string, string>, account: string | undefined): string {
  const given = fields.get("BLOBENDPOINT");
  if (given === undefined && account === undefined) throw refuse("it has no AccountName");
  const protocol = fields.get("DEFAULTENDPOINTSPROTOCOL") ?? "https";
  const suffix = fields.get("ENDPOINTSUFFIX") ?? "core.windows.net";
  const address = plainAddress(given ?? `${protocol}://${account}.blob.${suffix}`);
  if (address !== undefined) return address;
  throw refuse(given === undefined ? "it gives no usable address" : "its BlobEndpoint is not an http or https URL");
}

/** A URL of HTTP without anything behind its path; `undefined` for other texts. */
function plainAddress(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null || !["http:", "https:"].includes(url.protocol)) return undefined;
  return url.search + url.username + url.hash === "" ? url.href.replace(/\/+$/, "") : undefined;
}

function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(text);
}

function refuse(what: string): BackupError {
  return new BackupError("CONFIG_INVALID", `Cannot use connection_string in [az]: ${what}`, { hint: HINT });
}

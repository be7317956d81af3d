import { readFile } from "node:fs/promises";
import type { Storage } from "@google-cloud/storage";
import { untilAborted } from "../lib/abortable.ts";
import { badCredentialsFile, cannotSign, signingFailure, tokenFailure, tokenTimeout } from "./gcs-credential-errors.ts";

/** Who we are to the server. */
export interface Credentials {
  /** Whose they are, as far as a file tells. */
  readonly account: string | undefined;
  /** What to add to a request. Asks for a token when there is none, or only an old one. */
  headers(url: URL, signal: AbortSignal): Promise<Readonly<Record<string, string>>>;
  /** Forget the token, which was not accepted. @returns whether there was one. */
  renew(): boolean;
  /** A URL by which anybody can read an object until it expires. */
  sign(object: SignedObject, signal: AbortSignal): Promise<string>;
}

type SignedObject = {
  readonly bucket: string;
  readonly name: string;
  readonly expiresAt: Date;
  readonly place: string;
};

type Source = {
  /** `undefined`: what the environment has, such as the metadata server. */
  readonly file: string | undefined;
  readonly endpoint: string;
};

/** The token servers answer in milliseconds; a metadata server that is none may not. */
const TOKEN_SECONDS = 60;

/** For servers that ask for no credentials. */
export const ANONYMOUS: Credentials = {
  account: undefined,
  headers: () => Promise.resolve({}),
  renew: () => false,
  sign: ({ place }) => Promise.reject(cannotSign(place)),
};

/** Credentials as Google's library finds them. Reads the file at once, loads the library when the first token is needed. */
export async function openCredentials(source: Source): Promise<Credentials> {
  const json = source.file === undefined ? undefined : await readKeyFile(source.file);
  let storage: Promise<Storage> | undefined;
  const open = (): Promise<Storage> => (storage ??= openStorage(source, json));
  const account = json?.["client_email"];
  return {
    account: typeof account === "string" ? account : undefined,
    async headers(url, signal) {
      return limited(source.file, signal, async () => {
        const { authClient } = await open();
        return Object.fromEntries(await authClient.getRequestHeaders(url.href));
      });
    },
    renew() {
      const had = storage !== undefined;
      storage = undefined;
      return had;
    },
    async sign({ bucket, name, expiresAt, place }, signal) {
      if (json !== undefined && !maySign(json)) throw cannotSign(place);
      const library = await open();
      const file = library.bucket(bucket).file(name);
      const signed = file.getSignedUrl({ version: "v4", action: "read", expires: expiresAt });
      try {
        const [url] = await untilAborted([signal], signed);
        return url;
      } catch (error) {
        throw signal.aborted ? signal.reason : signingFailure(error, place);
      }
    },
  };
}

/** Wait for a token, but not for ever. */
async function limited<T>(file: string | undefined, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const timeout = AbortSignal.timeout(TOKEN_SECONDS * 1000);
  try {
    return await untilAborted([signal, timeout], work());
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw timeout.aborted ? tokenTimeout(file, TOKEN_SECONDS) : tokenFailure(error, file);
  }
}

/** Whether there is a private key, or a service account to sign in its name. */
function maySign(json: KeyFile): boolean {
  return json.type === "service_account" || typeof json["service_account_impersonation_url"] === "string";
}

async function openStorage({ endpoint }: Source, json: KeyFile | undefined): Promise<Storage> {
  const { Storage } = await import("@google-cloud/storage");
  const storage = new Storage({ apiEndpoint: endpoint });
  if (json === undefined) return storage;
  // Given like this the library also signs with it.
  if (json.type === "service_account") return quietly(() => new Storage({ apiEndpoint: endpoint, credentials: json }));
  const authClient = quietly(() => storage.authClient.fromJSON(json));
  return new Storage({ apiEndpoint: endpoint, authClient });
}

/**
 * The library warns on stderr that a file of credentials should be checked before it is used; cron would mail that each time.
 * The file is the administrator's own, and its path is in the config file.
 */
function quietly<T>(work: () => T): T {
  const { console: output } = globalThis;
  const warn: unknown = Reflect.get(output, "warn");
  output.warn = () => {};
  try {
    return work();
  } finally {
    Reflect.set(output, "warn", warn);
  }
}

type KeyFile = Readonly<Record<string, unknown>> & { readonly type: string };

/** What a file of each kind must hold. */
const NEEDED: Readonly<Record<string, readonly string[]>> = {
  service_account: ["client_email", "private_key"],
  authorized_user: ["client_id", "client_secret", "refresh_token"],
  external_account: ["audience", "credential_source"],
  impersonated_service_account: ["source_credentials", "service_account_impersonation_url"],
};

async function readKeyFile(file: string): Promise<KeyFile> {
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") throw badCredentialsFile(file, "there is no such file");
    throw badCredentialsFile(file, code === "EACCES" ? "it may not be read" : (error as Error).message);
  });
  const json = parsed(text);
  const type = json?.["type"];
  const needed = typeof type === "string" ? NEEDED[type] : undefined;
  if (json === undefined || needed === undefined) throw badCredentialsFile(file, "it is no key file of Google Cloud");
  const missing = needed.filter((field) => json[field] === undefined || json[field] === "");
  if (missing.length > 0) throw badCredentialsFile(file, `it lacks ${missing.join(" and ")}`);
  return json as KeyFile;
}

/** The parser's own error would quote the text, which holds a key. */
function parsed(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === "object" && json !== null ? (json as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}

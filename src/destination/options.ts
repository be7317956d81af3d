import type { Secret } from "../domain/secret.ts";

/** A directory on this host. */
export type LocalOptions = {
  readonly kind: "local";
  /** Absolute path of the root; created when missing. */
  readonly directory: string;
};

/** A directory on another host. */
export type SshOptions = {
  readonly kind: "ssh";
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Absolute path of the root on that host; created when missing. */
  readonly directory: string;
  /** Private key; tried after the agent's keys, when the file exists. */
  readonly keyFile: string;
  /** Where known host keys are; `undefined` means the user's and the system's files, as OpenSSH. */
  readonly knownHostsFile: string | undefined;
  /** `strict` refuses an unknown host; `accept-new` records its key on first sight. A changed key is always refused. */
  readonly hostKeys: "strict" | "accept-new";
};

/** A bucket of Amazon S3 or of a server that speaks its protocol. */
export type S3Options = {
  readonly kind: "s3";
  readonly bucket: string;
  readonly region: string;
  /** `undefined` leaves it to the SDK: environment, profile or instance role. */
  readonly credentials: { readonly accessKeyId: Secret; readonly secretAccessKey: Secret } | undefined;
  /** Section of the user's AWS files; `undefined` leaves it to the SDK. */
  readonly profile: string | undefined;
  /** URL of the server; `undefined` means Amazon's of the region. */
  readonly endpoint: string | undefined;
  readonly forcePathStyle: boolean;
  /** Before every name, without slashes at its ends; `""` for none. */
  readonly prefix: string;
  readonly storageClass: string | undefined;
  /** Encryption at rest by the store; `undefined` leaves it to the bucket. */
  readonly sse:
    | { readonly kind: "s3" }
    | { readonly kind: "kms"; readonly keyId: string | undefined }
    /** 32 bytes in base64. */
    | { readonly kind: "customer"; readonly key: Secret }
    | undefined;
  /** Copies cannot be removed by anybody (compliance) or without a special permission (governance) for so many days. */
  readonly objectLock: { readonly mode: "governance" | "compliance"; readonly days: number } | undefined;
  /** Some servers refuse checksums that they were not asked for. */
  readonly checksums: "when_supported" | "when_required";
};

/** A bucket of Google Cloud Storage. */
export type GcsOptions = {
  readonly kind: "gcs";
  readonly bucket: string;
  /** `undefined` leaves it to the SDK: environment or metadata server. */
  readonly credentialsFile: string | undefined;
  /** 32 bytes in base64. */
  readonly encryptionKey: Secret | undefined;
  /** URL of a server other than Google's. */
  readonly endpoint: string | undefined;
  /** Before every name, without slashes at its ends; `""` for none. */
  readonly prefix: string;
};

/** A container of Azure Blob Storage. */
export type AzOptions = {
  readonly kind: "az";
  readonly connectionString: Secret;
  readonly container: string;
  readonly chunkBytes: number;
  /** Exactly as written: the predecessor's object names depend on its slashes. */
  readonly remotePath: string;
};

/** A store behind a driver that the user brings. */
export type ModuleOptions = {
  readonly kind: "module";
  /** Absolute path of an ECMAScript module whose default export is a `DriverFactory`. */
  readonly path: string;
  /** The keys of its section, as written. */
  readonly settings: Readonly<Record<string, string>>;
};

/** Everything needed to open a destination. */
export type DestinationOptions = LocalOptions | SshOptions | S3Options | GcsOptions | AzOptions | ModuleOptions;

import type { IncomingMessage } from "node:http";
import { crc32 } from "node:zlib";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { untilAborted } from "../lib/abortable.ts";
import type { DriverCall, DriverRange, StoredObject, UnfinishedUpload } from "./driver.ts";
import type { S3Options } from "./options.ts";
import type { Writing } from "./s3-conditions.ts";
import { clientConfig, type S3Tuning, signPayloadsOnlyWithoutTls } from "./s3-config.ts";
import type { Clocks } from "./s3-failure.ts";
import { Wire, type WireRequest } from "./s3-http.ts";
import { kindOfKey } from "./s3-keys.ts";
import { S3Parts, type SentPart } from "./s3-parts.ts";
import { intercepted, presigned } from "./s3-presign.ts";

/** One page of a listing; `next` is handed to the call for the next one. */
export type Page<T, Next> = { readonly found: readonly T[]; readonly next: Next | undefined };

/** An upload that was begun. */
export type Begun = { readonly key: string; readonly id: string };

/** The bytes of an object that are on their way. */
export type Arriving = {
  readonly body: IncomingMessage;
  readonly bytes: number | undefined;
  readonly contentRange: string | undefined;
};

/** Signs requests as the SDK does. */
type Signer = {
  sign(request: WireRequest, options: { readonly signingDate: Date }): Promise<WireRequest>;
};

type UploadMarker = { readonly key: string; readonly id: string | undefined };

const DAY_MS = 86_400_000;

/** The calls of the S3 protocol that the driver makes. Keys come and go without the prefix; errors are the SDK's. */
export class S3Calls {
  readonly #options: S3Options;
  readonly #wire: Wire;
  readonly #client: S3Client;
  readonly #prefix: string;
  readonly #parts: S3Parts;

  constructor(options: S3Options, tuning: S3Tuning) {
    this.#options = options;
    this.#prefix = options.prefix === "" ? "" : `${options.prefix}/`;
    this.#wire = new Wire(tuning);
    this.#client = new S3Client(clientConfig(options, this.#wire, tuning));
    signPayloadsOnlyWithoutTls(this.#client.middlewareStack);
    this.#parts = new S3Parts(this.#wire);
  }

  /** What the clocks showed when the server last answered. */
  get clocks(): Clocks | undefined {
    return this.#wire.clocks;
  }

  close(): void {
    this.#client.destroy();
  }

  /** @throws {Error} with the name `EndlessList` when a page says that there are more but not where. */
  async list(prefix: string, from: string | undefined, { signal }: DriverCall): Promise<Page<StoredObject, string>> {
    const command = new ListObjectsV2Command({
      Bucket: this.#options.bucket,
      Prefix: this.#prefix + prefix,
      EncodingType: "url",
      ...(from !== undefined && { ContinuationToken: from }),
    });
    const page = await this.#client.send(command, await this.#call(signal));
    const found = (page.Contents ?? []).map(({ Key = "", Size = 0, LastModified = new Date(0), ETag }) => ({
      key: this.#without(Key, page.EncodingType),
      bytes: Size,
      modifiedAt: LastModified,
      version: unquoted(ETag),
    }));
    if (page.IsTruncated !== true) return { found, next: undefined };
    const next = page.NextContinuationToken;
    if (next === undefined || next === from) throw endless("its listing");
    return { found, next };
  }

  async head(key: string, { signal }: DriverCall): Promise<StoredObject> {
    const command = new HeadObjectCommand({ ...this.#at(key), ...this.#customerKey() });
    const { ContentLength, LastModified, ETag, Metadata } = await this.#client.send(command, await this.#call(signal));
    return {
      key,
      bytes: ContentLength ?? 0,
      modifiedAt: LastModified ?? new Date(0),
      version: unquoted(ETag),
      nonce: Metadata?.["twindb-nonce"],
    };
  }

  /** Ask for bytes of a version; without a version, for the first byte of whatever is there. */
  async get(key: string, range: DriverRange | undefined, { signal }: DriverCall): Promise<Arriving> {
    const { offset, bytes, version } = range ?? { offset: 0, bytes: 1, version: undefined };
    const command = new GetObjectCommand({
      ...this.#at(key),
      ...this.#customerKey(),
      Range: `bytes=${offset}-${offset + bytes - 1}`,
      ...(version !== undefined && { IfMatch: `"${version}"` }),
    });
    const { Body, ContentLength, ContentRange } = await this.#client.send(command, await this.#call(signal));
    return { body: Body as IncomingMessage, bytes: ContentLength, contentRange: ContentRange };
  }

  /** @returns its version. */
  async put(
    key: string,
    bytes: Uint8Array,
    { signal, nonce, expected, isConditional }: Writing & { readonly isConditional: boolean },
  ): Promise<string> {
    const command = new PutObjectCommand({
      ...this.#at(key),
      ...this.#storing(key, nonce),
      ...this.#checksum(bytes),
      Body: bytes,
      ...(isConditional && (expected === undefined ? { IfNoneMatch: "*" } : { IfMatch: `"${expected}"` })),
    });
    const { ETag } = await this.#client.send(command, await this.#call(signal));
    return unquoted(ETag);
  }

  async remove(key: string, { signal }: DriverCall): Promise<void> {
    await this.#client.send(new DeleteObjectCommand(this.#at(key)), await this.#call(signal));
  }

  async begin(key: string, { signal, nonce }: DriverCall & { readonly nonce: string }): Promise<Begun> {
    const command = new CreateMultipartUploadCommand({
      ...this.#at(key),
      ...this.#storing(key, nonce),
      ...(this.#hasChecksums && { ChecksumAlgorithm: "CRC32" }),
    });
    const { UploadId } = await this.#client.send(command, await this.#call(signal));
    if (UploadId === undefined) throw new Error("the server began an upload without naming it");
    return { key, id: UploadId };
  }

  async part(
    upload: Begun,
    { number, bytes }: { readonly number: number; readonly bytes: Uint8Array },
    { signal }: DriverCall,
  ): Promise<SentPart> {
    const checksum = this.#checksum(bytes);
    const command = new UploadPartCommand({
      ...this.#in(upload),
      ...this.#customerKey(),
      ...checksum,
      PartNumber: number,
      Body: bytes,
    });
    const call = await this.#call(signal);
    const make = async () => {
      const made = intercepted(command.middlewareStack);
      await this.#client.send(command, call);
      return made();
    };
    const sign = (request: WireRequest) => this.#signed(request);
    return this.#parts.send(upload, { number, bytes, crc32: checksum.ChecksumCRC32 }, { make, sign, signal });
  }

  async #signed(request: WireRequest): Promise<WireRequest> {
    const { config } = this.#client;
    const signer = (await config.signer()) as Signer;
    return signer.sign(request, { signingDate: new Date(Date.now() + config.systemClockOffset) });
  }

  /** Put the object together; on condition, unless its key is taken. */
  async complete(
    upload: Begun,
    parts: readonly SentPart[],
    { signal, isConditional }: DriverCall & { readonly isConditional: boolean },
  ): Promise<void> {
    const command = new CompleteMultipartUploadCommand({
      ...this.#in(upload),
      ...this.#customerKey(),
      ...(isConditional && { IfNoneMatch: "*" }),
      MultipartUpload: {
        Parts: parts.map(({ etag, crc32 }, index) => ({
          PartNumber: index + 1,
          ETag: etag,
          ...(crc32 !== undefined && { ChecksumCRC32: crc32 }),
        })),
      },
    });
    await this.#client.send(command, await this.#call(signal));
  }

  async abort(upload: Begun, { signal }: DriverCall): Promise<void> {
    await this.#client.send(new AbortMultipartUploadCommand(this.#in(upload)), await this.#call(signal));
  }

  /** Ask for the parts of an upload, for whether it is there. */
  async parts(upload: Begun, { signal }: DriverCall): Promise<void> {
    await this.#client.send(new ListPartsCommand({ ...this.#in(upload), MaxParts: 1 }), await this.#call(signal));
  }

  async uploads(
    prefix: string,
    from: UploadMarker | undefined,
    { signal }: DriverCall,
  ): Promise<Page<UnfinishedUpload, UploadMarker>> {
    const command = new ListMultipartUploadsCommand({
      Bucket: this.#options.bucket,
      Prefix: this.#prefix + prefix,
      EncodingType: "url",
      ...(from !== undefined && { KeyMarker: this.#prefix + from.key, UploadIdMarker: from.id }),
    });
    const page = await this.#client.send(command, await this.#call(signal));
    const found = (page.Uploads ?? []).map(({ Key = "", UploadId = "", Initiated = new Date() }) => ({
      key: this.#without(Key, page.EncodingType),
      id: UploadId,
      startedAt: Initiated,
    }));
    if (page.IsTruncated !== true) return { found, next: undefined };
    if (page.NextKeyMarker === undefined) throw endless("its list of uploads");
    return { found, next: { key: this.#without(page.NextKeyMarker, page.EncodingType), id: page.NextUploadIdMarker } };
  }

  /** Any answer will do, for its clock. */
  async ping({ signal }: DriverCall): Promise<void> {
    await this.#client.send(new HeadBucketCommand({ Bucket: this.#options.bucket }), await this.#call(signal));
  }

  /** A URL that reads an object until it expires. */
  async share(key: string, expiresSeconds: number, { signal }: DriverCall): Promise<string> {
    const command = new GetObjectCommand(this.#at(key));
    const unsigned = intercepted(command.middlewareStack);
    await this.#client.send(command, await this.#call(signal));
    const { config } = this.#client;
    const now = new Date(Date.now() + config.systemClockOffset);
    return presigned(await config.signer(), unsigned(), { expiresSeconds, now });
  }

  /** Ask for new credentials. @returns whether there are any. */
  async renewCredentials({ signal }: DriverCall): Promise<boolean> {
    const { credentials } = this.#client.config;
    const before = await untilAborted([signal], credentials());
    const after = await untilAborted([signal], credentials({ forceRefresh: true }));
    return before.accessKeyId !== after.accessKeyId || before.sessionToken !== after.sessionToken;
  }

  /** Credentials are found first: looking for them knows no signal and may take its time. */
  async #call(signal: AbortSignal): Promise<{ abortSignal: AbortSignal }> {
    signal.throwIfAborted();
    await untilAborted([signal], this.#client.config.credentials());
    return { abortSignal: signal };
  }

  get #hasChecksums(): boolean {
    return this.#options.checksums === "when_supported" || this.#options.objectLock !== undefined;
  }

  /** What the server checks the bytes against. Computed here since the SDK's own way costs more. */
  #checksum(bytes: Uint8Array) {
    if (!this.#hasChecksums) return {};
    const sum = Buffer.alloc(4);
    sum.writeUInt32BE(crc32(bytes));
    return { ChecksumAlgorithm: "CRC32", ChecksumCRC32: sum.toString("base64") } as const;
  }

  #at(key: string) {
    return { Bucket: this.#options.bucket, Key: this.#prefix + key };
  }

  #in({ key, id }: Begun) {
    return { ...this.#at(key), UploadId: id };
  }

  #customerKey() {
    const { sse } = this.#options;
    return sse?.kind === "customer" ? { SSECustomerAlgorithm: "AES256", SSECustomerKey: sse.key.reveal() } : {};
  }

  /** How an object is kept: only copies go into another storage class, since the rest is read at every run. */
  #storing(key: string, nonce: string) {
    const { storageClass } = this.#options;
    const kind = kindOfKey(key);
    return {
      Metadata: { "twindb-nonce": nonce },
      ...(kind === "copy" && storageClass !== undefined && { StorageClass: storageClass as "STANDARD" }),
      ...this.#encrypted(),
      ...(kind !== "record" && this.#locked()),
    };
  }

  #encrypted() {
    const { sse } = this.#options;
    if (sse?.kind === "s3") return { ServerSideEncryption: "AES256" } as const;
    if (sse?.kind !== "kms") return this.#customerKey();
    return { ServerSideEncryption: "aws:kms", ...(sse.keyId !== undefined && { SSEKMSKeyId: sse.keyId }) } as const;
  }

  #locked() {
    const { objectLock } = this.#options;
    if (objectLock === undefined) return {};
    return {
      ObjectLockMode: objectLock.mode === "compliance" ? "COMPLIANCE" : "GOVERNANCE",
      ObjectLockRetainUntilDate: new Date(Date.now() + objectLock.days * DAY_MS),
    } as const;
  }

  /** A key as we know it from one as the server told it. */
  #without(told: string, encoding: string | undefined): string {
    const key = encoding === "url" ? decodeURIComponent(told.replaceAll("+", " ")) : told;
    return key.slice(this.#prefix.length);
  }
}

function unquoted(etag: string | undefined): string {
  return (etag ?? "").replaceAll('"', "");
}

function endless(what: string): Error {
  return Object.assign(new Error(`${what} goes on, but the server does not say where`), { name: "EndlessList" });
}

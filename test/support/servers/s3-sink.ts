/**
 * An S3 server that takes parts and forgets them, so that what is measured is the client: `s3-sink.ts PORT DIRECTORY`, with `server.key` and
 * `server.crt` in the directory. It knows the calls of an upload, and of an object no more than its size and metadata.
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import { join } from "node:path";

/** By number, the bytes of each part. */
type Upload = { readonly parts: Map<string, number>; readonly metadata: Readonly<Record<string, string>> };

/** A request whose body was read. */
type Asked = {
  readonly bucket: string;
  readonly key: string;
  readonly query: URLSearchParams;
  readonly bytes: number;
  readonly metadata: Upload["metadata"];
};

const uploads = new Map<string, Upload>();
const objects = new Map<string, Upload>();

function metadataOf({ headers }: IncomingMessage): Record<string, string> {
  const own = Object.entries(headers).filter(([name]) => name.startsWith("x-amz-meta-"));
  return Object.fromEntries(own.map(([name, value]) => [name, String(value)]));
}

/** What a body holds, in bytes; pieces with checksums between them say it in a header. */
async function drain(request: IncomingMessage): Promise<number> {
  let bytes = 0;
  request.on("data", (chunk: Buffer) => (bytes += chunk.length));
  await new Promise((resolve) => request.once("end", resolve));
  return Number(request.headers["x-amz-decoded-content-length"] ?? bytes);
}

async function asked(request: IncomingMessage): Promise<Asked> {
  const { pathname, searchParams: query } = new URL(request.url ?? "", "https://sink");
  const [bucket = "", ...key] = decodeURIComponent(pathname).slice(1).split("/");
  return { bucket, key: key.join("/"), query, metadata: metadataOf(request), bytes: await drain(request) };
}

function xml(response: ServerResponse, name: string, fields: Readonly<Record<string, string>>): void {
  const members = Object.entries(fields).map(([field, value]) => `<${field}>${value}</${field}>`);
  response.setHeader("content-type", "application/xml");
  response.end(`<?xml version="1.0" encoding="UTF-8"?><${name}>${members.join("")}</${name}>`);
}

const ANSWERS: Readonly<Record<string, (asked: Asked, response: ServerResponse) => void>> = {
  HEAD({ key }, response) {
    const found = objects.get(key);
    const bytes = [...(found?.parts.values() ?? [])].reduce((sum, each) => sum + each, 0);
    const headers = { "content-length": bytes, etag: '"whole"', "last-modified": new Date().toUTCString() };
    response.writeHead(found === undefined ? 404 : 200, { ...headers, ...found?.metadata }).end();
  },
  GET(_, response) {
    response.statusCode = 404;
    xml(response, "Error", { Code: "NoSuchKey", Message: "nothing is kept here" });
  },
  PUT({ key, query, bytes, metadata }, response) {
    const upload = uploads.get(query.get("uploadId") ?? "");
    if (upload === undefined) objects.set(key, { parts: new Map([["1", bytes]]), metadata });
    else upload.parts.set(query.get("partNumber") ?? "", bytes);
    response.writeHead(200, { etag: '"part"' }).end();
  },
  POST({ bucket: Bucket, key: Key, query, metadata }, response) {
    const UploadId = query.get("uploadId") ?? randomBytes(8).toString("hex");
    if (query.has("uploads")) {
      uploads.set(UploadId, { parts: new Map(), metadata });
      xml(response, "InitiateMultipartUploadResult", { Bucket, Key, UploadId });
      return;
    }
    const upload = uploads.get(UploadId);
    if (upload !== undefined) objects.set(Key, upload);
    xml(response, "CompleteMultipartUploadResult", { Bucket, Key, ETag: "whole" });
  },
  DELETE({ key }, response) {
    objects.delete(key);
    response.writeHead(204).end();
  },
};

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  ANSWERS[request.method ?? ""]?.(await asked(request), response);
}

const [port, directory = "."] = process.argv.slice(2);
const keys = { key: readFileSync(join(directory, "server.key")), cert: readFileSync(join(directory, "server.crt")) };
createServer(keys, (request, response) => void answer(request, response)).listen(Number(port), "127.0.0.1");

import type { Refusal } from "./gcs-errors.ts";
import type { HttpAnswer } from "./gcs-http.ts";
import type { GcsObject } from "./gcs-parts.ts";

export type Json = Readonly<Record<string, unknown>>;

/** The metadata under which an object keeps its nonce. */
export const NONCE = "twindb-nonce";

/** What is asked of an object. */
export const OBJECT_FIELDS = "name,size,timeCreated,generation,md5Hash,metadata";

/** An object of the store, with what only a question about it alone tells. */
export type GcsFound = GcsObject & { readonly md5: string | undefined; readonly nonce: string | undefined };

/** A text that is a JSON object; `undefined` when it is none. */
export function objectIn(text: string): Json | undefined {
  try {
    return asObject(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function asObject(value: unknown): Json | undefined {
  return typeof value === "object" && value !== null ? (value as Json) : undefined;
}

function asText(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** The object that an answer describes, named below `folder`; `undefined` when it lacks something. */
export function describedObject(json: Json, folder: string): GcsFound | undefined {
  const name = asText(json["name"]);
  const generation = digits(json["generation"]);
  const bytes = Number(digits(json["size"]));
  const modifiedAt = new Date(asText(json["timeCreated"]) ?? Number.NaN);
  if (name === undefined || generation === undefined || !name.startsWith(folder)) return undefined;
  if (!Number.isSafeInteger(bytes) || Number.isNaN(modifiedAt.getTime())) return undefined;
  const md5 = asText(json["md5Hash"]);
  const nonce = asText(asObject(json["metadata"])?.[NONCE]);
  return { key: name.slice(folder.length), bytes, modifiedAt, version: generation, generation, md5, nonce };
}

/** 64-bit numbers come as texts. */
function digits(value: unknown): string | undefined {
  return typeof value === "string" && /^\d+$/.test(value) ? value : undefined;
}

/** Read an error as the server tells it: JSON from the API itself, plain text or HTML from what stands before it. */
export function refusalOf({ status, header }: Pick<HttpAnswer, "status" | "header">, text: string): Refusal {
  const error = asObject(objectIn(text)?.["error"]);
  const errors = error?.["errors"];
  const first = Array.isArray(errors) ? asObject(errors[0]) : undefined;
  const plain = text.trimStart().startsWith("<") ? "" : text;
  return {
    status,
    reason: asText(first?.["reason"]),
    message: error === undefined ? plain : (asText(error["message"]) ?? ""),
    retryAfter: header("retry-after"),
  };
}

import { type Key, keyProblem, toKey } from "../domain/key.ts";
import { damaged } from "./damage.ts";
import type { Json, JsonObject } from "./json.ts";

/**
 * Typed reads of one record. `null` and absent are the same: `undefined`. A value of another type is damage.
 * What was never asked for is left over in `rest()`.
 */
export class Fields {
  readonly #object: JsonObject;
  readonly #where: string;
  /** A list, for a record has few fields and a status many records. */
  readonly #asked: string[] = [];

  constructor(object: JsonObject, where: string) {
    this.#object = object;
    this.#where = where;
  }

  #value(name: string): Json | undefined {
    const value = this.#object.get(name);
    if (value !== undefined && !this.#asked.includes(name)) this.#asked.push(name);
    return value ?? undefined;
  }

  /** The error for a field that cannot be. */
  problem(name: string, expected: string): Error {
    return damaged(this.#where, `field "${name}" is not ${expected}`);
  }

  /** Leave fields out of `rest()` that say nothing new. */
  ignore(...names: readonly string[]): void {
    for (const name of names) this.#value(name);
  }

  text(name: string): string | undefined {
    const value = this.#value(name);
    if (value === undefined || typeof value === "string") return value;
    throw this.problem(name, "a text");
  }

  flag(name: string): boolean | undefined {
    const value = this.#value(name);
    if (value === undefined || typeof value === "boolean") return value;
    throw this.problem(name, "true or false");
  }

  /** An integer of any size; also as text, as old writers did. */
  big(name: string): bigint | undefined {
    const value = this.#value(name);
    if (value === undefined || typeof value === "bigint") return value;
    if (typeof value === "number" && Number.isInteger(value)) return BigInt(value);
    if (typeof value === "string" && /^-?\d{1,20}$/.test(value)) return BigInt(value);
    throw this.problem(name, "an integer");
  }

  /** A count or size: an integer from 0 that a number holds exactly. */
  count(name: string): number | undefined {
    const plain = this.#value(name);
    if (typeof plain === "number" && Number.isSafeInteger(plain) && plain >= 0) return plain;
    const value = this.big(name);
    if (value === undefined) return undefined;
    if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.problem(name, "a count");
    return Number(value);
  }

  /** An instant in seconds since 1970, cut to whole seconds; also as text, as old writers did. */
  instant(name: string): Date | undefined {
    const value = this.#value(name);
    if (value === undefined) return undefined;
    const seconds = typeof value === "string" && /^-?\d{1,12}(\.\d+)?$/.test(value) ? Number(value) : value;
    if (typeof seconds !== "number") throw this.problem(name, "a time");
    const date = new Date(Math.trunc(seconds) * 1000);
    if (Number.isNaN(date.getTime())) throw this.problem(name, "a time");
    return date;
  }

  /** An instant of which 0 means unknown. */
  time(name: string): Date | undefined {
    const date = this.instant(name);
    return date?.getTime() === 0 ? undefined : date;
  }

  key(name: string): Key | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    if (keyProblem(value) !== undefined) throw this.problem(name, "a key");
    return toKey(value);
  }

  list(name: string): readonly Json[] | undefined {
    const value = this.#value(name);
    if (value === undefined || Array.isArray(value)) return value as readonly Json[] | undefined;
    throw this.problem(name, "a list");
  }

  texts(name: string): readonly string[] | undefined {
    return this.list(name)?.map((item) => {
      if (typeof item === "string") return item;
      throw this.problem(name, "a list of texts");
    });
  }

  /** An object of texts. */
  textMap(name: string): ReadonlyMap<string, string> | undefined {
    const value = this.#value(name);
    if (value === undefined) return undefined;
    if (!(value instanceof Map)) throw this.problem(name, "an object");
    for (const text of value.values()) if (typeof text !== "string") throw this.problem(name, "an object of texts");
    return value as ReadonlyMap<string, string>;
  }

  fields(name: string): Fields | undefined {
    const value = this.#value(name);
    if (value === undefined) return undefined;
    if (value instanceof Map) return new Fields(value as JsonObject, this.#where);
    throw this.problem(name, "an object");
  }

  /** The value that must be there. */
  required<T>(name: string, value: T | undefined): T {
    if (value === undefined) throw this.problem(name, "there");
    return value;
  }

  /** What nobody asked for, in its order; `undefined` when nothing is left. */
  rest(): JsonObject | undefined {
    if (this.#asked.length === this.#object.size) return undefined;
    let left: Map<string, Json> | undefined;
    for (const [name, value] of this.#object) if (!this.#asked.includes(name)) (left ??= new Map()).set(name, value);
    return left;
  }
}

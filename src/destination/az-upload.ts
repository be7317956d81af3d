import type { AzClient } from "./az-client.ts";
import { AzFailure, hasCode } from "./az-failure.ts";
import type { DriverCall, Upload, WholeObject } from "./driver.ts";

/**
 * Length of a block's name before it is encoded. All blocks of a blob, also those that another program left uncommitted, need names
 * of one length, and the predecessor's have this one.
 */
const BLOCK_NAME_BYTES = 46;

/** The name of a block, such as `5e0c…91-0000000000042` in base64. Blocks of two uploads never share one. */
export function blockId(nonce: string, number: number): string {
  const digits = BLOCK_NAME_BYTES - nonce.length - 1;
  return Buffer.from(`${nonce}-${String(number).padStart(digits, "0")}`).toString("base64");
}

/** What an upload needs of its surroundings. */
export type AzUploadPlace = {
  readonly client: AzClient;
  readonly name: string;
  readonly nonce: string;
  /** Whether an object of the key lies elsewhere, under another spelling of its name. */
  readonly isTaken: (options: DriverCall) => Promise<boolean>;
};

/** Somebody else's object has the name. */
const TAKEN = new AzFailure({ status: 409, code: "BlobAlreadyExists" });

/**
 * One blob, in blocks. Until they are committed nobody sees them, an older blob of that name stays as it is, and Azure throws
 * them away after a week; there is no call to do so earlier.
 */
export class AzUpload implements Upload {
  readonly #place: AzUploadPlace;
  /** Azure takes no empty blocks. */
  readonly #empty = new Set<number>();
  #mayBeThere = false;

  constructor(place: AzUploadPlace) {
    this.#place = place;
  }

  async part(number: number, bytes: Uint8Array, options: DriverCall): Promise<void> {
    const { client, name, nonce } = this.#place;
    if (bytes.length === 0) {
      this.#empty.add(number);
      return;
    }
    await client.stage(name, { id: blockId(nonce, number), bytes }, options);
  }

  async commit({ parts }: WholeObject, options: DriverCall): Promise<void> {
    const { client, name, nonce, isTaken } = this.#place;
    if (await isTaken(options)) throw TAKEN;
    const numbers = Array.from({ length: parts }, (_, index) => index + 1);
    const blocks = numbers.filter((number) => !this.#empty.has(number)).map((number) => blockId(nonce, number));
    this.#mayBeThere = true;
    try {
      await client.commit(name, blocks, { ...options, nonce });
    } catch (error) {
      // Committing one upload drops the blocks of all others of that name.
      if (!hasCode(error, "BlobAlreadyExists", "ConditionNotMet", "InvalidBlockList")) throw error;
      const found = await client.head(name, options);
      if (found === undefined) throw error;
      if (found.nonce !== nonce) throw TAKEN;
    }
  }

  async abort(options: DriverCall): Promise<void> {
    if (!this.#mayBeThere) return;
    const { client, name, nonce } = this.#place;
    const found = await client.head(name, options);
    if (found?.nonce !== nonce) return;
    try {
      await client.remove(name, { ...options, etag: found.etag });
    } catch (error) {
      if (!hasCode(error, "ConditionNotMet")) throw error; // It is another's by now.
    }
  }
}

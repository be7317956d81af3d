import { spawnSync } from "node:child_process";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Driver } from "../../src/destination/driver.ts";
import { NOTE_FILE, NOTE_PREFIX, type NotedUpload } from "../../src/destination/upload-note.ts";
import { machineId, startTimeOf } from "../../src/lib/process-identity.ts";
import type { Leftover } from "../contract/leftovers.ts";

/** Unfinished uploads, as runs that were interrupted leave them; and a clock by which they are as old as a case wants them. */
export class PlantedUploads {
  readonly #driver: Driver;
  readonly #notes: string[] = [];
  #ageMilliseconds = 0;

  constructor(driver: Driver) {
    this.#driver = driver;
  }

  /** For `driven()`: later than it is, for what was planted to be that old. */
  readonly now = (): Date => new Date(Date.now() + this.#ageMilliseconds);

  /** Begin an upload for `HOST/daily/left`, with one part where the store takes it, and note it as its owner would have. */
  async plant({ host, owner, ageHours }: Leftover): Promise<void> {
    const { signal } = new AbortController();
    const key = `${host}/daily/left`;
    const upload = await this.#driver.start(key, { signal, nonce: "0".repeat(32), expectedBytes: undefined });
    await upload.part(1, Buffer.alloc(this.#driver.limits.leastPartBytes, "x"), { signal });
    this.#ageMilliseconds = ageHours * 3_600_000;
    if (owner !== "another machine") await this.#note({ url: this.#driver.url, key }, owner === "alive");
  }

  /** Remove the notes that are left. */
  async cleanup(): Promise<void> {
    for (const path of this.#notes) await rm(path, { recursive: true, force: true });
  }

  async #note(noted: NotedUpload, isAlive: boolean): Promise<void> {
    const pid = isAlive ? process.ppid : spawnSync("true").pid;
    const path = join(tmpdir(), `${NOTE_PREFIX}${machineId()}-${pid}-${startTimeOf(pid) ?? 1}-${randomHex()}`);
    await mkdir(path, { mode: 0o700 });
    await writeFile(join(path, NOTE_FILE), JSON.stringify(noted));
    this.#notes.push(path);
  }
}

function randomHex(): string {
  return Math.floor(Math.random() * 2 ** 32)
    .toString(16)
    .padStart(8, "0");
}

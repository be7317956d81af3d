import { mkdirSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { noise } from "./streams.ts";

const MIB = 1024 * 1024;

/** Fill a directory with small files, a hundred to a directory; each has its own content. */
export function makeManyFiles(root: string, count: number): void {
  for (let index = 0; index < count; index++) {
    const directory = join(root, String(Math.floor(index / 100)));
    if (index % 100 === 0) mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `file ${index}`), `${index}\n`.repeat(index % 20));
  }
}

/** Make one file that is large and packs quickly: 1 MiB of noise and 15 MiB of zeros, again and again. */
export async function makeBigFile(path: string, mebibytes: number): Promise<void> {
  const block = Buffer.concat([noise(MIB), Buffer.alloc(15 * MIB)]);
  await using file = await open(path, "wx");
  for (let done = 0; done < mebibytes; done += 16) await file.write(block);
}

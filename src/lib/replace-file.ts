import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/** Put a file in the place of what was there, whole or not at all; it outlives a crash of the machine. Its directory must be there. */
export async function replaceFile(path: string, text: string, mode: number): Promise<void> {
  const temporary = `${path}.new`;
  await writeDurably(temporary, text, mode);
  await rename(temporary, path);
  await syncDirectory(path);
}

async function writeDurably(path: string, text: string, mode: number): Promise<void> {
  await rm(path, { force: true });
  await using handle = await open(path, "wx", mode);
  await handle.chmod(mode);
  await handle.writeFile(text);
  await handle.sync();
}

async function syncDirectory(path: string): Promise<void> {
  await using handle = await open(dirname(path), "r");
  await handle.sync();
}

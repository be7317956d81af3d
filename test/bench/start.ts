import { spawnSync } from "node:child_process";
import { hostname } from "node:os";
import { openLocal } from "../../src/destination/local.ts";
import type { FilesCopy } from "../../src/domain/copy.ts";
import { copyKey, filesName } from "../../src/domain/names.ts";
import { statusOf } from "../../src/domain/status.ts";
import { Manifests } from "../../src/status/manifests.ts";
import { StatusStore } from "../../src/status/store.ts";
import { filesCopy } from "../support/copies.ts";

const HOUR_MS = 3_600_000;

/** Store many small copies of this host in a directory, with their manifests and status. */
export async function makeCopies(directory: string, count: number): Promise<void> {
  const { signal } = new AbortController();
  await using destination = await openLocal({ kind: "local", directory });
  const manifests = new Manifests(destination);
  const copies: FilesCopy[] = [];
  for (let index = 0; index < count; index++) {
    const takenAt = new Date(Date.UTC(2026, 0, 1) + index * HOUR_MS);
    const source = `/srv/data${index % 7}`;
    const parts = { media: "files", host: hostname(), interval: "daily" } as const;
    const key = copyKey({ ...parts, name: `${filesName(source, takenAt)}.gz` });
    const digest = await destination.put(key, contentOf(key), { signal });
    const copy = filesCopy(takenAt, { ...parts, ...digest, key, directory: source, tool: "tar", toolVersion: "1.34" });
    await manifests.write(copy, { signal });
    copies.push(copy);
  }
  await new StatusStore(destination, { host: hostname(), media: "files" }).update(() => statusOf(copies), { signal });
}

async function* contentOf(text: string): AsyncGenerator<Uint8Array, void> {
  yield Buffer.from(text);
}

/** Median milliseconds of each command, the runs interleaved. */
export function medians(commands: readonly (readonly string[])[], rounds: number): number[] {
  const times = commands.map((): number[] => []);
  for (let round = -1; round < rounds; round++) {
    for (const [index, [file = "", ...args]] of commands.entries()) {
      const started = performance.now();
      const { status } = spawnSync(file, args, { stdio: "ignore" });
      if (status !== 0) throw new Error(`${file} ${args.join(" ")} exited with ${status}`);
      if (round >= 0) times[index]?.push(performance.now() - started);
    }
  }
  return times.map((each) => each.toSorted((left, right) => left - right)[Math.floor(each.length / 2)] ?? 0);
}

import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLocal } from "../../src/destination/local.ts";
import { lockName, machineId } from "../../src/destination/temporary-name.ts";
import { toKey } from "../../src/domain/key.ts";
import { destinationContract } from "./destination.ts";
import type { Leftover, Opened } from "./leftovers.ts";

const OTHER_MACHINE = "0123456789ab";

/** A pid that was given to a process, and is free again. */
function deadPid(): number {
  return spawnSync("true").pid;
}

function pidOf({ owner }: Leftover): number {
  return owner === "dead" ? deadPid() : process.ppid;
}

function ownerName(leftover: Leftover): string {
  const machine = leftover.owner === "another machine" ? OTHER_MACHINE : machineId();
  return `${machine}-${pidOf(leftover)}-0123456789abcdef`;
}

async function plant(directory: string, leftover: Leftover): Promise<void> {
  const owner = ownerName(leftover);
  const [name, text] =
    leftover.kind === "lock"
      ? [lockName(toKey(`${leftover.host}/status`)), JSON.stringify({ owner, since: new Date().toISOString() })]
      : [owner, "half of it"];
  const folder = join(directory, leftover.host, ".partial");
  const at = new Date(Date.now() - leftover.ageHours * 3_600_000);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, name), text);
  await utimes(join(folder, name), at, at);
}

destinationContract("LocalDestination", async (): Promise<Opened> => {
  const directory = await mkdtemp(join(tmpdir(), "local-"));
  const open = () => openLocal({ kind: "local", directory: join(directory, "made", "root") });
  return {
    destination: await open(),
    cleanup: () => rm(directory, { recursive: true }),
    another: open,
    plant: (leftover) => plant(join(directory, "made", "root"), leftover),
  };
});

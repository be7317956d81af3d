import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { driven } from "../../src/destination/driven.ts";
import { openModule } from "../../src/destination/module.ts";
import { MemoryDriver, MemoryStore } from "../support/memory-driver.ts";
import { PlantedUploads } from "../support/plant-upload.ts";
import { destinationContract } from "./destination.ts";

destinationContract("driven(MemoryDriver)", async () => {
  const store = new MemoryStore();
  const planted = new PlantedUploads(new MemoryDriver(store));
  const open = () => driven(async () => new MemoryDriver(store), { url: "memory:", now: planted.now });
  return {
    destination: open(),
    another: async () => open(),
    plant: (leftover) => planted.plant(leftover),
    leaves: ["temporary"],
    cleanup: () => planted.cleanup(),
  };
});

destinationContract(
  "driven(MemoryDriver without conditions and nonces)",
  async () => {
    const store = new MemoryStore();
    const driver = new MemoryDriver(store, { limits: { isConditional: false }, keepsNonces: false });
    return { destination: driven(async () => driver, { url: "memory:" }), cleanup: async () => {} };
  },
  // They are published one after the other.
  { manyObjects: 200 },
);

/** Below a directory that is ours alone: whatever the checkout's modes are, the module in it can be trusted. */
async function copiedSample(): Promise<{ readonly root: string; readonly path: string }> {
  const root = await mkdtemp(join(tmpdir(), "sample-driver-"));
  const path = join(root, "driver.mjs");
  await copyFile(new URL("../support/sample-driver.mjs", import.meta.url), path);
  return { root, path };
}

destinationContract(
  "openModule(the sample driver)",
  async () => {
    const { root, path } = await copiedSample();
    const settings = { directory: join(root, "store") };
    return {
      destination: await openModule({ kind: "module", path, settings }),
      cleanup: () => rm(root, { recursive: true }),
    };
  },
  // Every one is synced to the disk, and none of the driver's code knows pages.
  { manyObjects: 60 },
);

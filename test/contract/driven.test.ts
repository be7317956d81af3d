import { driven } from "../../src/destination/driven.ts";
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

destinationContract("driven(MemoryDriver without conditions and nonces)", async () => {
  const store = new MemoryStore();
  const driver = new MemoryDriver(store, { limits: { isConditional: false }, keepsNonces: false });
  return { destination: driven(async () => driver, { url: "memory:" }), cleanup: async () => {} };
});

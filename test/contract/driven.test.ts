import { driven } from "../../src/destination/driven.ts";
import { MemoryDriver, MemoryStore } from "../support/memory-driver.ts";
import { destinationContract } from "./destination.ts";

destinationContract("driven(MemoryDriver)", async () => {
  const store = new MemoryStore();
  const open = () => driven(async () => new MemoryDriver(store), { url: "memory:" });
  return { destination: open(), cleanup: async () => {}, another: async () => open() };
});

destinationContract("driven(MemoryDriver without conditions)", async () => {
  const store = new MemoryStore();
  const driver = new MemoryDriver(store, { limits: { isConditional: false }, keepsNonces: false });
  return { destination: driven(async () => driver, { url: "memory:" }), cleanup: async () => {} };
});

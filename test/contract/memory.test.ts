import { MemoryDestination } from "../support/memory-destination.ts";
import { destinationContract } from "./destination.ts";

destinationContract("MemoryDestination", async () => {
  const destination = new MemoryDestination();
  return { destination, cleanup: async () => {}, another: async () => new MemoryDestination(destination) };
});

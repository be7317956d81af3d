import { retrying } from "../../src/destination/retrying.ts";
import { MemoryDestination } from "../support/memory-destination.ts";
import { destinationContract } from "./destination.ts";

destinationContract("retrying(MemoryDestination)", async () => {
  const memory = new MemoryDestination();
  return {
    destination: retrying(memory),
    cleanup: async () => {},
    another: async () => retrying(new MemoryDestination(memory)),
  };
});

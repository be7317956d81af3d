import type { Destination } from "../../src/destination/destination.ts";
import type { Media } from "../../src/domain/copy.ts";
import type { Shelf } from "../../src/job/shelf.ts";
import { Manifests } from "../../src/status/manifests.ts";
import { StatusStore } from "../../src/status/store.ts";

/** Where db7's copies of a media are, as the program wires it. */
export function shelfOn<M extends Media>(destination: Destination, media: M): Shelf<M> {
  return {
    host: "db7",
    destination,
    manifests: new Manifests(destination),
    status: new StatusStore(destination, { host: "db7", media }),
  };
}

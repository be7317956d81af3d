import type { Destination } from "../../src/destination/destination.ts";
import type { Media } from "../../src/domain/copy.ts";
import type { Shelf } from "../../src/job/shelf.ts";
import { Manifests } from "../../src/status/manifests.ts";
import { StatusStore } from "../../src/status/store.ts";

/** Where the copies of a media of a host are, as the program wires it. */
export function shelfOn<M extends Media>(destination: Destination, media: M, host = "db7"): Shelf<M> {
  return {
    host,
    destination,
    manifests: new Manifests(destination),
    status: new StatusStore(destination, { host, media }),
  };
}

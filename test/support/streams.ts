export { chunks, collect, keys, keysOf, noise, sliced } from "../../src/destination/contract/streams.ts";

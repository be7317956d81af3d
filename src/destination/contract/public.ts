/** What authors of drivers import as `twindb-backup/destination-contract`, to test theirs. */
export { openModule } from "../module.ts";
export { contractCases } from "./cases.ts";

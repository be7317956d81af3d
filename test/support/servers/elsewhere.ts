import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Where `install-private-servers.sh` puts servers of other releases. */
const SHELF = process.env["TWINDB_TEST_SERVERS"] ?? join(homedir(), ".cache", "twindb-backup-test-servers");

/** Directory of the commands that run a server of another release, such as `mysql-9`, and its tools. */
export function binDirectory(name: string): string {
  return join(SHELF, name, "bin");
}

/** Whether it is unpacked; where REQUIRE is set a missing one is a failure instead. */
export function isUnpacked(name: string): boolean {
  const present = existsSync(binDirectory(name));
  if (!present && process.env["REQUIRE"] !== undefined) throw new Error(`${binDirectory(name)} is missing`);
  return present;
}

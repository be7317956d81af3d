import { startPrivateServer } from "../../../src/mysql/private-server.ts";

// Starts a server on a data directory, says so, and stays until it is killed.
const [directory = "", serverVersion = ""] = process.argv.slice(2);
const { signal } = new AbortController();
await startPrivateServer({ directory, vendor: "mariadb", serverVersion, signal });
process.stdout.write("started\n");
setInterval(() => {}, 60_000);

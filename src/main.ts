import { enableCompileCache } from "node:module";
import { version } from "./cli/version.ts";

const args = process.argv.slice(2);
if (args.length === 1 && args[0] === "--version") {
  // Asked by scripts and by monitoring, often: nothing else is loaded for it.
  process.stdout.write(`${version()}\n`);
} else {
  // Beside the program, where only its owner can write: what lies there is run.
  enableCompileCache(new URL("../dist/.cache", import.meta.url).pathname);
  const { main } = await import("./cli/program.ts");
  // All is done and told by now: nothing that is still open, such as a connection kept for later, holds up the end.
  process.exit(await main(args));
}

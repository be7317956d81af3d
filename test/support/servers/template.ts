import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { dirname, join } from "node:path";

/** How to make a data directory, and the name of what comes of it. */
type Recipe = { readonly name: string; readonly initialise: (datadir: string) => void };

/** Make a data directory as a copy of one that is made once per machine and user. */
export function copyTemplate(recipe: Recipe, datadir: string): void {
  execFileSync("cp", ["-a", "--reflink=auto", template(recipe), datadir]);
}

function template({ name, initialise }: Recipe): string {
  const { uid } = userInfo();
  const shelf = join(tmpdir(), `database-templates-${uid}`);
  mkdirSync(shelf, { recursive: true, mode: 0o755 });
  if (statSync(shelf).uid !== uid) throw new Error(`${shelf} belongs to somebody else`);
  const path = join(shelf, name, "data");
  if (existsSync(path)) return path;
  const scratch = mkdtempSync(`${dirname(path)}.`);
  chmodSync(scratch, 0o755);
  initialise(join(scratch, "data"));
  publish(scratch, dirname(path));
  return path;
}

function publish(scratch: string, path: string): void {
  try {
    renameSync(scratch, path);
  } catch (error) {
    rmSync(scratch, { recursive: true });
    // Another test was faster.
    if (!existsSync(path)) throw error;
  }
}

import type { Findings } from "./findings.ts";

/**
 * The configured directories, each once. Directories whose copies would be hard to tell apart go to `findings`: a copy
 * is named after its directory with every `/` replaced by `_`.
 */
export function distinctDirectories(configured: readonly string[], findings: Findings): string[] {
  const byStoredName = new Map<string, string>();
  const directories: string[] = [];
  for (const directory of configured) {
    const trimmed = directory.replace(/\/+$/, "");
    const known = byStoredName.get(trimmed.replaceAll("/", "_"));
    if (known === undefined) {
      byStoredName.set(trimmed.replaceAll("/", "_"), trimmed);
      directories.push(directory);
    } else if (known === trimmed) {
      findings.warning("source", "backup_dirs", `"${directory}" is named twice, it is copied once`);
    } else {
      const text = `"${known}" and "${directory}" are stored under the same name, their copies count together`;
      findings.warning("source", "backup_dirs", text);
      directories.push(directory);
    }
  }
  return directories;
}

/** What decides whether copies are copied again. */
type Places = {
  readonly directories: readonly string[];
  readonly excludes: readonly string[];
  readonly root: string | undefined;
};

/** The configured directory that holds `root`, where copies are stored, without excluding it. */
export function directoryHolding({ directories, excludes, root }: Places): string | undefined {
  if (root === undefined || root === "" || excludes.some((exclude) => isBelow(root, exclude))) return undefined;
  return directories.find((directory) => isBelow(root, directory));
}

function isBelow(path: string, directory: string): boolean {
  return `${path}/`.startsWith(`${directory.replace(/\/+$/, "")}/`);
}

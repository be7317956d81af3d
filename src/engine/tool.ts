import { BackupError } from "../domain/errors.ts";

/** A program and what it can do: its options by name, each with what its help says. */
export type Program = { readonly file: string; readonly options: ReadonlyMap<string, string> };

/** An installed tool that takes and prepares copies, and the program that unpacks its streams. */
export type Tool = Program & {
  /** Such as `10.11.14` or `8.0.35-31`. */
  readonly version: string;
  readonly extractor: Program;
  /** Threads that unpack. */
  readonly threads: number;
};

/** The two families of tools. */
export type ToolName = "mariadb-backup" | "xtrabackup";

/** What `--version` says: `xtrabackup version 8.0.35-31 based on …`, `mariadb-backup based on MariaDB server 10.11.19-MariaDB …`. */
export function readVersion(text: string): { readonly name: ToolName; readonly version: string } | undefined {
  const maria = /based on MariaDB server (\d+\.\d+\.\d+)/.exec(text)?.[1];
  if (maria !== undefined) return { name: "mariadb-backup", version: maria };
  const percona = /xtrabackup version (\d+\.\d+(?:\.\d+)?(?:-\d+)?)/i.exec(text)?.[1];
  return percona === undefined ? undefined : { name: "xtrabackup", version: percona };
}

/** The options of a `--help`: lines `  -t, --tmpdir=name   Path for …`, a description going on for lines; values follow in another form. */
export function readOptions(help: string): Map<string, string> {
  const options = new Map<string, string>();
  let last: string | undefined;
  for (const line of help.split("\n")) {
    const match = /^\s{1,6}(?:-\S, )?--([A-Za-z][\w-]*)\S*(.*)$/.exec(line);
    if (match?.[1] !== undefined) {
      last = match[1].replaceAll("_", "-");
      options.set(last, match[2]?.trim() ?? "");
    } else if (last !== undefined && /^\s{8}/.test(line)) {
      options.set(last, `${options.get(last) ?? ""} ${line.trim()}`.trim());
    } else {
      last = undefined;
    }
  }
  return options;
}

/** The first of several names of an option that a program knows; they are given newest first. */
export function nameOf(program: Program, names: readonly string[]): string | undefined {
  return names.find((name) => program.options.has(name));
}

/** @throws {BackupError} CONFIG_INVALID when a tool lacks an option that nothing can do without. */
export function requireOptions(tool: Tool, names: readonly string[]): void {
  const missing = names.find((name) => !tool.options.has(name));
  if (missing === undefined) return;
  throw new BackupError("CONFIG_INVALID", `Cannot use "${tool.file}" ${tool.version}: it does not know --${missing}`, {
    hint: "Install a newer version of it.",
  });
}

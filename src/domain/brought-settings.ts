/** The options a copy brings along for the tool that prepares it. */
export const BROUGHT_SETTINGS = "backup-my.cnf";

/** Where packages put plugins. */
const PLUGIN_ROOTS = /^\/(?:usr|opt)\//;

/**
 * Why options that a copy brings along may not be handed to a tool; `undefined` when they may. A tool loads plugins, such as those of
 * encryption, from the directory named there: programs that lie in the copy itself must not be what it finds.
 */
export function broughtProblem(text: string): string | undefined {
  for (const line of text.split("\n")) {
    const problem = /^\s*!include/.test(line) ? "it includes another file" : problemOf(line);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function problemOf(line: string): string | undefined {
  const [, name = "", raw = ""] = /^\s*([\w-]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
  const option = name.replaceAll("-", "_").replace(/^loose_/, "");
  const value = raw.replace(/^(["'])(.*)\1$/, "$2");
  const isUsual = PLUGIN_ROOTS.test(value) && !value.split("/").includes("..");
  if (option.startsWith("plugin_dir") && !isUsual) return `its directory of plugins is "${value}"`;
  if (option.startsWith("plugin_load") && value.includes("/")) return `it loads the plugin "${value}"`;
  return undefined;
}

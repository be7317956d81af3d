/** Where config files of the server go, below a restored copy. */
export const CONFIG_DIRECTORY = "_config";

/** Longest component of a path, in UTF-16 code units; never more than 255 bytes of UTF-8 in names that servers have. */
const MAX_COMPONENT = 255;

/**
 * Where a config file of a copy goes, relative to the restored directory: `/etc/my.cnf` → `_config/etc/my.cnf`. The path comes from a
 * status, so anyone may have written it: `undefined` when it is not an absolute path that stays where it is put.
 */
export function configFileTarget(path: string): string | undefined {
  if (!path.startsWith("/") || /\p{Cc}/u.test(path)) return undefined;
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.length === 0 || parts.some((part) => part === ".." || part.length > MAX_COMPONENT)) return undefined;
  return [CONFIG_DIRECTORY, ...parts].join("/");
}

/** Options of the server that say where its files lie. */
const DIRECTORY_OPTIONS = [
  "datadir",
  "innodb_data_home_dir",
  "innodb_log_group_home_dir",
  "innodb_undo_directory",
  "aria_log_dir_path",
] as const;

/** Where a server's config files put its data. */
export type ServerDirectories = {
  readonly datadir: string | undefined;
  /** Options that put a part of the data outside the data directory, such as `innodb_undo_directory`, with where. */
  readonly elsewhere: ReadonlyMap<string, string>;
};

function lastValue(text: string, option: string): string | undefined {
  const pattern = new RegExp(`^[ \\t]*${option.replaceAll("_", "[_-]")}[ \\t]*=[ \\t]*(.*)$`, "gim");
  const value = [...text.matchAll(pattern)]
    .at(-1)?.[1]
    ?.replace(/\s+#.*$/, "")
    .trim();
  return value?.replace(/^(["'])(.*)\1$/, "$2").replace(/(?<=.)\/+$/, "");
}

/** Read from a copy's config files where its server kept the data; what includes bring in counts like the rest. */
export function serverDirectories(config: ReadonlyMap<string, string>): ServerDirectories {
  const found = new Map<string, string>();
  for (const text of config.values()) {
    for (const option of DIRECTORY_OPTIONS) {
      const value = lastValue(text, option);
      if (value !== undefined) found.set(option, value);
    }
  }
  const datadir = found.get("datadir");
  found.delete("datadir");
  const isElsewhere = (path: string) => path.startsWith("/") && path !== datadir;
  return {
    datadir: datadir?.startsWith("/") === true ? datadir : undefined,
    elsewhere: new Map([...found].filter(([, path]) => isElsewhere(path))),
  };
}

import { cpSync, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";

/** A package of npm as it lies on the disk. */
export type Library = {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly directory: string;
};

type Description = {
  readonly name: string;
  readonly version: string;
  readonly license?: string | { readonly type: string };
  readonly dependencies?: Readonly<Record<string, string>>;
};

function descriptionOf(directory: string): Description {
  return JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as Description;
}

/** Where Node finds a package that is named by a file in `from`. */
function find(name: string, from: string): string {
  const directory = join(from, "node_modules", name);
  if (existsSync(join(directory, "package.json"))) return directory;
  if (dirname(from) === from) throw new Error(`no package "${name}": install the packages first`);
  return find(name, dirname(from));
}

/** These packages and all they need, by name; what is optional is left out. */
export function librariesOf(names: readonly string[], home: string): readonly Library[] {
  const found = new Map<string, Library>();
  const visit = (directory: string): void => {
    if (found.has(directory)) return;
    const { name, version, license = "unknown", dependencies = {} } = descriptionOf(directory);
    found.set(directory, {
      name,
      version,
      license: typeof license === "string" ? license : license.type,
      directory,
    });
    for (const each of Object.keys(dependencies)) visit(find(each, directory));
  };
  for (const name of names) visit(find(name, home));
  return [...found.values()].sort((a, b) => (a.directory < b.directory ? -1 : 1));
}

const NOT_RUN = /^(tests?|examples?|docs?|benchmarks?|typings?|types|build|\..*)$/;
const RUN = /\.(js|cjs|json)$|^(licen[cs]e|copying|notice)/i;

/** Copy of a library what runs and its licence, to the place it has below the program's own `node_modules`. */
export function copyLibrary({ directory }: Library, home: string, target: string): void {
  cpSync(directory, join(target, relative(home, directory)), {
    recursive: true,
    filter: (path) => {
      const name = basename(path);
      if (path === directory) return true;
      if (name === "node_modules" || NOT_RUN.test(name)) return false;
      return RUN.test(name) || statSync(path).isDirectory();
    },
  });
}

function textOf({ directory }: Library, name: RegExp): string | undefined {
  const file = readdirSync(directory).find((each) => name.test(each));
  return file === undefined ? undefined : readFileSync(join(directory, file), "utf8").trim();
}

/** The text of a library's licence, where it brings one. */
export function licenceTextOf(library: Library): string | undefined {
  return textOf(library, /^(licen[cs]e|copying)/i);
}

/** What a library wants to be told beside its licence. */
export function noticeOf(library: Library): string | undefined {
  return textOf(library, /^notice/i);
}

/**
 * Fills the directory of a package with what is made from the program itself.
 *
 *     node packaging/generate.ts HOME TREE
 *
 * HOME becomes the program's home (node_modules, package.json), TREE gets the pages, completions and papers below usr/share.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import description from "../package.json" with { type: "json" };
import { debianChangelog } from "./changelog.ts";
import { program } from "./commands.ts";
import { bashCompletion, fishCompletion, zshCompletion } from "./completion.ts";
import { copyrightOf } from "./copyright.ts";
import { copyLibrary, librariesOf } from "./libraries.ts";
import { commandPages, configPage } from "./manual.ts";

const ROOT = new URL("..", import.meta.url).pathname;
/** What the bundle leaves outside; the same as in the bundler's settings. */
const OUTSIDE = ["mysql2", "ssh2"];

const [home = "", tree = ""] = process.argv.slice(2);
const epoch = new Date(Number(process.env["SOURCE_DATE_EPOCH"]) * 1000);
const { name, version, license, type, exports } = description;
const edition = { version, date: epoch.toISOString().slice(0, 10) };

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

for (const library of librariesOf(OUTSIDE, ROOT)) copyLibrary(library, ROOT, home);
write(join(home, "package.json"), `${JSON.stringify({ name, version, license, type, exports }, undefined, 2)}\n`);

const share = join(tree, "usr/share");
const commands = program();
for (const { file, text } of [...commandPages(commands, edition), configPage(read("etc/twindb-backup.cfg"), edition)]) {
  write(join(share, "man", file), text);
}
write(join(share, "bash-completion/completions/twindb-backup"), bashCompletion(commands));
write(join(share, "zsh/vendor-completions/_twindb-backup"), zshCompletion(commands));
write(join(share, "fish/vendor_completions.d/twindb-backup.fish"), fishCompletion(commands));

const papers = join(share, "doc/twindb-backup");
const date = epoch.toUTCString().replace("GMT", "+0000");
write(join(papers, "copyright"), copyrightOf(librariesOf(Object.keys(description.dependencies), ROOT)));
const maintainer = /^Maintainer: (.+)$/m.exec(read("packaging/deb/control"))?.[1] ?? "";
write(join(papers, "changelog"), debianChangelog(read("CHANGELOG.md"), { version, date, maintainer }));

import { EXIT_HELP } from "../src/cli/program.ts";
import { type Entry, flat, type Word } from "./commands.ts";

/** What stands in the header of each page. */
export type Edition = { readonly version: string /** Day, `2026-11-21`. */; readonly date: string };

/** A page: name of its file below `man/`, and its text. */
export type Page = { readonly file: string; readonly text: string };

/** Text as roff prints it: dashes that can be searched for, nothing taken for a request. */
export function roff(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll('"', "\\(dq")
    .replace(/^([.'])/gm, "\\&$1");
}

function pageName(words: readonly string[]): string {
  return ["twindb-backup", ...words].join("-");
}

function header(name: string, section: number, { version, date }: Edition): string {
  return `.TH ${roff(name).toUpperCase()} ${section} "${date}" "twindb\\-backup ${roff(version)}" "twindb\\-backup"\n`;
}

function part(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? "" : `.SH ${title}\n${lines.join("\n")}\n`;
}

function described({ usage, meaning }: Word): string {
  return `.TP\n.B ${roff(usage)}\n${roff(meaning)}`;
}

function listed({ words, meaning }: Entry): string {
  return `.TP\n.BR ${roff(pageName(words))} (1)\n${roff(meaning)}`;
}

function synopsis({ words, arguments: values, options, below }: Entry): string {
  const command = `.B ${roff(["twindb-backup", ...words].join(" "))}`;
  const what = [
    ...(options.length > 0 ? ["[options]"] : []),
    ...values.map(({ usage }) => usage),
    ...(below.length > 0 ? ["[command]"] : []),
  ];
  return `${command}\n${roff(what.join(" "))}`;
}

function commandPage(entry: Entry, parent: Entry, edition: Edition): Page {
  const name = pageName(entry.words);
  const text = [
    header(name, 1, edition),
    part("NAME", [`${roff(name)} \\- ${roff(entry.meaning)}`]),
    part("SYNOPSIS", [synopsis(entry)]),
    part("COMMANDS", entry.below.map(listed)),
    part("ARGUMENTS", entry.arguments.map(described)),
    part("OPTIONS", entry.options.map(described)),
    part("SEE ALSO", [
      `${parent.words.length > 0 ? `.BR ${roff(pageName(parent.words))} (1),\n` : ""}.BR twindb\\-backup (1),`,
      ".BR twindb\\-backup.cfg (5)",
    ]),
  ];
  return { file: `man1/${name}.1`, text: text.join("") };
}

const FILES: readonly (readonly [path: string, meaning: string])[] = [
  ["/etc/twindb/twindb-backup.cfg", "the config; see twindb-backup.cfg(5)"],
  ["/etc/cron.d/twindb-backup", "when each run type starts"],
  ["/var/run/twindb-backup.lock", "keeps runs from overlapping"],
  ["/var/lib/twindb-backup", "what a person told the host, and the spool of binary logs"],
];

function mainPage(entry: Entry, edition: Edition): Page {
  const text = [
    header("twindb-backup", 1, edition),
    part("NAME", [`twindb\\-backup \\- ${roff("back up directories and MySQL servers from cron")}`]),
    part("SYNOPSIS", [synopsis(entry)]),
    part("DESCRIPTION", [
      roff(entry.meaning),
      roff("A run that succeeded prints nothing; a failure is one line on stderr that says what to do."),
    ]),
    part("COMMANDS", flat(entry).slice(1).map(listed)),
    part("OPTIONS", ["They may stand anywhere.", ...entry.options.map(described)]),
    part("EXIT STATUS", [roff(EXIT_HELP.replace(/^\s*Exit status: /, ""))]),
    part(
      "FILES",
      FILES.map(([path, meaning]) => `.TP\n.I ${roff(path)}\n${roff(meaning)}`),
    ),
    part("SEE ALSO", [".BR twindb\\-backup.cfg (5)"]),
  ];
  return { file: "man1/twindb-backup.1", text: text.join("") };
}

/** One page for the program and one for each of its commands. */
export function commandPages(program: Entry, edition: Edition): readonly Page[] {
  const below = (parent: Entry): readonly Page[] =>
    parent.below.flatMap((each) => [commandPage(each, parent, edition), ...below(each)]);
  return [mainPage(program, edition), ...below(program)];
}

/** The page of the config file, from the comments of the sample: what stands above keys is said of them. */
export function configPage(sample: string, edition: Edition): Page {
  const body: string[] = [".SH DESCRIPTION"];
  let comment: string[] = [];
  for (const line of sample.split("\n")) {
    const [, section] = /^#?(\[[a-z_0-9]+\])$/.exec(line) ?? [];
    const [, setting] = /^#?([a-z_0-9]+ = .*)$/.exec(line) ?? [];
    if (section !== undefined) body.push(`.SH ${section}`, ...comment.map(roff));
    else if (setting !== undefined) body.push(".TP", `.B ${roff(setting)}`, ...comment.map(roff));
    else if (line.startsWith("# ")) comment.push(line.slice(2));
    else if (comment.length > 0 && !body.includes(".TP")) body.push(".PP", ...comment.map(roff));
    if (!line.startsWith("# ")) comment = [];
  }
  const text = [
    header("twindb-backup.cfg", 5, edition),
    part("NAME", ["twindb\\-backup.cfg \\- config of twindb\\-backup"]),
    `${body.join("\n")}\n`,
    part("SEE ALSO", [".BR twindb\\-backup (1)"]),
  ];
  return { file: "man5/twindb-backup.cfg.5", text: text.join("") };
}

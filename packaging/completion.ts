import { type Entry, flat, type Word } from "./commands.ts";

/** A command's words in one, the key of each table: `restore file`, empty for the program. */
function keyOf(entry: Entry): string {
  return entry.words.join(" ");
}

function flagsOf({ options }: Entry): string[] {
  return options.map(({ flag }) => flag ?? "");
}

/** Options of the program are taken after each command too. */
function optionsOf(entry: Entry, program: Entry): readonly Word[] {
  const own = new Set(flagsOf(entry));
  return entry === program
    ? entry.options
    : [...entry.options, ...program.options.filter(({ flag }) => flag !== "--version" && !own.has(flag ?? ""))];
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Flags whose next word is theirs. */
function takers(program: Entry): string {
  const all = flat(program).flatMap(({ options }) => options.filter(({ value }) => value !== "none"));
  return [...new Set(all.map(({ flag = "" }) => flag))].join("|");
}

function commandKeys(program: Entry): string {
  const keys = flat(program).slice(1);
  return keys.map((entry) => quoted(keyOf(entry))).join("|");
}

/** The lines of a `case` over the command and the word before. */
function valueCases(program: Entry, action: (value: Word["value"]) => string): string[] {
  return flat(program).flatMap((entry) =>
    optionsOf(entry, program)
      .filter(({ value }) => value !== "none")
      .map(({ flag = "", value }) => `    ${quoted(`${keyOf(entry)} ${flag}`)}) ${action(value)}; return ;;`),
  );
}

/** Words that may stand where no option does: commands, or the choices of the first argument. */
function plainWords(entry: Entry): string[] {
  const choices = entry.arguments[0]?.value ?? "none";
  return [...entry.below.map(({ words }) => words.at(-1) ?? ""), ...(typeof choices === "string" ? [] : choices)];
}

/** For `share/bash-completion/completions`; needs nothing of that package. */
export function bashCompletion(program: Entry): string {
  const reply = (words: string) => `COMPREPLY=($(compgen ${words} -- "$word"))`;
  const action = (value: Word["value"]): string => {
    if (typeof value !== "string") return reply(`-W ${quoted(value.join(" "))}`);
    if (value === "file") return `compopt -o filenames 2>/dev/null; ${reply("-f")}`;
    return value === "directory" ? `compopt -o filenames 2>/dev/null; ${reply("-d")}` : "COMPREPLY=()";
  };
  const words = flat(program).map((entry) => {
    const options = optionsOf(entry, program).map(({ flag }) => flag);
    return `    ${quoted(keyOf(entry))}) plain=${quoted(plainWords(entry).join(" "))} options=${quoted(options.join(" "))} ;;`;
  });
  return `# Completion of twindb-backup for bash.
_twindb_backup() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} at='' i plain='' options=''
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in ${takers(program)}) ((i++)); continue ;; -*) continue ;; esac
    case "\${at:+$at }\${COMP_WORDS[i]}" in ${commandKeys(program)}) at="\${at:+$at }\${COMP_WORDS[i]}" ;; esac
  done
  case "$at $before" in
${valueCases(program, action).join("\n")}
  esac
  case $at in
${words.join("\n")}
  esac
  if [[ $word == -* ]]; then plain=$options; fi
  ${reply('-W "$plain"')}
}
complete -F _twindb_backup twindb-backup
`;
}

/** A colon ends the word in what `_describe` is given. */
function describedWord(word: string, meaning: string): string {
  return quoted(`${word.replaceAll(":", "\\:")}:${meaning}`);
}

/** For `share/zsh/vendor-completions`. */
export function zshCompletion(program: Entry): string {
  const action = (value: Word["value"]): string => {
    if (typeof value !== "string") return `compadd -- ${value.join(" ")}`;
    if (value === "file") return "_files";
    return value === "directory" ? "_files -/" : "_message value";
  };
  const words = flat(program).map((entry) => {
    const options = optionsOf(entry, program).map(({ flag = "", meaning }) => describedWord(flag, meaning));
    const below = new Map(entry.below.map(({ words, meaning }) => [words.at(-1), meaning]));
    const plain = plainWords(entry).map((word) => describedWord(word, below.get(word) ?? ""));
    return `    ${quoted(keyOf(entry))}) plain=(${plain.join(" ")}) options=(${options.join(" ")}) ;;`;
  });
  return `#compdef twindb-backup
# Completion of twindb-backup for zsh.
_twindb-backup() {
  local at='' i
  local -a plain options
  for ((i = 2; i < CURRENT; i++)); do
    case $words[i] in (${takers(program)}) ((i++)); continue ;; (-*) continue ;; esac
    case "\${at:+$at }$words[i]" in (${commandKeys(program)}) at="\${at:+$at }$words[i]" ;; esac
  done
  case "$at $words[CURRENT-1]" in
${valueCases(program, action).join("\n")}
  esac
  case $at in
${words.join("\n")}
  esac
  if [[ $PREFIX == -* ]]; then
    _describe option options
  elif (( $#plain )); then
    _describe command plain
  else
    _files
  fi
}
# The first time this file is the body of the function that it defines.
if [[ $funcstack[1] == _twindb-backup ]]; then _twindb-backup "$@"; else compdef _twindb-backup twindb-backup; fi
`;
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

function fishOption(at: string, { flag = "", meaning, value }: Word): string {
  const choices = typeof value === "string" ? "" : ` -a ${fishQuoted(value.join(" "))}`;
  const kinds = { file: " -r -F", directory: " -x -a '(__fish_complete_directories)'", any: " -x", none: "" };
  const kind = typeof value === "string" ? kinds[value] : ` -x${choices}`;
  return `complete -c twindb-backup -n ${at} -l ${flag.slice(2)}${kind} -d ${fishQuoted(meaning)}`;
}

/** For `share/fish/vendor_completions.d`. */
export function fishCompletion(program: Entry): string {
  const lines = flat(program).flatMap((entry) => {
    const at = `"__twindb_backup_at ${fishQuoted(keyOf(entry))}"`;
    const below = new Map(entry.below.map(({ words, meaning }) => [words.at(-1), meaning]));
    return [
      ...plainWords(entry).map(
        (word) =>
          `complete -c twindb-backup -n ${at} -f -a ${word}${below.has(word) ? ` -d ${fishQuoted(below.get(word) ?? "")}` : ""}`,
      ),
      ...optionsOf(entry, program).map((option) => fishOption(at, option)),
    ];
  });
  const keys = flat(program)
    .slice(1)
    .map((entry) => fishQuoted(keyOf(entry)));
  return `# Completion of twindb-backup for fish.
function __twindb_backup_at
    set -l at ''
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
            continue
        end
        switch $word
            case ${takers(program).replaceAll("|", " ")}
                set skip 1
                continue
            case '-*'
                continue
        end
        set -l next (string trim "$at $word")
        contains -- $next ${keys.join(" ")}; and set at $next
    end
    test "$at" = "$argv[1]"
end
${lines.join("\n")}
`;
}

/** Words of a line, or why it cannot be split. */
export type ShellWords = { readonly words: readonly string[] } | { readonly problem: string };

/** White space; or a piece of a word: plain, '…', "…", an escaped character; or a lone quote or backslash. */
const PIECES = /([ \t\r\n]+)|[^ \t\r\n'"\\]+|'[^']*'|"(?:[^"\\]|\\[\s\S])*"|\\[\s\S]|(['"\\])/g;

/**
 * Split as a POSIX shell does, without expanding anything: quotes group, `''` is an empty word, a backslash takes the
 * next character as it is (in double quotes only `"` and `\`). The same rules as Python's `shlex.split()`.
 */
export function splitShellWords(line: string): ShellWords {
  const words: string[] = [];
  let word: string | undefined;
  for (const [piece, space, lone] of line.matchAll(PIECES)) {
    if (lone !== undefined) return { problem: problemOf(lone) };
    if (space === undefined) {
      word = (word ?? "") + textOf(piece);
    } else {
      if (word !== undefined) words.push(word);
      word = undefined;
    }
  }
  return { words: word === undefined ? words : [...words, word] };
}

function textOf(piece: string): string {
  if (piece.startsWith("'")) return piece.slice(1, -1);
  if (piece.startsWith('"')) return piece.slice(1, -1).replaceAll(/\\(["\\])/g, "$1");
  return piece.startsWith("\\") ? piece.slice(1) : piece;
}

function problemOf(lone: string): string {
  return lone === "\\" ? "it ends with a backslash" : `a ${lone} is not closed`;
}

/** Write a word so that `splitShellWords()` gives it back; in quotes where it needs them. */
export function quoteShellWord(word: string): string {
  if (/^[\w/.,:@=+-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/**
 * One word of a remote command line, safe in whatever shell the far user has.
 * Backslash and `!` stand outside the single quotes: fish reads the one inside them, csh the other.
 */
export function shellQuote(word: string): string {
  const quoted = word.replaceAll(/['\\!]/g, (character) => `'\\${character}'`);
  return `'${quoted}'`;
}

/**
 * The command line that runs a POSIX script with arguments `$1`, `$2`… whatever shell reads it.
 * @param script one line: some shells refuse a line break between quotes.
 */
export function shellCommand(script: string, args: readonly string[]): string {
  return ["/bin/sh", "-c", script, "sh", ...args].map(shellQuote).join(" ");
}

/** What tar said on stderr, read. */
export type TarReport = {
  /** Size of the archive, from `--totals`. */
  readonly rawBytes: number | undefined;
  /** One line each, such as `/etc/x: file changed as we read it`. */
  readonly warnings: readonly string[];
};

const MAX_WARNINGS = 100;

/** Lines that say nothing about the copy. */
const NOISE = [/^Removing leading `.*' from /, /^Total bytes written: /, /^Exiting with failure status /];

/**
 * Read the end of GNU tar's stderr.
 * @param limit how many characters were kept of it; when it is as long as this, its start was lost.
 */
export function readReport(stderr: string, limit: number): TarReport {
  const lines = stderr.split("\n").map((line) => line.replace(/^tar: /, ""));
  const isCut = stderr.length >= limit;
  const whole = isCut ? lines.slice(1) : lines;
  const said = whole.filter((line) => line.trim() !== "" && !NOISE.some((noise) => noise.test(line)));
  const total = /^Total bytes written: (\d+)/m.exec(stderr)?.[1];
  return { rawBytes: total === undefined ? undefined : Number(total), warnings: bounded(said, isCut) };
}

function bounded(lines: readonly string[], isCut: boolean): string[] {
  const start = isCut ? ["earlier warnings were lost"] : [];
  if (start.length + lines.length <= MAX_WARNINGS) return [...start, ...lines];
  const kept = lines.slice(0, MAX_WARNINGS - start.length - 1);
  return [...start, ...kept, `${lines.length - kept.length} more warnings`];
}
